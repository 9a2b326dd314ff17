# SPDX-License-Identifier: Apache-2.0
"""Relays that are reached over IPv6 only, from a qube that has it; one that has none is as if there were no IPv6."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .network import in_namespace
from .scripted import Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

ADDRESS = "fd00:138::6"
SID = {"address": "sid@six.test", "relay": "smtp.six.test", "password": "sids-password"}


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    """Give a relay that has an address of IPv6 only."""
    relay = Scripted(lab, "smtp.six.test", {587: Port()})
    in_namespace(relay.host.leader, "ip", "-6", "address", "add", f"{ADDRESS}/64", "dev", "eth0", "nodad")
    lab.network.add_name("smtp.six.test", ADDRESS)
    return relay


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Iterator[Qube]:
    qube = lab.qube(unique("mail"), template=prepared)
    yield qube
    lab.remove(qube)


def listeners(qube: Qube) -> set[str]:
    """Return the addresses where Postfix listens."""
    return {
        line.split()[3]
        for line in qube.run("ss", "-lntH").stdout.splitlines()
        if line.split()[3].endswith(":25")
    }


def told_of_ipv6(qube: Qube) -> list[str]:
    lines = qube.run("journalctl", "-o", "cat", "-u", "postfix*").stdout.splitlines()
    return [line for line in lines if re.search("IPv6|inet_protocols|unreachable|address family", line)]


def test_qube_without_ipv6_knows_nothing_of_it(qube: Qube, scripted: Scripted, relay_a: Relay) -> None:
    assert scripted.host.running
    qube.pillar = pillar(SID, ALICE)
    assert direct.run(qube).error is None
    assert listeners(qube) == {"127.0.0.1:25"}
    qube.send(sender=SID["address"], to=RECIPIENT, subject=unique())
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login

    def reason() -> list[str]:
        return [mail["recipients"][0].get("delay_reason", "") for mail in qube.queue()]

    (why,) = qube.wait_for(lambda: [text for text in reason() if text], "the reason")
    assert "Host found but no data record of requested type" in why
    assert told_of_ipv6(qube) == []


def test_qube_that_gets_ipv6_reaches_such_a_relay(qube: Qube, scripted: Scripted, relay_a: Relay) -> None:
    in_namespace(qube.leader, "ip", "-6", "address", "add", "fd00:138::9/64", "dev", "eth0", "nodad")
    qube.pillar = pillar(SID, ALICE)
    assert direct.run(qube).error is None
    assert direct.run(qube).changes == {}
    subject = unique()
    qube.send(sender=SID["address"], to=RECIPIENT, subject=subject)
    assert scripted.wait_for(subject, diagnosis=qube.diagnosis).login == SID["address"]
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
    # As before, nobody but this qube reaches it, and nobody but the user hands mail in.
    assert listeners(qube) == {"127.0.0.1:25", "[::1]:25"}
    answers = qube.send_smtp(sender=ALICE.address, to=RECIPIENT, user="nobody", host="::1")
    assert [code for code, _ in answers.values() if code >= 500]
    subject = unique()
    qube.send_smtp(sender=ALICE.address, to=RECIPIENT, subject=subject, host="::1")
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_relay_given_by_an_address_of_ipv6_is_pinned(qube: Qube, scripted: Scripted) -> None:
    pin = {"fingerprint": [scripted.host.certificate.fingerprint]}
    qube.pillar = pillar(SID | {"relay": ADDRESS.upper(), "tls": pin})
    assert direct.run(qube).error is None
    subject = unique()
    qube.send(sender=SID["address"], to=RECIPIENT, subject=subject)
    assert scripted.wait_for(subject, diagnosis=qube.diagnosis).login == SID["address"]


def test_address_of_ipv6_that_leads_nowhere_holds_nothing_up(
    lab: Lab, qube: Qube, scripted: Scripted
) -> None:
    """A relay with both kinds, where the network does not carry IPv6: it is not even tried."""
    dead = "fd00:138::dead"
    lab.network.add_name("dual.six.test", f"{scripted.host.address},{dead}")
    qube.pillar = pillar(
        SID | {"relay": "dual.six.test", "tls": {"fingerprint": [scripted.host.certificate.fingerprint]}}
    )
    assert direct.run(qube).error is None
    for _ in range(4):
        subject = unique()
        qube.send(sender=SID["address"], to=RECIPIENT, subject=subject)
        scripted.wait_for(subject, diagnosis=qube.diagnosis)
    log = qube.run("journalctl", "-o", "cat", "-u", "postfix*").stdout
    assert "relay=dual.six.test[" in log
    assert f"connect to dual.six.test[{dead}]" not in log
