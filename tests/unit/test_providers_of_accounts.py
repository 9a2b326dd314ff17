# SPDX-License-Identifier: Apache-2.0
"""An account is an address and a password: the rest follows the provider of the address, unless it is given."""

from typing import Any

import pytest

import smarthost_providers
from smarthost_pillar import check, problems
from tests.samples import FINGERPRINT, SECRET


def account(address: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    (read,) = check({"accounts": [{"address": address, "password": SECRET, **more}]})[0]["accounts"]
    return read


def told(address: str, **more: Any) -> list[str]:  # noqa: ANN401
    return problems({"accounts": [{"address": address, "password": SECRET, **more}]})


@pytest.mark.parametrize(
    ("address", "way"),
    [
        ("you@gmail.com", ("smtp.gmail.com", 465, "implicit", "you@gmail.com")),
        ("You@GoogleMail.com", ("smtp.gmail.com", 465, "implicit", "You@GoogleMail.com")),
        ("you@icloud.com", ("smtp.mail.me.com", 587, "starttls", "you@icloud.com")),
        ("you@web.de", ("smtp.web.de", 465, "implicit", "you")),
        ("you@disroot.org", ("disroot.org", 465, "implicit", "you")),
        ("you@mailbox.org", ("smtp.mailbox.org", 465, "implicit", "you@mailbox.org")),
    ],
)
def test_relay_port_tls_and_user_name_follow_the_provider(address: str, way: tuple) -> None:
    assert told(address) == []
    read = account(address)
    assert (read["relay"], read["port"], read["tls_mode"], read["username"]) == way
    assert read["derived"] == ["relay", "port", "tls:mode", "username"]


@pytest.mark.parametrize(
    ("more", "way", "derived"),
    [
        ({"username": "me"}, ("smtp.web.de", 465, "implicit", "me"), ["relay", "port", "tls:mode"]),
        # Another port has the TLS mode that is usual there.
        ({"port": 587}, ("smtp.web.de", 587, "starttls", "you"), ["relay", "tls:mode", "username"]),
        (
            {"tls": {"mode": "starttls"}},
            ("smtp.web.de", 465, "starttls", "you"),
            ["relay", "port", "username"],
        ),
        (
            {"tls": {"fingerprint": [FINGERPRINT]}},
            ("smtp.web.de", 465, "implicit", "you"),
            ["relay", "port", "tls:mode", "username"],
        ),
        # Whoever names a relay has said how it is reached, as before there were providers.
        ({"relay": "mail.example.com"}, ("mail.example.com", 587, "starttls", "you@web.de"), []),
        ({"relay": "smtp.web.de"}, ("smtp.web.de", 587, "starttls", "you@web.de"), []),
        ({"relay": "smtp.web.de", "port": 465}, ("smtp.web.de", 465, "implicit", "you@web.de"), []),
    ],
)
def test_each_can_be_given(more: dict[str, Any], way: tuple, derived: list[str]) -> None:
    assert told("you@web.de", **more) == []
    read = account("you@web.de", **more)
    assert (read["relay"], read["port"], read["tls_mode"], read["username"]) == way
    assert read["derived"] == derived


@pytest.mark.parametrize(
    ("address", "more", "sentence"),
    [
        (
            "you@example.com",
            {},
            "example.com is no provider that is known here: give relay, the host name of its submission server.",
        ),
        (
            "you@gmial.com",
            {},
            "gmial.com is no provider that is known here: did you mean gmail.com? Else give relay, the host name of its"
            " submission server.",
        ),
        (
            "you@outlook.com",
            {},
            "smtp-mail.outlook.com takes no passwords any more: give auth: xoauth2 (docs/oauth.md).",
        ),
        (
            "you@example.com",
            {"relay": "SMTP-mail.outlook.com"},
            "smtp-mail.outlook.com takes no passwords any more: give auth: xoauth2 (docs/oauth.md).",
        ),
        (
            "you@onmicrosoft.com",
            {},
            "smtp.office365.com takes passwords only where the administrator has allowed them (SMTP AUTH): give relay:"
            " smtp.office365.com if so, else auth: xoauth2 (docs/oauth.md).",
        ),
        (
            "you@proton.me",
            {},
            "Proton Mail takes mail only through Proton Mail Bridge: with Bridge in this qube give relay: 127.0.0.1,"
            " port: 1025 and tls:fingerprint with that of its certificate, and as password the one that Bridge shows.",
        ),
        (
            "you@tuta.com",
            {},
            "Tuta gives no access by SMTP, by its own programs only: take an account of another provider.",
        ),
        (
            "you@mailfence.com",
            {},
            "username must be given: for smtp.mailfence.com it is not the address.",
        ),
    ],
)
def test_what_does_not_follow_is_asked_for(address: str, more: dict[str, Any], sentence: str) -> None:
    assert told(address, **more) == [f"Account 1 ({address}): {sentence}"]


@pytest.mark.parametrize(
    ("address", "more"),
    [
        ("you@example.com", {"relay": "smtp.office365.com"}),
        ("you@proton.me", {"relay": "127.0.0.1", "port": 1025, "tls": {"fingerprint": [FINGERPRINT]}}),
        ("you@mailfence.com", {"username": "you"}),
        # A proxy that logs in by OAuth2.
        ("you@outlook.com", {"relay": "mail.example.com"}),
    ],
)
def test_the_ways_out_are_taken(address: str, more: dict[str, Any]) -> None:
    assert told(address, **more) == []


def test_two_accounts_at_one_provider_agree() -> None:
    record = {"accounts": [{"address": f"{name}@gmail.com", "password": "x"} for name in ("me", "you")]}
    assert problems(record) == []


def test_what_was_derived_is_told_with_where_the_password_comes_from() -> None:
    accounts = [
        account("you@gmail.com"),
        account("you@posteo.de", port=587),
        account("a@b.example", relay="c.d"),
    ]
    assert smarthost_providers.derived(accounts) == [
        "you@gmail.com leaves by smtp.gmail.com, port 465, TLS mode implicit: relay, port, tls:mode, username"
        " follow its provider. Google wants an app password, for which 2-Step Verification has to be on:"
        " https://myaccount.google.com/apppasswords.",
        "you@posteo.de leaves by posteo.de, port 587, TLS mode starttls: relay, tls:mode, username follow"
        " its provider.",
    ]
