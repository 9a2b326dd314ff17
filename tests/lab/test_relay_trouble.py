# SPDX-License-Identifier: Apache-2.0
"""Trouble with the relay itself waits and says why; what the relay says of a message comes back to the user at once.

The reasons are those that smtp(8) of Postfix 3.7 to 3.12 makes up by itself (src/smtp/smtp_addr.c, smtp_connect.c,
smtp_proto.c), and answers of a relay that are about nobody's message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import RECIPIENT, pillar, unique
from .scripted import Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX

RELAY = "smtp.trouble.test"
_NOT_FOUND = "Host or domain name not found. Name service error"
# Name -> relay, port, what the queue has to say.
WAITS = {
    "no such name": ("smtp.mistyped.test", 587, f"{_NOT_FOUND} for name=smtp.mistyped.test"),
    "a name without a dot": ("smtp-relay", 587, f"{_NOT_FOUND} for name=smtp-relay"),
    "a name without an address": ("empty.trouble.test", 587, "Host found but no data record"),
    "an address of a family that the qube does not have": (
        "six.trouble.test",
        587,
        "Host found but no data record",
    ),
    "this qube itself": ("127.0.0.1", 25, "mail for 127.0.0.1 loops back to myself"),
    "nobody listens": (RELAY, 2699, r"connect to .*:2699: Connection refused"),
    "refuses at the greeting": (RELAY, 2601, "refused to talk to me: 554 5.7.1 your network is on a list"),
    "says nonsense at the greeting": (RELAY, 2602, "refused to talk to me: 999 what"),
    "refuses EHLO and HELO": (RELAY, 2603, "refused to talk to me: 550 5.7.1 said: 250"),
    "login gone at MAIL": (RELAY, 2604, "said: 535 5.7.8 log in again"),
    "login asked for at RCPT": (RELAY, 2605, "said: 530 5.7.0 log in first"),
    "nonsense at MAIL": (RELAY, 2606, "said: 354 what"),
    "nonsense at the end of the message": (RELAY, 2607, "said: 354 more"),
}
# Name -> port, what the report has to say.
BOUNCES = {
    "550 at RCPT": (2611, "550 5.1.1 no such user"),
    "553 at RCPT": (2612, "553 5.1.3 bad address"),
    "554 at RCPT": (2613, "554 5.7.1 not to him"),
    "554 at RCPT, of a relay further on": (2614, "554 5.4.4 host q said: 530 log in"),
    "554 at DATA": (2615, "554 5.5.1 no valid recipients"),
    "554 at the end of the message": (2616, "554 5.7.1 looks like spam"),
    "552 at the end of the message": (2617, "552 5.3.4 too big"),
    "553 at MAIL": (2618, "553 5.7.1 sender not owned by user"),
    "larger than the relay takes": (2619, "exceeds size limit 10 of server"),
}
_PIN = {"fingerprint": [":".join(["00"] * 32)]}
_PORTS = {
    2601: Port(answers={"GREETING": "554 5.7.1 your network is on a list"}),
    2602: Port(answers={"GREETING": "999 what"}),
    2603: Port(answers=dict.fromkeys(("EHLO", "HELO"), "550 5.7.1 said: 250")),
    2604: Port(answers={"MAIL": "535 5.7.8 log in again"}),
    2605: Port(answers={"RCPT": "530 5.7.0 log in first"}),
    2606: Port(answers={"MAIL": "354 what"}),
    2607: Port(answers={"END": "354 more"}),
    **{
        port: Port(answers={place: said})
        for (port, said), place in zip(
            list(BOUNCES.values())[:-1], ("RCPT",) * 4 + ("DATA", "END", "END", "MAIL"), strict=True
        )
    },
    2619: Port(offers=("SIZE 10",)),
}


def address(name: str) -> str:
    """Return the sender address of the account that meets with the trouble of a name."""
    return f"{re.sub('[^a-z0-9]+', '-', name.lower())}@trouble.test"


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Iterator[Qube]:
    """Give a qube with an account for each trouble, from which a mail was sent each."""
    Scripted(lab, RELAY, _PORTS)
    lab.network.add_name("six.trouble.test", "fd00:10::1")
    lab.network.add_name("below.empty.trouble.test", "10.138.255.1")
    where = {name: (relay, port) for name, (relay, port, _) in WAITS.items()}
    where |= {name: (RELAY, port) for name, (port, _) in BOUNCES.items()}
    records = [
        {
            "address": address(name),
            "relay": relay,
            "port": port,
            "password": "a-password",
            "tls": {"mode": "starttls"} | (_PIN if relay == "127.0.0.1" else {}),
        }
        for name, (relay, port) in where.items()
    ]
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(*records))
    assert direct.run(qube).error is None
    for name in where:
        qube.send(sender=address(name), to=RECIPIENT, subject=name)
    yield qube
    lab.remove(qube)


def reason(qube: Qube, sender: str) -> str:
    """Return why the mail of a sender waits, as soon as it does."""

    def deferred() -> list[str]:
        mails = [
            mail for mail in qube.queue() if (mail["sender"], mail["queue_name"]) == (sender, "deferred")
        ]
        return [recipient["delay_reason"] for mail in mails for recipient in mail["recipients"]]

    return qube.wait_for(deferred, f"the mail of {sender} in the queue")[0]


def reports(qube: Qube, sender: str) -> list[str]:
    """Return the delivery reports to a sender."""
    return [mail.as_string() for mail in qube.maildir() if sender in mail.as_string()]


@pytest.mark.parametrize("name", WAITS)
def test_trouble_with_the_relay_waits_with_a_reason(qube: Qube, mx: MX, name: str) -> None:
    assert re.search(WAITS[name][2], reason(qube, address(name)))
    assert reports(qube, address(name)) == []
    assert mx.connections() == []


@pytest.mark.parametrize("name", BOUNCES)
def test_what_the_relay_says_of_a_message_is_reported_at_once(qube: Qube, name: str) -> None:
    report = qube.wait_for(lambda: reports(qube, address(name)), f"a report to {address(name)}")
    assert BOUNCES[name][1] in " ".join(report[0].split())
    assert [mail for mail in qube.queue() if mail["sender"] == address(name)] == []


def test_many_messages_wait_when_the_relay_is_given_up(qube: Qube) -> None:
    """After some failures qmgr(8) does not try a destination for a while, and gives its last reason to all the rest."""
    sender = address("no such name")
    for _ in range(12):
        qube.send(sender=sender, to=RECIPIENT, subject=unique())

    def waiting() -> bool:
        mails = [mail for mail in qube.queue() if mail["sender"] == sender]
        return len(mails) == 13 and {mail["queue_name"] for mail in mails} == {"deferred"}

    qube.wait_for(waiting, "all of them in the queue")
    assert reports(qube, sender) == []


def test_name_that_the_system_s_own_look_up_does_not_know_waits(qube: Qube) -> None:
    assert not isinstance(qube.pillar, str)
    changed = {**qube.pillar["postfix_smarthost"], "settings": {"smtp_host_lookup": "native"}}
    assert direct.run(qube, pillar={"postfix_smarthost": changed}).error is None
    sender = address("a name without an address")
    before = {mail["queue_id"] for mail in qube.queue()}
    qube.send(sender=sender, to=RECIPIENT, subject=unique())

    def told() -> list[str]:
        new = [mail for mail in qube.queue() if mail["queue_id"] not in before]
        return [recipient.get("delay_reason", "") for mail in new for recipient in mail["recipients"]]

    qube.wait_for(lambda: "unable to look up host empty.trouble.test" in "".join(told()), "the reason")
    assert reports(qube, sender) == []
