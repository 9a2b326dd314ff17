# SPDX-License-Identifier: Apache-2.0
"""Mail leaves through relays that behave as the big providers do, and docs/providers.md explains what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT

from . import direct, profiles
from .accounts import RECIPIENT, pillar, unique
from .outcome import reason, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .profiles import Refusal
    from .qube import Qube, Template
    from .scripted import Scripted

DOCUMENT = ROOT / "docs/providers.md"
OWN_DOMAIN = "smtp.office365.com"


@pytest.fixture(scope="module")
def providers(lab: Lab) -> Scripted:
    return profiles.start(lab)


def record(address: str, relay: str) -> dict[str, object]:
    """An account as a user writes it: the relay follows from the domain, but for a domain of one's own."""
    named = {"relay": relay} if relay == OWN_DOMAIN else {}
    return {"address": address, "password": "abcd efgh ijkl mnop", **named}


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, providers: Scripted) -> Iterator[Qube]:
    """Give a qube with an account for each profile, and for each user whom one refuses."""
    addresses = profiles.USERS | {
        refusal.login: refusal.relay for refusal in (*profiles.WAIT, *profiles.REPORTED)
    }
    assert providers.host.running
    qube = lab.qube(unique("mail"), template=prepared)
    qube.pillar = pillar(*(record(*account) for account in addresses.items()))
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


def send(qube: Qube, sender: str) -> str:
    subject = unique()
    qube.send(sender=sender, to=RECIPIENT, subject=subject)
    return subject


@pytest.mark.parametrize("address", profiles.USERS)
def test_address_and_password_send_through_the_provider(
    qube: Qube, providers: Scripted, address: str
) -> None:
    relay = profiles.USERS[address]
    got = providers.wait_for(send(qube, address), diagnosis=qube.diagnosis)
    assert got.login == ("you" if relay == "smtp.web.de" else address)
    assert f"SNI {relay}" in [event.what for event in providers.events()]
    (login,) = [event for event in providers.events() if (event.what, event.login) == ("login", got.login)][
        -1:
    ]
    assert login.mechanism in ("PLAIN", "LOGIN")


@pytest.mark.parametrize("refusal", profiles.WAIT, ids=lambda refusal: f"{refusal.login}: {refusal.says}")
def test_refused_login_waits_in_words_that_are_explained(
    qube: Qube, providers: Scripted, refusal: Refusal
) -> None:
    subject = send(qube, refusal.login)
    why = reason(qube, refusal.login)
    assert refusal.says in why
    assert f"`{refusal.says}`" in DOCUMENT.read_text(encoding="utf-8")
    assert "abcd" not in why
    assert "432" in why or providers.messages(subject) == []


@pytest.mark.parametrize("refusal", profiles.REPORTED, ids=lambda refusal: f"{refusal.relay}: {refusal.says}")
def test_refused_message_is_reported_in_words_that_are_explained(
    qube: Qube, providers: Scripted, refusal: Refusal
) -> None:
    if refusal.sender != refusal.login:
        account = record(refusal.login, refusal.relay) | {"senders": [refusal.sender]}
        qube.pillar = pillar(account)
        assert direct.run(qube).error is None
    assert providers.host.running
    report = told(qube, send(qube, refusal.sender))
    assert refusal.says in report
    assert f"`{refusal.says}`" in DOCUMENT.read_text(encoding="utf-8")
    assert qube.queue() == []


def test_google_puts_its_own_address_in_the_place_of_another(qube: Qube, providers: Scripted) -> None:
    """Nothing is refused: the recipient sees the login, as docs/providers.md says."""
    qube.pillar = pillar(record("you@gmail.com", "smtp.gmail.com") | {"senders": [profiles.OTHER]})
    assert direct.run(qube).error is None
    got = providers.wait_for(send(qube, profiles.OTHER), diagnosis=qube.diagnosis)
    assert got.login == "you@gmail.com"
    assert "From: you@gmail.com\r\n" in got.text
    assert f"MAIL FROM:<{profiles.OTHER}>" in " ".join(event.what for event in providers.events())
