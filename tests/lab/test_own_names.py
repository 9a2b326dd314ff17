# SPDX-License-Identifier: Apache-2.0
"""The names of this qube and its user do not leave, in whatever form; names of others, dot or no dot, stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .outcome import head, refused, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

NAME = "my-secret-qube"
WAYS = ("sendmail", "smtp")


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    return applied_qube(NAME, pillar(ALICE, BOB), relay_a, relay_b)


def sent(qube: Qube, relay: Relay, way: str, headers: dict[str, str]) -> str:
    """Send a message of BOB with some headers, and return the header that his relay got."""
    subject = unique()
    send = qube.send if way == "sendmail" else qube.send_smtp
    send(sender=BOB.address, to=RECIPIENT, subject=subject, headers=headers)
    return head(relay.wait_for(subject, diagnosis=qube.diagnosis))


OF_OTHERS = {
    "Message-ID": "<1@taiga>",
    "In-Reply-To": "<2@localhost>",
    "References": "<3@taiga> <4@localhost> <5@box.localdomain> <6@localhost.localdomain> <7@nas> <8@my-secret>",
    "Sender": "joe@nas",
    "Reply-To": "Joe <joe@my-secret>, x@my-secret-qube.example",
    "Cc": "root@taiga, x@box.local, root <root@server.example>, user@[192.0.2.7]",
    "X-Loop": "x@my-secret-qube.example",
}


@pytest.mark.parametrize("way", WAYS)
def test_names_of_others_stay_dot_or_no_dot(qube: Qube, relay_b: Relay, way: str) -> None:
    """Each domain without a dot was once taken for a name of this qube: replies lost their thread."""
    got = sent(qube, relay_b, way, OF_OTHERS)
    missing = {name: value for name, value in OF_OTHERS.items() if f"{name}: {value}\n" not in got}
    assert missing == {}, got


OWN = {
    "literal": {"Cc": "user@[127.0.0.1], Joe <x@y.test>", "Reply-To": "root@[IPv6:::1]"},
    "literal of loopback or of Qubes": {"Cc": "user@[127.0.0.53]", "Reply-To": "user@[10.137.0.6]"},
    "dot behind": {"Reply-To": f"user@{NAME}.", "Cc": "root@localhost., user@localhost.localdomain."},
    "long name": {"Sender": f"user@{NAME}.localdomain", "Cc": f"root@{NAME.upper()}.LOCALDOMAIN."},
    "name in front": {"Sender": f'"user" <user@{NAME}>', "Reply-To": f"root <root@{NAME}.>"},
    "name behind": {"Sender": f"user@{NAME} (user)", "Reply-To": "root@localhost (root)"},
    "names in a list": {"Cc": f'"user" <user@{NAME}>, Joe <x@y.test>, root <root@[127.0.0.1]>'},
    "program": {
        "User-Agent": "x",
        "X-Mailer": "user",
        "X-Originating-IP": "[10.137.0.6]",
        "X-Sender": "user@c.test",
    },
    "passed on by this qube alone": {"User-Agent": "user", "Received": f"from x by {NAME} with POP3"},
    "ids": {"Message-ID": f"<1@{NAME}>", "References": f"<2@{NAME}> <3@taiga> <4@{NAME}.localdomain>"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", OWN)
def test_own_names_do_not_leave(qube: Qube, relay_b: Relay, form: str, way: str) -> None:
    got = sent(qube, relay_b, way, OWN[form]).lower()
    told_words = (NAME, "user", "root", "127.0.0", "::1", "10.137", "@localhost>", "@localhost.\n")
    assert [word for word in told_words if word in got] == [], got
    kept = [word for word in ("joe <x@y.test>", "<3@taiga>") if word in str(OWN[form]).lower()]
    assert [word for word in kept if word not in got] == [], got


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sender", [f'"user" <user@{NAME}>', f"user@{NAME} (user)", "root <root@localhost>"])
def test_name_before_the_own_address_does_not_leave(
    qube: Qube, relay_b: Relay, sender: str, way: str
) -> None:
    subject = unique()
    text = f"From: {sender}\nTo: {RECIPIENT}\nSubject: {subject}\n\nx\n"
    if way == "sendmail":
        qube.run("sendmail", "-f", BOB.address, "-t", stdin=text, user="user")
    else:
        script = "import smtplib, sys; smtplib.SMTP('127.0.0.1').sendmail(*sys.argv[1:3], sys.stdin.read())"
        qube.run("python3", "-c", script, BOB.address, RECIPIENT, stdin=text, user="user")
    got = head(relay_b.wait_for(subject, diagnosis=qube.diagnosis))
    assert [word for word in (NAME, "user", "root") if word in got] == [], got
    assert f"{ALICE.address}" in got


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sender", [f"user@{NAME}", f"root@{NAME}.localdomain.", "user@localhost"])
def test_own_sender_leaves_by_the_default_account(qube: Qube, relay_a: Relay, sender: str, way: str) -> None:
    subject = unique()
    send = qube.send if way == "sendmail" else qube.send_smtp
    send(sender=sender, to=RECIPIENT, subject=subject)
    mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    assert NAME not in head(mail)


@pytest.mark.parametrize("domain", ["gmail", "com", "nas", "my-secret", "gmail."])
def test_recipient_without_a_dot_is_told_to_the_user(qube: Qube, relay_a: Relay, mx: MX, domain: str) -> None:
    """It was once delivered to the user's own address, without a word."""
    subject = unique()
    qube.send(sender=ALICE.address, to=[f"friend@{domain}", RECIPIENT], subject=subject)
    mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    assert mail.recipients == [RECIPIENT]
    report = told(qube, subject)
    assert f"<friend@{domain.rstrip('.')}" in report
    assert "domain" in report
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert len(relay_a.received(subject)) == 1
    assert mx.received(subject) == []


