# SPDX-License-Identifier: Apache-2.0
"""A day of the mail qube, by the real programs: mail is fetched, sorted, read, answered, and leaves by its account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .accounts import ALICE, BOB, pillar, unique
from .mailbox import Mailbox
from .test_programs import HOME, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

PACKAGES = ["fetchmail", "mutt", "neomutt"]
LIST = "users.lists.test"
FOLDER = f"{HOME}/.maildir/list/users"


def record(mailbox: Mailbox) -> dict[str, Any]:
    """Return the record of the qube, in which the mail of BOB is fetched from a mailbox."""
    fetch = {"server": BOB.relay, "username": mailbox.name, "password": mailbox.password}
    lists = [{"list_id": LIST, "folder": "list/users"}]
    return pillar(ALICE, BOB.record(fetch=fetch), lists=lists, mutt=True)


def install(template: Template) -> Template:
    """Let the formula put the programs into a template; sudo is there as Qubes has it."""
    template.pillar = {"postfix_smarthost": {"packages": PACKAGES}}
    template.apply("postfix_smarthost").check()
    template.start()
    template.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "sudo", timeout=180)
    template.write("/etc/sudoers.d/qubes", "user ALL=(ALL) NOPASSWD: ALL\n", mode="0440")
    template.shutdown()
    return template


def a_round(qube: Qube, mailbox: Mailbox, relay: Relay, program: str) -> None:
    """Mail for BOB comes in, and is answered."""
    subject = unique()
    message = (
        f"From: friend@far.test\r\nTo: {BOB.address}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.test>\r\n"
        f"List-Id: Users <{LIST}>\r\n\r\nA question.\r\n"
    )
    mailbox.put(subject, message.encode())
    look = f"grep -rl --exclude-dir=tmp 'Subject: {subject}' {HOME}/.maildir"
    found = qube.wait_for(lambda: qube.run("sh", "-c", look, check=False).stdout, "the mail")
    assert found.startswith(f"{FOLDER}/new/")
    assert found.count("\n") == 1
    qube.wait_for(lambda: mailbox.names() == [], "an empty mailbox")
    keys(qube, program, "<change-folder>=list/users<enter><last-entry><reply><send-message><quit>")
    answer = relay.wait_for(f"Re: {subject}", diagnosis=qube.diagnosis)
    assert (answer.login, answer.sender) == (BOB.login, BOB.address)
    assert answer.recipients == ["friend@far.test"]
    assert answer.message["In-Reply-To"] == f"<{subject}@far.test>"
    assert len(relay.received(f"Re: {subject}")) == 1


@pytest.mark.parametrize("newer", [None, pytest.param("forky", marks=pytest.mark.soak)])
def test_mail_comes_in_is_sorted_and_answered_through_a_restart_and_another_template(
    lab: Lab,
    prepared: Template,
    new_template: Callable[..., Template],
    relay_a: Relay,
    relay_b: Relay,
    mx: MX,
    newer: str | None,
) -> None:
    assert relay_a.running
    template = install(prepared.clone(unique("debian-13-scenario")))
    mailbox = Mailbox(relay_b, unique("box"))
    qube = lab.qube(unique("scenario"), template=template, pillar=record(mailbox))
    try:
        qube.apply("postfix_smarthost").check()
        a_round(qube, mailbox, relay_b, "mutt")
        qube.restart()
        a_round(qube, mailbox, relay_b, "neomutt")
        if newer:
            other = new_template(suite=newer)
            qube.shutdown()
            qube.template = install(other)
            qube.start()
            for program in ("mutt", "neomutt"):
                a_round(qube, mailbox, relay_b, program)
        assert qube.apply("postfix_smarthost").check().changed == []
        assert mx.connections() == []
    finally:
        lab.remove(qube)
        lab.remove(template)
