# SPDX-License-Identifier: Apache-2.0
"""What the provider and the recipient see holds nothing of the qube."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Mail, Relay

NAME = "my-private-qube"


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Qube:
    assert relay_a.running
    assert relay_b.running
    made = lab.qube(NAME, template=prepared, pillar=pillar(ALICE, BOB))
    made.apply("postfix_smarthost").check()
    assert made.run("hostname").stdout.strip() == NAME
    return made


HEADERS = {
    "User-Agent": "Mutt/2.2.13 (2024-03-09)",
    "X-Mailer": "git-send-email 2.47.3",
    "X-Originating-IP": "[10.137.0.99]",
}


@pytest.mark.parametrize("way", ["sendmail", "smtp"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        HEADERS | {"Message-ID": f"<aGVsbG8@{NAME}>"},
        HEADERS | {"Message-ID": f"<aGVsbG8@{NAME}.localdomain>"},
        {
            "Message-ID": "<aGVsbG8@localhost>",
            "In-Reply-To": f"<earlier@{NAME}>",
            "References": f"<a@{NAME}> <b@elsewhere.test> <c@localhost>",
        },
        {"Sender": f"user@{NAME}", "Reply-To": "user@localhost", "Cc": "root, user"},
        {"Resent-From": f"user@{NAME}", "Resent-Sender": "user", "Resent-To": "root@localhost"},
        {
            "Delivered-To": "user@localhost.localdomain",
            "X-Original-To": "user",
            "Received": f"from imap.b.test by {NAME} with POP3 (fetchmail-6.4.37) for <user@localhost>",
        },
    ],
    ids=[
        "plain",
        "short host name",
        "long host name",
        "reply",
        "local addresses",
        "resent",
        "fetched before",
    ],
)
def test_arriving_message_holds_nothing_of_the_qube(
    qube: Qube, relay_b: Relay, way: str, headers: dict[str, str]
) -> None:
    subject = unique()
    send = qube.send if way == "sendmail" else qube.send_smtp
    send(sender=BOB.address, to=RECIPIENT, subject=subject, headers=headers)
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    # The first Received header is the relay's own, which names the address that the connection came from.
    received = mail.message.get_all("Received")
    assert len(received) == 1, received
    assert mail.helo == "[127.0.0.1]"
    assert mail.sender == BOB.address
    own, _, rest = mail.raw.decode().partition("\nSubject:")
    text = "\n".join(str(value) for name, value in mail.message.items() if name != "Received") + rest
    told = [
        NAME,
        qube.address,
        "10.137.",
        "uid 1000",
        "userid",
        "user@",
        "root@",
        "Mutt",
        "git-send-email",
        "fetchmail",
        "Debian",
    ]
    told += [qube.run("postconf", "-dh", "mail_version").stdout.strip(), "Postfix"]
    assert {word for word in told if word in text} == set(), own + text
    assert not {"User-Agent", "X-Mailer", "X-Originating-IP"} & {*mail.message.keys()}
    name = "Resent-Message-ID" if "Resent-From" in headers else "Message-ID"
    # That of any machine says nothing of this one.
    assert mail.message[name].strip().endswith(("@localhost.localdomain>", "@localhost>"))
    # None without a domain, as a bare local name is.
    assert [address for address in addresses(mail) if "." not in address.rpartition("@")[2]] == []
    # An address inside the qube stands for the default account, see SECURITY.md; else none is told of another.
    assert (ALICE.address in text) == ("Cc" in headers or "Resent-To" in headers)


ADDRESSES = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
)


def addresses(mail: Mail) -> list[str]:
    """Return all addresses in the header of a message."""
    return [
        address.addr_spec
        for name in ADDRESSES
        for value in mail.message.get_all(name, [])
        for address in getattr(value, "addresses", ())
    ]


@pytest.mark.parametrize("kind", ["clone", "disposable", "dotted"])
def test_whatever_the_qube_is_called_its_name_does_not_leave(
    lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay, kind: str
) -> None:
    """The name at the time of the apply was once all that was looked for, and only if it had no dot."""
    assert relay_a.running
    own = lab.qube("my.mail" if kind == "dotted" else unique("named"), template=prepared)
    own.pillar = pillar(ALICE, BOB, disposables=True)
    assert direct.run(own).error is None
    other = None
    if kind == "clone":
        own.shutdown()
        other = own.clone(unique("secret-clone"))
    elif kind == "disposable":
        own.shutdown()
        other = own.disposable(unique("disp"))
    qube = other or own
    if other:
        other.start()
    for send in (qube.send, qube.send_smtp):
        subject = unique()
        name = qube.name
        headers = {"Message-ID": f"<1@{name}>", "Sender": f"user@{name}", "Cc": f"root@{name}, x@y.test"}
        headers |= {"Received": f"from imap.b.test by {name} with POP3"}
        send(sender=BOB.address, to=RECIPIENT, subject=subject, headers=headers)
        mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
        text = "".join(
            f"{key}: {value}\n" for key, value in mail.message.items() if "smtp.b.test" not in value
        )
        assert qube.name not in text
        assert own.name not in text
        assert "x@y.test" in text
    for made in (other, own):
        if made:
            lab.remove(made)


def test_name_of_root_does_not_leave(qube: Qube, relay_b: Relay) -> None:
    """That sendmail(1) writes before the address of a message without From."""
    subject = unique()
    command = ("sendmail", "-f", BOB.address, RECIPIENT)
    qube.run(*command, stdin=f"Subject: {subject}\n\nx\n", user="root")
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    (author,) = mail.message["From"].addresses
    assert (author.display_name, author.addr_spec) == ("", BOB.address)


def test_mail_is_not_forwarded_by_a_file_in_a_home(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    """It left by the default account, whoever's file it was, with the local address in it."""
    qube.run("useradd", "--create-home", "forwarder")
    for user in ("user", "forwarder"):
        qube.write(f"/home/{user}/.forward", f"{RECIPIENT}\n", owner=f"{user}:{user}")
        subject = unique()
        qube.send(to=user, subject=subject, user="root")
        qube.wait_for(
            lambda user=user, subject=subject: [
                m for m in qube.maildir(user=user) if m["Subject"] == subject
            ],
            "the mail in the maildir",
        )
        assert [host.name for host in (relay_a, relay_b, mx) if host.received(subject)] == []
    qube.run("rm", "/home/user/.forward")


def test_local_sender_is_seen_as_the_account(qube: Qube, relay_a: Relay) -> None:
    subject = unique()
    qube.send(to=RECIPIENT, subject=subject)
    mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    assert NAME not in mail.raw.decode().partition("Subject:")[2]
    assert mail.message["From"].addresses[0].addr_spec == ALICE.address


def test_addresses_that_are_not_local_stay_as_they_are(qube: Qube, relay_a: Relay) -> None:
    subject = unique()
    headers = {
        "Message-ID": "<keep.this@elsewhere.test>",
        "References": "<a@b.test> <c@d.test>",
        "Cc": "x@y.test",
    }
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, headers=headers)
    mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    assert {name: str(mail.message[name]) for name in headers} == headers
