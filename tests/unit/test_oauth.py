# SPDX-License-Identifier: Apache-2.0
"""Accounts that log in by XOAUTH2: their record, their addresses of loopback, and what endpoints say."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import smarthost_in_use
import smarthost_oauth
import smarthost_oauth_access
import smarthost_oauth_endpoint
import smarthost_oauth_tokens
import smarthost_reasons
import smarthost_relays
from smarthost_oauth_endpoint import NoAnswer
from smarthost_oauth_login import xoauth2
from smarthost_oauth_proxy import _hello
from smarthost_oauth_tokens import Room, Tokens
from smarthost_pillar import normalise, problems
from smarthost_places import Places
from tests.samples import ALICE, SECRET

if TYPE_CHECKING:
    from pathlib import Path

MICROSOFT = {"address": "me@outlook.com", "auth": "xoauth2", "oauth": {"client_id": "an-id"}}
GOOGLE = {
    "address": "me@gmail.com",
    "auth": "xoauth2",
    "oauth": {"client_id": "an-id", "client_secret": SECRET.replace(" ", "-")},
}


def accounts(*records: dict[str, Any]) -> list[dict[str, Any]]:
    record = {"accounts": [*records]}
    assert problems(record) == []
    return normalise(record)["accounts"]  # type: ignore[no-any-return]


def test_a_known_provider_needs_a_client_id_alone() -> None:
    microsoft, google = accounts(MICROSOFT, GOOGLE)
    place = "https://login.microsoftonline.com/common/oauth2/v2.0"
    assert microsoft["relay"] == "smtp-mail.outlook.com"
    assert microsoft["oauth"] == {
        "client_id": "an-id",
        "client_secret": "",
        "token_endpoint": f"{place}/token",
        "device_endpoint": f"{place}/devicecode",
        "authorization_endpoint": f"{place}/authorize",
        "scope": "offline_access https://outlook.office.com/SMTP.Send",
    }
    assert google["relay"] == "smtp.gmail.com"
    assert google["oauth"]["scope"] == "https://mail.google.com/"
    assert google["oauth"]["device_endpoint"] == ""
    assert (microsoft["password"], google["password"]) == ("", "")


def test_tenant_and_fetching_are_in_what_microsoft_is_asked() -> None:
    (made,) = accounts(MICROSOFT | {"oauth": {"client_id": "x", "tenant": "example.org"}, "fetch": True})
    assert (
        made["oauth"]["token_endpoint"] == "https://login.microsoftonline.com/example.org/oauth2/v2.0/token"
    )
    assert made["oauth"]["scope"].split()[1:] == [
        "https://outlook.office.com/SMTP.Send",
        "https://outlook.office.com/IMAP.AccessAsUser.All",
    ]
    assert made["fetch"]["password"] == ""


def test_a_domain_of_ones_own_with_a_known_relay() -> None:
    own = {"address": "me@own.example", "relay": "smtp.office365.com"}
    (made,) = accounts(MICROSOFT | own)
    assert "microsoftonline" in made["oauth"]["token_endpoint"]
    # What is given goes before what is known.
    given = {"client_id": "x", "provider": "microsoft", "scope": "other"}
    assert accounts(MICROSOFT | {"oauth": given})[0]["oauth"]["scope"] == "other"


def test_each_account_has_an_address_that_is_its_own_whoever_else_is_there() -> None:
    one, two = accounts(MICROSOFT, GOOGLE)
    both = smarthost_oauth.addresses([one, two])
    assert smarthost_oauth.addresses([two]) == {"me@gmail.com": both["me@gmail.com"]}
    many = [{**one, "address": f"me{number}@outlook.com"} for number in range(20_000)]
    found = smarthost_oauth.addresses(many)
    assert len({*found.values()}) == len(many)
    for address in found.values():
        first, second, _, last = (int(part) for part in address.split("."))
        assert first == 127
        assert 64 <= second <= 191
        assert 1 <= last <= 254


def test_mail_goes_to_the_proxy_and_no_password_is_looked_up() -> None:
    made = accounts(MICROSOFT | {"senders": ["me@alias.example"]}, ALICE)
    address = smarthost_oauth.addresses(made)["me@outlook.com"]
    routes = smarthost_relays.routes(made)
    assert routes["me@outlook.com"] == routes["me@alias.example"] == f"smtp-xoauth2:[{address}]:587"
    assert list(smarthost_relays.logins(made)) == ["alice@example.com"]
    facts = json.loads(smarthost_oauth.facts(made))
    assert list(facts) == ["me@outlook.com"]
    assert facts["me@outlook.com"]["listen"] == address
    assert facts["me@outlook.com"]["servers"]["smtp"]["server"] == "smtp-mail.outlook.com"


def test_tokens_are_for_one_user_client_and_purpose() -> None:
    (made,) = accounts(MICROSOFT)
    name = smarthost_oauth.tokens_name(made)
    for key in ("client_id", "token_endpoint", "scope"):
        assert smarthost_oauth.tokens_name({**made, "oauth": {**made["oauth"], key: "other"}}) != name
    assert smarthost_oauth.tokens_name({**made, "username": "other"}) != name
    assert smarthost_oauth.tokens_name({**made, "relay": "other", "default": True}) == name


def test_what_logs_in_is_as_the_providers_have_it() -> None:
    # The example of developers.google.com/gmail/imap/xoauth2-protocol.
    token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    assert xoauth2("someuser@example.com", token) == (
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52"
        "YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


@pytest.mark.parametrize(
    ("offers", "kept"),
    [
        (["a", "STARTTLS", "AUTH XOAUTH2", "SIZE 5"], b"250-a\r\n250 SIZE 5\r\n"),
        (["a", "SIZE", "auth=LOGIN", "starttls"], b"250-a\r\n250 SIZE\r\n"),
        (["a", "AUTH LOGIN"], b"250 a\r\n"),
    ],
)
def test_what_is_done_already_is_not_offered(offers: list[str], kept: bytes) -> None:
    assert _hello(offers) == kept


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"error": "invalid_grant"}, "withdrawn", "h gives no token (invalid_grant)"),
        (400, {"error": "interaction_required"}, "withdrawn", "h gives no token (interaction_required)"),
        (401, {"error": "invalid_client"}, "refused", "h gives no token (invalid_client)"),
        (400, {"error": "authorization_pending"}, "refused", "h gives no token (authorization_pending)"),
        (503, {"error": "x"}, "trouble", "h gives no token (x)"),
        (429, {}, "trouble", "h gives no token (HTTP status 429)"),
        (400, {"error": "temporarily_unavailable"}, "trouble", "h gives no token (temporarily_unavailable)"),
        (200, {"error": "invalid_grant"}, "withdrawn", "h gives no token (invalid_grant)"),
        (400, {"error": {"code": 5}}, "refused", "h gives no token (HTTP status 400)"),
        (
            400,
            {"error": "e", "error_description": "a secret-of-16-letters b\r\n\x1b[1m \u00e4 Trace ID: 5"},
            "refused",
            "h gives no token (e: a *** b [1m ?)",
        ),
    ],
)
def test_what_an_endpoint_says(status: int, body: dict[str, Any], kind: str, text: str) -> None:
    with pytest.raises(NoAnswer) as told:
        smarthost_oauth_endpoint._answer("h", status, json.dumps(body).encode(), ["secret-of-16-letters"])
    assert (told.value.kind, told.value.text) == (kind, text)


@pytest.mark.parametrize("life", [None, "3600", "soon", -5, 10**9, {}])
def test_a_life_that_cannot_be_read_is_an_hour_at_most_a_day(life: object) -> None:
    answer = {"access_token": "a", "refresh_token": "r"} | ({} if life is None else {"expires_in": life})
    left = smarthost_oauth_access.taken(answer, "h").expires - time.time()
    assert -2 < left <= 86400


def test_an_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    assert smarthost_oauth_access.taken({"access_token": "a"}, "h", "old").refresh == "old"
    with pytest.raises(NoAnswer):
        smarthost_oauth_access.taken({"access_token": "a"}, "h")


def test_room_is_there_before_the_tokens_are(tmp_path: Path) -> None:
    file = tmp_path / "tokens" / "x.json"
    room = Room(str(file))
    assert os.stat(file.parent).st_mode & 0o777 == 0o700
    assert os.stat(f"{file}.new").st_size > 40_000
    tokens = Tokens("r" * 16_000, "a" * 16_000, 5)
    room.fill(tokens)
    room.leave()
    assert smarthost_oauth_tokens.load(str(file)) == tokens
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert os.listdir(file.parent) == ["x.json"]
    # One that is given up leaves what was.
    Room(str(file)).leave()
    assert smarthost_oauth_tokens.load(str(file)) == tokens


def test_configuration_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the services would take tables that are gone for a configuration without accounts, and end."""
    places = Places(str(tmp_path))
    looks = iter([[1], [2], [2], [2]])
    monkeypatch.setattr(smarthost_in_use, "seen", lambda _: next(looks))
    found = iter(["nothing", "accounts"])
    assert smarthost_in_use.as_seen(places, lambda _: next(found)) == ([2], "accounts")


