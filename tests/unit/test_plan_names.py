# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: the names of the qube and of its user."""

import re

import pytest

from tests.unit.plans import main_cf, plan, services


@pytest.mark.parametrize("hostname", ["", "mail.example.com"])
def test_a_host_name_with_dots_is_nobody_s_local_domain(hostname: str) -> None:
    files = plan(hostname=hostname)
    assert "example" not in main_cf(hostname=hostname)["mydestination"]
    assert "example" not in files["tables-a/recipients"].content
    for name in ("sender_canonical", "smtp_generic"):
        domains = re.findall(r"(\S*)@\(mail\\\.example\\\.com", files[f"tables-a/{name}"].content)
        assert [domain for domain in domains if not domain.endswith("(root|user)")] == []


def test_nothing_that_is_sent_names_the_qube_or_its_user() -> None:
    parameters = main_cf()
    assert parameters["myhostname"] == "localhost.localdomain"
    assert parameters["smtp_helo_name"] == "[127.0.0.1]"
    assert parameters["smtpd_banner"] == "$myhostname ESMTP"
    assert parameters["smtp_generic_maps"] == "regexp:$smarthost_tables/smtp_generic"
    assert parameters["forward_path"] == ""
    named = {name for name, value in parameters.items() if "my-mail" in value.lower()}
    assert named == set()
    assert parameters["non_smtpd_milters"] == parameters["smtpd_milters"] == "unix:private/submit-milter"
    # What it says nothing to waits.
    assert parameters["milter_default_action"] == "tempfail"
    assert "submit-milter unix" in services()
