# SPDX-License-Identifier: Apache-2.0
"""What goes wrong for one account holds no other account up, not even one at the same relay.

qmgr(8) stops trying a destination for a minute after a few failures in a row, and shares out processes by destination:
to it, each account is one of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .scripted import HANG, Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

RELAY = "smtp.shared.test"
# Login -> what the relay does once it is known.
TROUBLE = {
    "535": {"AUTH": "535 5.7.8 wrong password"},
    "disabled": {"MAIL": "525 5.7.13 account disabled"},
    "too-many": {"MAIL": "421 4.7.0 too many messages"},
    "later": {"MAIL": "451 4.7.0 try again later"},
    "hangs": {"MAIL": HANG},
    "greylisted": {"RCPT": "450 4.2.0 greylisted"},
}
MANY = 15


def record(name: str) -> dict:
    return {
        "address": f"{name}@shared.test",
        "relay": RELAY,
        "username": name,
        "password": f"password-of-{name}",
    }


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    return Scripted(lab, RELAY, {587: Port(by_login=TROUBLE), 465: Port(answers={"EHLO": HANG})})


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, scripted: Scripted) -> Iterator[Qube]:
    """Give a qube with accounts in trouble at a relay, around two that are in none."""
    assert scripted.host.running
    bad = [record(name) for name in TROUBLE]
    stuck = record("stuck") | {"port": 465, "tls": {"mode": "starttls"}}
    accounts = [record("first"), *bad, stuck, record("last"), record("lost"), ALICE]
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(*accounts))
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


def send_many(qube: Qube, name: str, count: int = MANY) -> None:
    script = f"for i in $(seq {count}); do printf 'Subject: x\\n\\n' | sendmail -f {name}@shared.test {RECIPIENT}; done"
    qube.run("sh", "-c", script, user="user")


def tried(scripted: Scripted, name: str) -> int:
    return len([event for event in scripted.events() if event.login == name and event.what == "login"])


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_of_one_account_leaves_the_others_of_its_relay_flowing(
    qube: Qube, scripted: Scripted, name: str
) -> None:
    send_many(qube, name)
    qube.wait_for(lambda: tried(scripted, name), f"a login of {name}")
    for _ in range(2):
        for good in ("first", "last"):
            subject = unique()
            qube.send(sender=f"{good}@shared.test", to=RECIPIENT, subject=subject)
            assert scripted.wait_for(subject, diagnosis=qube.diagnosis).login == good
    waiting = [mail for mail in qube.queue() if mail["sender"] == f"{name}@shared.test"]
    assert len(waiting) == MANY * (name != "disabled")
    assert [mail for mail in qube.queue() if mail["sender"].startswith(("first@", "last@"))] == []


def test_account_with_a_wrong_password_is_not_tried_for_each_of_its_messages(
    qube: Qube, scripted: Scripted
) -> None:
    """A provider locks an account out that fails again and again, or the address that it comes from."""
    before = tried(scripted, "535")
    qube.run("postqueue", "-f")
    send_many(qube, "535")

    def settled() -> bool:
        mails = [mail for mail in qube.queue() if mail["sender"] == "535@shared.test"]
        return {mail["queue_name"] for mail in mails} == {"deferred"}

    qube.wait_for(settled, "all of its mail in the queue")
    assert tried(scripted, "535") - before <= 4


def test_missing_password_of_one_account_leaves_the_others_flowing(qube: Qube, scripted: Scripted) -> None:
    table = qube.run("sh", "-c", "ls /etc/postfix/tables-*/saslpass").stdout.strip()
    qube.run("sh", "-c", f"sed -i '/^lost@/d' {table} && postmap {table} && postfix reload")
    send_many(qube, "lost")
    qube.wait_for(
        lambda: [mail for mail in qube.queue() if mail["sender"] == "lost@shared.test"],
        "the mail of the lost one",
    )
    subject = unique()
    qube.send(sender="first@shared.test", to=RECIPIENT, subject=subject)
    assert scripted.wait_for(subject, diagnosis=qube.diagnosis).login == "first"


def test_relay_that_hangs_takes_two_processes_and_no_more(
    qube: Qube, scripted: Scripted, relay_a: Relay
) -> None:
    send_many(qube, "stuck", 40)
    name = "smtp-starttls.*"

    def busy() -> list[str]:
        found = qube.run(
            "ss", "-tnpH", "state", "established", f"( dport = :465 and dst {scripted.host.address} )"
        )
        return found.stdout.splitlines()

    qube.wait_for(busy, f"a connection of {name} that hangs")
    for sender, relay in ((ALICE.address, relay_a), ("last@shared.test", scripted)):
        subject = unique()
        qube.send(sender=sender, to=RECIPIENT, subject=subject)
        assert relay.wait_for(subject, diagnosis=qube.diagnosis).login in (ALICE.login, "last")
    assert len(busy()) <= 2


def test_accounts_of_one_relay_are_told_as_the_pillar_has_them(qube: Qube) -> None:
    """What keeps them apart is shown to nobody, and moves no account when another one goes."""
    assert direct.run(qube).error is None
    senders = direct.run(qube, "postfix_smarthost.status").result["senders"]
    assert {*senders.values()} == {f"[{RELAY}]:587", f"[{RELAY}]:465", "[smtp.a.test]:587"}
    assert not isinstance(qube.pillar, str)
    accounts = qube.pillar["postfix_smarthost"]["accounts"]
    done = direct.run(qube, pillar={"postfix_smarthost": {"accounts": accounts[1:]}})
    assert done.changes["accounts"] == {"removed": ["first@shared.test"]}
    assert direct.run(qube, pillar={"postfix_smarthost": {"accounts": accounts[1:]}}).changes == {}
