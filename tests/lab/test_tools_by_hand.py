# SPDX-License-Identifier: Apache-2.0
"""Postfix's own programs work for who calls them by hand: in the qube, and in the template, which has no mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Machine, Qube, Template

SUITES = (
    "trixie",
    # Their programs in the qube are those of test_template_changes.py.
    *(pytest.param(suite, marks=pytest.mark.soak) for suite in ("bookworm", "forky")),
)
OF_ROOT = (
    "newaliases",
    "sendmail -bi",
    "postalias /etc/aliases",
    "postmap /tmp/table",
    "postmap -q key /tmp/table",
    "mailq",
    "sendmail -bp",
    "postqueue -p",
    "postqueue -j",
    "postsuper",
    "postconf -n",
    "postconf mail_version",
    "postfix check",
)
OF_THE_USER = ("postconf -n", "postconf mail_version", "postmap -q key /tmp/table")


def failures(machine: Machine, commands: tuple[str, ...], user: str = "root") -> dict[str, str]:
    """Call programs by hand; return what those said that failed or complained."""
    machine.run(
        "sh",
        "-c",
        "echo 'key value' > /tmp/table && postmap /tmp/table && chmod 0644 /tmp/table*",
        check=False,
    )
    found = {}
    for command in commands:
        done = machine.run("sh", "-c", command, user=user, check=False)
        # Debian's Postfix 3.11 says of hash, which it does not prefer any more, where that is written.
        if done.returncode or "fatal" in done.stderr or "warning: unsupported" in done.stderr:
            found[command] = f"{done.returncode}: {done.stderr}"
    return found


@pytest.fixture(scope="module", params=SUITES)
def template(lab: Lab, prepared: Template, request: pytest.FixtureRequest) -> Iterator[Template]:
    """Give a prepared template, running."""
    if request.param == "trixie":
        made = prepared.clone(unique("tools"))
    else:
        made = lab.template(unique(request.param), suite=request.param)
        made.apply("postfix_smarthost").check()
    made.start()
    yield made
    lab.remove(made)


def test_programs_work_in_a_template(template: Template) -> None:
    assert failures(template, OF_ROOT) == {}
    assert failures(template, OF_THE_USER, "user") == {}
    assert template.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"


def test_a_second_apply_has_nothing_to_do_after_that(template: Template) -> None:
    assert template.apply("postfix_smarthost").check().changed == []


def test_a_queue_of_which_the_package_made_a_part_is_completed(template: Template) -> None:
    # Debian 12's makes neither, and mailq ended with "malformed showq server response".
    template.run("rmdir", "/var/spool/postfix/hold", "/var/spool/postfix/trace")
    assert template.apply("postfix_smarthost").check().changed == ["postfix_smarthost-template-queue"]
    assert failures(template, OF_ROOT) == {}


def test_programs_work_in_the_qube(prepared: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=prepared, pillar=pillar(ALICE))
    # Without accounts, too: nothing is taken then, and the program that hands mail in is told so.
    assert failures(qube, OF_THE_USER, "user") == {}
    refused = qube.send(to="root", subject=unique(), check=False)
    assert (refused.returncode, "not allowed to submit mail" in refused.stderr) == (75, True)
    qube.apply("postfix_smarthost").check()
    assert failures(qube, (*OF_ROOT, "postqueue -f")) == {}
    assert failures(qube, (*OF_THE_USER, "mailq", "postqueue -p", "postqueue -f"), "user") == {}
    # What newaliases compiles is in use.
    qube.write("/etc/aliases", qube.read("/etc/aliases") + "somebody: user\n")
    qube.run("newaliases")
    subject = unique()
    qube.send(to="somebody", subject=subject)
    qube.wait_for(lambda: [m for m in qube.maildir() if m["Subject"] == subject], "mail by the new alias")
