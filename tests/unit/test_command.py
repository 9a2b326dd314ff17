# SPDX-License-Identifier: Apache-2.0
"""The program of the qube: what it is packed of, and the pure parts behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import smarthost_log
import smarthost_manual
import smarthost_programs
from smarthost_in_use import Account, owners
from smarthost_reasons import explain

COMMANDS = ("status", "verify", "queue", "flush", "hold", "release", "delete", "muttrc")
PARTS = """\
import sys
sys.path[:] = [sys.argv[1], *(path for path in sys.path if "site-packages" not in path)]
for name in sys.argv[2:]:
    __import__(name)
print(*sorted(name for name, module in sys.modules.items() if sys.argv[1] in (getattr(module, "__file__", "") or "")))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "postfix-smarthost"
    path.write_bytes(smarthost_programs.command())
    path.chmod(0o755)
    return path


def test_program_needs_nothing_but_the_standard_library(program: Path) -> None:
    """As in a qube, where there is no Salt; and nothing is packed that it does not need."""
    script = [sys.executable, "-I", "-c", PARTS, str(program), "smarthost_command"]
    ended = subprocess.run(script, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == sorted(smarthost_programs.COMMAND)


def test_program_tells_how_it_is_used(program: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(program), "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0
    for command in COMMANDS:
        assert f"\n    {command} " in ended.stdout
    wrong = subprocess.run(
        [sys.executable, str(program), "nonsense"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2


@pytest.mark.parametrize("text", [smarthost_manual.PAGE, smarthost_manual.COMPLETION])
def test_manual_page_and_completion_know_each_command(text: str) -> None:
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text)
    for option in ("json", "to", "test"):
        assert re.search(rf"(--|\\-\\-){option}\b", text)


def test_bash_completes_commands_and_options() -> None:
    script = smarthost_manual.COMPLETION + (
        'COMP_WORDS=(postfix-smarthost re) COMP_CWORD=1; _postfix_smarthost; echo "${COMPREPLY[*]}"\n'
        'COMP_WORDS=(postfix-smarthost delete -) COMP_CWORD=2; _postfix_smarthost; echo "${COMPREPLY[*]}"\n'
    )
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "release\n--json --test\n"
    checked = subprocess.run(["shellcheck", "--shell=bash", "-"], input=script, text=True, check=False)
    assert checked.returncode == 0


HOST = "smtp.a.test[10.0.0.1]"


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        (
            f"SASL authentication failed; server {HOST} said: 535 5.7.8 no",
            "login",
            "refuses the user name or the",
        ),
        (
            f"SASL authentication failed; server {HOST} said: 454 4.7.0 wait",
            "login",
            "lets nobody log in at the",
        ),
        (
            f"SASL authentication failed; cannot authenticate to server {HOST}: no mechanism available",
            "login",
            "offers no way to log in with a password",
        ),
        ("Server certificate not verified", "certificate", "the certificate is not that of smtp.b.test"),
        ("Server certificate not trusted", "certificate", "the certificate is not that of smtp.b.test"),
        (
            f"TLS is required, but was not offered by host {HOST}",
            "certificate",
            "smtp.a.test does not offer TLS",
        ),
        ("Cannot start TLS: handshake failure", "certificate", "TLS with smtp.b.test does not come about"),
        (
            "Host or domain name not found. Name service error for name=smtp.a.test type=A: Host not found, try again",
            "name",
            "cannot be looked up",
        ),
        (
            "Host or domain name not found. Name service error for name=smtp.a.test type=A: Host not found",
            "name",
            "does not exist",
        ),
        (
            "Host or domain name not found. Name service error for name=a type=A: Host found but no data record of"
            " requested type",
            "name",
            "has no address that this qube can reach",
        ),
        (
            f"connect to {HOST}:587: Connection timed out",
            "connection",
            "is not reached: Connection timed out",
        ),
        (f"lost connection with {HOST} while performing the EHLO handshake", "connection", "breaks off"),
        (f"conversation with {HOST} timed out while sending MAIL FROM", "connection", "breaks off"),
        (f"host {HOST} refused to talk to me: 421 busy", "relay", "accepts nothing from this network"),
        (
            f"host {HOST} said: 451 4.7.1 later (in reply to MAIL FROM command)",
            "relay",
            "smtp.a.test says: 451 4.7.1 later",
        ),
        (
            f"host {HOST} said: 451 later (in reply to end of DATA command)",
            "relay",
            "smtp.a.test says: 451 later",
        ),
        (f"local data error while talking to {HOST}", "password", "the password of this account is missing"),
        (
            "temporary failure. Command output: deliver: no such directory",
            "local",
            "deliver: no such directory",
        ),
        ("something new", "other", "something new"),
        ("", "other", "not been tried yet"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "delivery temporarily suspended: "])
def test_reason_is_told_in_the_user_s_words(reason: str, kind: str, words: str, prefix: str) -> None:
    told = explain(prefix + reason if reason else "", "smtp.b.test")
    assert told.kind == kind
    assert words in told.text


def test_what_a_relay_says_is_not_taken_for_postfix_s_own_words() -> None:
    told = explain(f"host {HOST} said: 451 Server certificate not verified")
    assert told.kind == "relay"


ALICES = Account(("alice@a.test", "me@alias.test"), "smtp.a.test", 587, "starttls", logs_in=True, policy=())
LOG = """\
1764158400.100000 postfix/qmgr[1]: ABC123: from=<alice@a.test>, size=300, nrcpt=1 (queue active)
1764158401.100000 postfix/smtp-starttls/smtp[2]: ABC123: to=<x@y.test>, relay=none, delay=1, dsn=4.4.1, \
status=deferred (connect to smtp.a.test[10.0.0.1]:587: Connection timed out)
1764158402.100000 postfix/cleanup[3]: DEF456: message-id=<mark@a.test>
1764158403.100000 postfix/qmgr[1]: DEF456: from=<alice+list@a.test>, size=300, nrcpt=1 (queue active)
1764158404.100000 postfix/smtp-starttls/smtp[2]: DEF456: to=<x@y.test>, orig_to=<x>, \
relay=smtp.a.test[10.0.0.1]:587, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: status=bounced (no))
1764158405.100000 postfix/local[4]: FFF: to=<user@localhost>, relay=local, delay=1, status=sent (delivered)
nonsense
1764158406.100000 postfix/qmgr[1]: ABD123: from=<someone@else.test>, size=300, nrcpt=1 (queue active)
1764158407.100000 postfix/error[2]: ABD123: to=<x@y.test>, relay=none, delay=1, dsn=5.0.0, status=bounced (no)
""".splitlines()


def test_log_tells_the_last_success_and_failure_of_an_account() -> None:
    attempts = smarthost_log.deliveries(LOG)
    told = smarthost_log.by_account(attempts, owners([ALICES]))
    assert {*told} == {"alice@a.test"}
    assert told["alice@a.test"]["sent"].time == 1764158404
    assert told["alice@a.test"]["failed"].said == "connect to smtp.a.test[10.0.0.1]:587: Connection timed out"
    assert smarthost_log.message_ids(LOG) == {"mark@a.test": "DEF456"}
