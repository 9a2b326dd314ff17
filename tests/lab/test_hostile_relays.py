# SPDX-License-Identifier: Apache-2.0
"""Whatever a relay or the network does, a password goes to a verified relay only, and the message waits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .hostile import NAME, WAYS, Hostile
from .search import forms
from .tuning import set_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay


@pytest.fixture(scope="module")
def hostile(lab: Lab, relay_a: Relay) -> Hostile:
    return Hostile(lab, relay_a)


@pytest.fixture(scope="module")
def subjects() -> dict[str, str]:
    return {name: unique() for name in WAYS}


@pytest.fixture(scope="module")
def sent(lab: Lab, prepared: Template, hostile: Hostile, relay_b: Relay, subjects: dict[str, str]) -> Qube:
    """Give a qube with an account at each hostile port, and two good ones, from which a mail was sent each."""
    assert relay_b.running
    records = [
        {
            "address": way.address,
            "relay": NAME,
            "port": way.port,
            "password": way.password,
            "tls": {"mode": "implicit" if way.implicit else "starttls"},
        }
        for way in WAYS.values()
    ]
    qube = lab.qube("mail-hostile", template=prepared, pillar=pillar(ALICE, *records, BOB))
    qube.apply("postfix_smarthost").check()
    # A relay that hangs is given up after so long; by itself, Postfix waits for five minutes.
    set_parameters(qube, smtp_helo_timeout="10s")
    for name, way in WAYS.items():
        qube.send(sender=way.address, to=RECIPIENT, subject=subjects[name])
    for way in WAYS.values():
        qube.wait_for(lambda way=way: hostile.got(way), f"a connection to port {way.port}", timeout=90)
    return qube


@pytest.mark.parametrize("name", WAYS)
def test_message_waits_with_a_reason_and_no_password_is_sent(
    sent: Qube, hostile: Hostile, subjects: dict[str, str], mx: MX, name: str
) -> None:
    way = WAYS[name]

    def waiting() -> list[dict]:
        found = [mail for mail in sent.queue() if mail["sender"] == way.address]
        return [mail for mail in found if mail["queue_name"] == "deferred"]

    (mail,) = sent.wait_for(waiting, f"the message for {name} in the queue", timeout=60)
    (recipient,) = mail["recipients"]
    assert re.search(way.reason, recipient["delay_reason"], re.IGNORECASE), recipient
    got = "".join(hostile.got(way))
    assert got
    assert subjects[name] not in got
    if not (way.verified and way.mode == "reject"):
        assert not re.search(r"\bAUTH\b", got, re.IGNORECASE), got
        assert [text for text in forms(way.password) if text in got] == []
    others = [other.password for other in WAYS.values() if other is not way]
    assert [text for text in forms(*others, ALICE.password, BOB.password) if text in got] == []
    assert mx.connections() == []


@pytest.mark.parametrize("account", [ALICE, BOB], ids=["STARTTLS", "implicit TLS"])
def test_other_accounts_keep_flowing(sent: Qube, relay_a: Relay, relay_b: Relay, account: object) -> None:
    subject = unique()
    sent.send(sender=account.address, to=RECIPIENT, subject=subject)
    relay = relay_a if account is ALICE else relay_b
    assert relay.wait_for(subject, diagnosis=sent.diagnosis).login == account.login


@pytest.mark.parametrize("impostor", ["self-signed", "valid"])
def test_pinned_fingerprint_lets_a_private_relay_in_and_only_that_key(
    lab: Lab, new_qube: Callable[..., Qube], impostor: str
) -> None:
    users = {"pin@private.test": "pinned-password", "key@private.test": "keyed-password"}
    private = lab.relay("smtp.private.test", users=users, certificate="self-signed")
    # Even one that the system's CAs vouch for.
    other = lab.relay(f"smtp.{impostor}.test", users=users, certificate=impostor)

    def record(address: str, relay: str, port: int, fingerprints: list[str]) -> dict:
        tls = {"fingerprint": fingerprints}
        return {"address": address, "relay": relay, "port": port, "password": users[address], "tls": tls}

    by_certificate = record("pin@private.test", private.name, 587, [private.certificate.fingerprint])
    by_key = record(
        "key@private.test", private.name, 465, ["00:" * 31 + "00", private.certificate.key_fingerprint]
    )
    qube = new_qube(pillar=pillar(by_certificate, by_key))
    qube.apply("postfix_smarthost").check()
    for address in users:
        subject = unique()
        qube.send(sender=address, to=RECIPIENT, subject=subject)
        assert private.wait_for(subject, diagnosis=qube.diagnosis).login == address

    # The same account and pin, but another key answers in the relay's place.
    qube.pillar = pillar(by_certificate | {"relay": other.name}, by_key)
    qube.apply("postfix_smarthost").check()
    subject = unique()
    qube.send(sender="pin@private.test", to=RECIPIENT, subject=subject)
    qube.wait_for(
        lambda: [mail for mail in qube.queue() if mail["queue_name"] == "deferred"], "the deferred mail"
    )
    assert other.logins() == []
    assert other.received() == []
