# SPDX-License-Identifier: Apache-2.0
"""What the provider and the recipient see holds nothing of the qube."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

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
        {"Sender": f"user@{NAME}", "Reply-To": "user@localhost", "Cc": "root"},
    ],
    ids=["plain", "short host name", "long host name", "reply", "local addresses"],
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
        "Debian",
    ]
    told += [qube.run("postconf", "-dh", "mail_version").stdout.strip(), "Postfix"]
    assert {word for word in told if word in text} == set(), own + text
    assert not {"User-Agent", "X-Mailer", "X-Originating-IP"} & {*mail.message.keys()}
    assert mail.message["Message-ID"].strip().endswith("@localhost.localdomain>")
    # An address inside the qube stands for the default account, see SECURITY.md; else none is told of another.
    assert (ALICE.address in text) == ("Cc" in headers)


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
