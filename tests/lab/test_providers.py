# SPDX-License-Identifier: Apache-2.0
"""An account that is an address and a password sends through the relay of its provider, by the login that it wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import RECIPIENT, unique

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

CONFIGURATION = "postfix_smarthost-appvm-configuration"
# Address, relay, and what the provider knows its user by: implicit TLS, a local part, and STARTTLS.
USERS = {
    "you@gmail.com": ("smtp.gmail.com", "you@gmail.com"),
    "you@web.de": ("smtp.web.de", "you"),
    "you@icloud.com": ("smtp.mail.me.com", "you@icloud.com"),
}
PASSWORD = "abcd efgh ijkl mnop"


def records(*addresses: str) -> dict[str, Any]:
    """The entry of a qube in qubes.yaml."""
    return {"accounts": [{"address": address, "password": PASSWORD} for address in addresses]}


@pytest.fixture(scope="module")
def relays(lab: Lab) -> dict[str, Relay]:
    return {
        address: lab.relay(relay, users={login: PASSWORD}, senders={address: login})
        for address, (relay, login) in USERS.items()
    }


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relays: dict[str, Relay]) -> Qube:
    assert all(relay.running for relay in relays.values())
    return lab.qube("mail-providers", template=prepared)


def test_address_and_password_are_an_account(lab: Lab, qube: Qube, relays: dict[str, Relay], mx: MX) -> None:
    with lab.qubesctl.qubes_yaml({qube.name: records(*USERS)}):
        applied = qube.apply("postfix_smarthost").check()
        comment = applied.states[CONFIGURATION]["comment"]
        assert "you@web.de leaves by smtp.web.de, port 465, TLS mode implicit" in comment
        assert "https://myaccount.google.com/apppasswords" in comment
        assert PASSWORD not in applied.printed + applied.logged
    for address, (_, login) in USERS.items():
        subject = unique()
        qube.send(sender=address, to=RECIPIENT, subject=subject)
        mail = relays[address].wait_for(subject, diagnosis=qube.diagnosis)
        assert (mail.login, mail.sender) == (login, address)
    assert direct.run(qube, "postfix_smarthost.status").result["senders"] == {
        "you@gmail.com": "[smtp.gmail.com]:465",
        "you@web.de": "[smtp.web.de]:465",
        "you@icloud.com": "[smtp.mail.me.com]:587",
    }
    assert mx.connections() == []


def test_status_says_where_the_password_of_a_refused_login_comes_from(
    qube: Qube, relays: dict[str, Relay]
) -> None:
    """The password of the account in place of an app password, as most do at first."""
    relays["you@gmail.com"].set_user("you@gmail.com", "another one", ["you@gmail.com"])
    assert direct.run(qube, pillar={"postfix_smarthost": records("you@gmail.com")}).error is None
    qube.send(sender="you@gmail.com", to=RECIPIENT, subject=unique())
    qube.wait_for(lambda: [mail for mail in qube.queue() if "said: 535" in str(mail)], "the refusal", 60)
    (waiting,) = direct.run(qube, "postfix_smarthost.status").result["waiting"]
    assert "refuses the user name or the password: 535" in waiting["reason"]
    assert "https://myaccount.google.com/apppasswords" in waiting["way_out"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("you@gmial.com", "did you mean gmail.com?"),
        ("you@outlook.com", "takes no passwords any more"),
        ("you@proton.me", "Proton Mail Bridge"),
        ("you@tuta.com", "take an account of another provider"),
        ("you@example.org", "give relay, the host name of its submission server."),
    ],
)
def test_provider_that_cannot_be_reached_so_is_told(qube: Qube, address: str, words: str) -> None:
    before = qube.tree("/rw")
    said = direct.run(qube, pillar={"postfix_smarthost": records(address)})
    assert said.error is not None
    (sentence,) = said.error.splitlines()
    assert sentence.startswith(f"Account 1 ({address}): ")
    assert words in sentence
    assert PASSWORD not in sentence
    assert said.steps == []
    assert qube.tree("/rw") == before