@pytest.mark.parametrize("recipient", ["friend@gmail", "friend@[10.137.0.77]"])
def test_recipient_inside_no_network_is_told_by_smtp_too(
    qube: Qube, relay_a: Relay, mx: MX, recipient: str
) -> None:
    subject = unique()
    answers = qube.send_smtp(sender=ALICE.address, to=recipient, subject=subject)
    if "data" in answers:
        assert f"<{recipient}>:" in refused(qube, subject, relay_a, mx)
    else:
        assert answers[recipient][0] >= 500
    assert relay_a.received(subject) == []


@pytest.mark.parametrize(
    "recipient", ["user", "user@localhost", f"root@{NAME}", "user@[127.0.0.1]", "user+x"]
)
def test_own_recipient_is_local(qube: Qube, relay_a: Relay, recipient: str) -> None:
    subject = unique()
    qube.send(to=recipient, subject=subject)
    qube.wait_for(lambda: [m for m in qube.maildir() if m["Subject"] == subject], "the mail in the maildir")
    assert relay_a.received(subject) == []


def test_earlier_and_present_name_are_known_after_a_rename(
    lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay
) -> None:
    """A renamed qube, or a clone of a clone: each name that mail was queued under, and no other."""
    assert relay_a.running
    first = lab.qube(unique("first-name"), template=prepared, pillar=pillar(ALICE, BOB))
    assert direct.run(first).error is None
    first.shutdown()
    second = first.clone(unique("second"))
    second.start()
    second.shutdown()
    third = second.clone(unique("third.name"))
    third.start()
    names = (first.name, second.name, third.name)
    for way in WAYS:
        headers = {
            "Message-ID": f"<1@{third.name}>",
            "References": " ".join(f"<{number}@{name}>" for number, name in enumerate(names)) + " <4@fourth>",
            "Cc": f"user@{first.name}, root@{second.name}., x@fourth",
            "Reply-To": f"user@{third.name}",
        }
        got = sent(third, relay_b, way, headers)
        assert [name for name in names if name in got] == [], got
        assert "<4@fourth>" in got
        assert "x@fourth" in got
    for name in (first.name, second.name):
        subject = unique()
        third.send(to=f"user@{name}", subject=subject)
        third.wait_for(
            lambda subject=subject: [m for m in third.maildir() if m["Subject"] == subject], "the local mail"
        )
    # What the boot has written is what an apply writes.
    assert direct.run(third).changes == {}
    for made in (first, second, third):
        lab.remove(made)
