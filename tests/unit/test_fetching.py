# SPDX-License-Identifier: Apache-2.0
"""What follows from `fetch` in an account: its regular shape, fetchmail's file, and what fetchmail's words mean."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import smarthost_fetch
import smarthost_fetchmail
import smarthost_plan
from smarthost_fetchmailrc import facts, fetchmailrc
from smarthost_pillar import normalise
from smarthost_places import Places
from tests.records import FACTS
from tests.samples import ALICE, BOB, FINGERPRINT, SECRET

GMAIL = {"address": "al@gmail.com", "password": SECRET}
CA_FILE, COMMAND = "/etc/ssl/ca.pem", "/usr/local/bin/postfix-smarthost"


def fetch(account: dict[str, Any], value: object = True) -> dict[str, Any]:
    (found,) = normalise({"accounts": [account | {"fetch": value}]})["accounts"]
    return found["fetch"]


def test_known_provider_needs_no_more_than_true() -> None:
    assert fetch(GMAIL) == {
        "server": "imap.gmail.com",
        "protocol": "imap",
        "port": 993,
        "tls_mode": "implicit",
        "fingerprints": [],
        "ca": "",
        "username": "al@gmail.com",
        "password": SECRET,
        "folders": ["INBOX"],
        "keep": False,
        "interval": 300,
    }
    own = fetch(ALICE | {"relay": "smtp.gmail.com", "username": "al@gmail.com"})
    assert (own["server"], own["username"]) == ("imap.gmail.com", "al@gmail.com")
    assert fetch(GMAIL, {"keep": True, "port": 143})["tls_mode"] == "starttls"
    # A local part for the relay is one for its IMAP server.
    assert fetch(GMAIL | {"address": "al@disroot.org"})["username"] == "al"


@pytest.mark.parametrize(
    ("given", "protocol", "port", "tls_mode"),
    [
        ({}, "imap", 993, "implicit"),
        ({"port": 143}, "imap", 143, "starttls"),
        ({"tls": {"mode": "starttls"}}, "imap", 143, "starttls"),
        ({"port": 1143, "tls": {"mode": "starttls"}}, "imap", 1143, "starttls"),
        ({"protocol": "pop3"}, "pop3", 995, "implicit"),
        ({"protocol": "pop3", "port": 110}, "pop3", 110, "starttls"),
        ({"protocol": "pop3", "tls": {"mode": "starttls"}}, "pop3", 110, "starttls"),
        ({"server": "localhost", "tls": {"mode": "none"}}, "imap", 143, "none"),
    ],
)
def test_port_and_tls_follow_each_other(given: dict, protocol: str, port: int, tls_mode: str) -> None:
    found = fetch(ALICE, {"server": "imap.example.com", **given})
    assert (found["protocol"], found["port"], found["tls_mode"]) == (protocol, port, tls_mode)


def test_what_vouches_for_the_relay_vouches_for_the_same_host_only() -> None:
    pinned = ALICE | {"tls": {"fingerprint": [FINGERPRINT]}}
    assert fetch(pinned, {"server": "Mail.Example.com"})["fingerprints"] == [FINGERPRINT]
    assert fetch(pinned, {"server": "imap.example.com"})["fingerprints"] == []
    assert fetch(pinned, {"server": "mail.example.com", "tls": {"mode": "starttls"}})["fingerprints"] == []


def test_nothing_is_planned_without_it() -> None:
    plan = smarthost_plan.plan(normalise({"accounts": [ALICE, BOB]}), "tables-a", FACTS)
    assert not [name for name in plan.files if "fetch" in name]
    assert "\nfetch " not in plan.manifest.text()


def test_file_is_the_users_and_its_facts_hold_no_secret() -> None:
    record = normalise({"accounts": [ALICE, GMAIL | {"fetch": True}], "user": "mia"})
    plan = smarthost_plan.plan(record, "tables-b", FACTS)
    rc = plan.files["sorting-b/fetchmailrc"]
    assert (rc.mode, rc.owner) == (0o600, (FACTS["uid"], FACTS["gid"]))
    known = plan.files["sorting-b/fetch.json"]
    assert (known.mode, known.owner) == (0o644, (0, 0))
    assert SECRET not in known.content
    assert [*json.loads(known.content)] == ["al@gmail.com"]
    assert plan.manifest.fetches == "mia"
    # Of a qube without any folder: no recipes.
    assert "sorting-b/procmailrc" not in plan.files


@pytest.mark.parametrize(
    "secret", ['a"b', "a'b", "a\\", "\\x41", "a#b", "a b", "p\u00e4ss\u4e00", "%h $x `y`", "0123", "'; keep"]
)
def test_any_password_is_one_word_that_means_itself(secret: str) -> None:
    text = fetchmailrc(
        normalise({"accounts": [GMAIL | {"password": secret, "fetch": True}]}), CA_FILE, COMMAND
    )
    (word,) = re.findall(r'password ("[^"]*") is "user" here', text)
    read = re.sub(rb"\\x([0-9a-f]{2})", lambda part: bytes([int(part[1], 16)]), word[1:-1].encode())
    assert read.decode() == secret
    assert "\\" not in re.sub(r"\\x[0-9a-f]{2}", "", word)


def test_certificates_are_verified_by_fetchmail_or_by_the_tunnel() -> None:
    pinned = BOB | {"fetch": {"server": "imap.example.org", "tls": {"fingerprint": [FINGERPRINT]}}}
    record = normalise({"accounts": [GMAIL | {"fetch": True}, pinned]})
    first, second = fetchmailrc(record, CA_FILE, COMMAND).split("\npoll ")[1:]
    assert f'ssl sslproto "TLS1.2+" sslcertck sslcertfile "{CA_FILE}"' in first
    assert "plugin" not in first
    assert f'plugin "{COMMAND} tunnel bob@example.org"' in second
    assert json.loads(facts(record))["bob@example.org"]["fingerprints"] == [FINGERPRINT]


@pytest.mark.parametrize(
    ("lines", "code", "kind", "reason"),
    [
        ([], 0, "", ""),
        (["fetchmail: No mail for x at y (folder INBOX)"], 1, "", ""),
        (["1 message for x at y.", "fetchmail: socket error while fetching from x"], 2, "", ""),
        (["fetchmail: Authorization failure on x@y"], 3, "login", "refuses the user name or the password"),
        (
            ["fetchmail: WARNING: no", "fetchmail: Connection errors for this poll:", "name 0: refused."],
            2,
            "server",
            "(name 0: refused)",
        ),
        (
            ["reading message x:1 of 1 (1 octets)", "fetchmail: SMTP error: 452 4.3.1 full"],
            1,
            "postfix",
            "452 4.3.1 full",
        ),
        (["55 messages for x"], 13, smarthost_fetchmail.MORE, ""),
        (["fetchmail: odd"], 23, "other", "exit code 23 (odd)"),
    ],
)
def test_words_of_fetchmail(lines: list[str], code: int, kind: str, reason: str) -> None:
    said = smarthost_fetchmail.Said({"server": "imap.example.com", "port": 993})
    for line in lines:
        said.take(line + "\n")
    found = said.outcome(code)
    assert found[0] == kind
    assert reason in found[1]
    assert bool(found[1]) == bool(reason)


def test_a_message_counts_when_postfix_has_it() -> None:
    said = smarthost_fetchmail.Said({})
    line = "reading message x@y:1 of 2 (81 header octets) (144 body octets)"
    assert said.take(f"{line} flushed\n") == (True, True)
    # One that is kept at the server.
    assert said.take(f"{line} not flushed\n") == (True, True)
    assert said.take(line + "\n") == (True, False)
    assert said.take("fetchmail: No mail for x\n") == (True, False)


@pytest.fixture
def signals() -> Iterator[None]:
    """Leave the process as it was."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    # What is pending is not to reach the handlers of pytest.
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("when", "code"), [("while it ends", smarthost_fetch.DONE), ("never", smarthost_fetch.AGAIN)]
)
@pytest.mark.usefixtures("signals")
def test_a_stop_during_a_change_is_a_stop(monkeypatch: pytest.MonkeyPatch, when: str, code: int) -> None:
    """It was lost, and systemd killed the service 40 seconds later, perhaps in the midst of a message."""

    class Fetcher:
        def __init__(self, *_: object) -> None:
            pass

        def start(self) -> None:
            pass

        def join(self) -> None:
            if when == "while it ends":
                os.kill(os.getpid(), signal.SIGTERM)

    seen = iter(range(2))
    monkeypatch.setattr(smarthost_fetch, "seen", lambda _: next(seen))
    monkeypatch.setattr(smarthost_fetch, "_LOOK", 0)
    monkeypatch.setattr(smarthost_fetch, "known", lambda _: {"a@example.com": {}})
    monkeypatch.setattr(smarthost_fetch, "_Fetcher", Fetcher)
    assert smarthost_fetch.serve(Places()) == code