def test_tokens_of_accounts_that_are_gone_go(tmp_path: Path) -> None:
    places = Places(str(tmp_path))
    for name in ("a.json", "b.json", "b.json.new"):
        (tmp_path / "usr/local/etc/smarthost/tokens").mkdir(parents=True, exist_ok=True)
        (tmp_path / "usr/local/etc/smarthost/tokens" / name).write_text("x")
    assert len(smarthost_oauth_tokens.forget(places, ["a"], test=True)) == 2
    assert len(smarthost_oauth_tokens.forget(places, ["a"], test=False)) == 2
    assert os.listdir(places.tokens_dir) == ["a.json"]
    smarthost_oauth_tokens.forget(places, [], test=False)
    assert not os.path.exists(places.tokens_dir)


@pytest.mark.parametrize(
    ("reason", "kind", "text"),
    [
        ("421 4.7.0 XOAUTH2: not authorized yet: run it", "login", "not authorized yet: run it"),
        ("421 4.7.8 XOAUTH2: r said: 535 no", "login", "r said: 535 no"),
        ("421 4.4.1 XOAUTH2: r: no answer in time", "connection", "r: no answer in time"),
        ("421 4.3.0 XOAUTH2: r said: 454 later", "relay", "r said: 454 later"),
        (
            "421 4.3.2 Too busy",
            "relay",
            "smtp.r.test accepts nothing from this network at the moment: 421 4.3.2 Too busy",
        ),
    ],
)
def test_why_mail_waits(reason: str, kind: str, text: str) -> None:
    told = smarthost_reasons.explain(
        f"host 127.90.1.2[127.90.1.2] refused to talk to me: {reason}", "smtp.r.test"
    )
    assert (told.kind, told.text) == (kind, text)
