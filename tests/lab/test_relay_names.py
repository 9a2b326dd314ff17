# SPDX-License-Identifier: Apache-2.0
"""The relay is told by which name it is asked (SNI), so that the certificate that is verified is the one that is meant.

Google's submission servers show a self-signed certificate to a client that does not say it, and shared hosts one of
another name (TLS_README of Postfix, tls_server_sni_maps).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT

from . import direct
from .accounts import RECIPIENT, pillar, unique
from .scripted import Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .certificates import Certificate
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

DOCUMENT = ROOT / "docs/relays.md"
USER = "sue@sni.test"
# What it shows by name; by none of them, a self-signed one.
NAMES = {
    "smtp.sni.test": ("smtp.sni.test", "valid"),
    "wild.sni.test": ("*.sni.test", "valid"),
    "pinned.sni.test": ("pinned.sni.test", "self-signed"),
    "other.sni.test": ("smtp.sni.test", "valid"),
}


@pytest.fixture(scope="module")
def certificates(lab: Lab) -> dict[str, Certificate]:
    return {name: lab.authority.issue(*what) for name, what in NAMES.items()}


@pytest.fixture(scope="module")
def relay(lab: Lab, certificates: dict[str, Certificate]) -> Relay:
    """Give a relay that has several names, and a certificate for each."""
    settings = {"tls_server_sni_maps": "texthash:/etc/postfix/sni"}
    relay = lab.relay(
        "smtp.sni.test", users={USER: "sues-password"}, certificate="self-signed", settings=settings
    )
    for name, certificate in certificates.items():
        relay.write(f"/etc/postfix/{name}.pem", certificate.key + certificate.certificate)
        lab.network.add_name(name, relay.address)
    relay.write("/etc/postfix/sni", "".join(f"{name} /etc/postfix/{name}.pem\n" for name in NAMES))
    relay.run("postfix", "reload")
    return relay


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Iterator[Qube]:
    qube = lab.qube(unique("mail"), template=prepared)
    yield qube
    lab.remove(qube)


def delivers(qube: Qube, host: Relay, settings: dict[str, str] | None = None, **account: object) -> None:
    """Apply one account to the qube, and see its mail arrive by its login."""
    record = {"address": USER, "relay": "smtp.sni.test", "password": "sues-password", **account}
    qube.pillar = pillar(record, settings=settings or {})
    assert direct.run(qube).error is None
    for _ in range(3):  # The later ones go by the same connection, where it is reused.
        subject = unique()
        qube.send(sender=USER, to=RECIPIENT, subject=subject)
        assert host.wait_for(subject, diagnosis=qube.diagnosis).login == USER


def waits(qube: Qube, host: Relay, **account: object) -> str:
    """Apply one account to the qube, see that its mail waits, and return why."""
    record = {"address": USER, "relay": "smtp.sni.test", "password": "sues-password", **account}
    qube.pillar = pillar(record)
    assert direct.run(qube).error is None
    before, subject = len(host.logins()), unique()
    qube.send(sender=USER, to=RECIPIENT, subject=subject)

    def deferred() -> list[str]:
        mails = [mail for mail in qube.queue() if mail["queue_name"] == "deferred"]
        return [mail["recipients"][0]["delay_reason"] for mail in mails]

    (why,) = qube.wait_for(deferred, "the mail in the queue")
    assert len(host.logins()) == before
    qube.run("postsuper", "-d", "ALL")
    return str(why)


@pytest.mark.parametrize("reuse", ["yes", "no"])
@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize("name", ["SMTP.sni.test", "wild.sni.test"])
def test_certificate_of_the_relay_s_name_is_asked_for(
    qube: Qube, relay: Relay, name: str, port: int, reuse: str
) -> None:
    delivers(qube, relay, {"smtp_tls_connection_reuse": reuse}, relay=name, port=port)


@pytest.mark.parametrize("port", [587, 465])
def test_fingerprint_that_the_documented_line_prints_is_the_one_to_pin(
    qube: Qube, relay: Relay, certificates: dict[str, Certificate], port: int
) -> None:
    name = "pinned.sni.test"
    text = DOCUMENT.read_text(encoding="utf-8")
    (line,) = re.findall(rf"^openssl s_client .*RELAY:{port} .*$", text, re.MULTILINE)
    printed = relay.run("sh", "-c", line.replace("RELAY", name)).stdout
    fingerprint = printed.strip().rpartition("=")[2]
    assert fingerprint == certificates[name].fingerprint
    delivers(qube, relay, relay=name, port=port, tls={"fingerprint": [fingerprint]})


@pytest.mark.parametrize("port", [587, 465])
def test_relay_given_by_address_is_pinned(qube: Qube, relay: Relay, port: int) -> None:
    delivers(
        qube, relay, relay=relay.address, port=port, tls={"fingerprint": [relay.certificate.fingerprint]}
    )


def test_relay_given_by_address_is_asked_without_a_name(lab: Lab, qube: Qube) -> None:
    """An address is no name for SNI (RFC 6066 3), and some servers break off when they get one."""
    scripted = Scripted(lab, "smtp.who.test", {587: Port()})
    pin = {"fingerprint": [scripted.host.certificate.fingerprint]}
    for relay, asked in ((scripted.host.address, "SNI None"), (scripted.name, f"SNI {scripted.name}")):
        qube.pillar = pillar({"address": USER, "relay": relay, "password": "sues-password", "tls": pin})
        assert direct.run(qube).error is None
        subject = unique()
        qube.send(sender=USER, to=RECIPIENT, subject=subject)
        scripted.wait_for(subject, diagnosis=qube.diagnosis)
        assert [event.what for event in scripted.events() if event.what.startswith("SNI")][-1] == asked


def test_certificate_of_another_name_is_still_refused(qube: Qube, relay: Relay) -> None:
    assert waits(qube, relay, relay="other.sni.test") == "Server certificate not verified"


def test_pin_of_the_certificate_that_is_shown_without_a_name_matches_no_other(
    qube: Qube, relay: Relay
) -> None:
    tls = {"fingerprint": [relay.certificate.fingerprint]}
    assert waits(qube, relay, relay="pinned.sni.test", tls=tls) == "Server certificate not verified"
