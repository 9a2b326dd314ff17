# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: who may submit mail."""

import re

from tests.unit.plans import main_cf, services, table


def test_only_this_qube_hands_mail_in_and_only_for_its_accounts() -> None:
    record = {"discard_senders": ["spam.example", "junk@example.net"]}
    parameters = main_cf(record)
    assert parameters["inet_interfaces"] == "loopback-only"
    assert parameters["mynetworks"] == "127.0.0.1/32, [::1]/128"
    assert parameters["smtpd_client_restrictions"].split(", ") == [
        "check_policy_service unix:private/submit-policy",
        "reject_unauth_pipelining",
    ]
    assert parameters["smtpd_delay_reject"] == "no"
    policy = services()["submit-policy unix"]
    assert policy[-2:] == ["root", "user"]
    for name in ("authorized_submit_users", "authorized_mailq_users", "authorized_flush_users"):
        assert parameters[name] == "root, user"
    assert re.fullmatch(
        r"check_sender_access regexp:\S+/local_senders,"
        r" check_sender_access \S+/sender_access, permit_auth_destination,"
        r" check_sender_access inline:\{ \{<> = 550 [^}]+\} \}, check_sender_access static:\{550 [^}]+\}, reject",
        parameters["smtpd_relay_restrictions"],
    )
    assert table("sender_access", record) == {
        "alice@example.com": "OK",
        "bob@example.org": "OK",
        "spam.example": "DISCARD",
        "junk@example.net": "DISCARD",
    }
