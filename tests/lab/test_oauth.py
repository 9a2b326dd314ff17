# SPDX-License-Identifier: Apache-2.0
"""Accounts that log in by XOAUTH2: beside passwords, from the first token to the mail at the relay."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .oauth import OLIVE, OSCAR, OTTO, TOKENS, UNIT, authorize, expire, send, tokens
from .oauth_provider import OAuthProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay


@pytest.fixture(scope="module")
def qube(
    lab: Lab, prepared: Template, provider: OAuthProvider, relay_a: Relay, relay_b: Relay
) -> Iterator[Qube]:
    assert relay_a.running
    assert relay_b.running
    own = pillar(
        provider.record(OLIVE, senders=["liv@alias.test"]),
        provider.record(OSCAR, port=465, default=True),
        ALICE,
        BOB,
    )
    qube = lab.qube(unique("oauth"), template=prepared, pillar=own)
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


def test_mail_waits_until_the_account_is_authorized(qube: Qube, provider: OAuthProvider) -> None:
    subject = send(qube, OLIVE)
    status = qube.wait_for(lambda: waiting(qube), "the reason in the queue")
    assert f"not authorized yet: run postfix-smarthost authorize {OLIVE} in this qube" in status
    said = authorize(qube, provider, OLIVE).stdout
    assert "Open https://login.office.test/agree in a browser of any qube, enter the code ABCD-1234" in said
    assert f"{OLIVE} is authorized, and its mail is on its way." in said
    got = provider.wait_for(subject, diagnosis=qube.diagnosis)
    assert (got.login, got.port) == (OLIVE, 587)
    authorize(qube, provider, OSCAR)


def waiting(qube: Qube) -> str:
    return json.dumps(
        json.loads(qube.run(direct.PROGRAM, "status", "--json", check=False).stdout)["waiting"]
    ).replace("[]", "")


def test_four_kinds_side_by_side_each_by_its_own_login(
    qube: Qube, provider: OAuthProvider, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    subjects = {
        sender: [send(qube, sender) for _ in range(3)]
        for sender in (OLIVE, OSCAR, "liv@alias.test", ALICE.address, BOB.address)
    }
    for sender, login, port in (
        (OLIVE, OLIVE, 587),
        ("liv@alias.test", OLIVE, 587),
        (OSCAR, OSCAR, 465),
    ):
        for subject in subjects[sender]:
            got = provider.wait_for(subject, diagnosis=qube.diagnosis)
            assert (got.login, got.port) == (login, port)
            assert f"\r\nFrom: {sender}\r\n" in f"\r\n{got.text}"
            assert qube.name not in got.text
            assert "127." not in got.text.replace("127.0.0.1", "")
    for relay, account in ((relay_a, ALICE), (relay_b, BOB)):
        for subject in subjects[account.address]:
            assert relay.wait_for(subject).login == account.login
    ways = {event.mechanism for event in provider.events() if event.what == "login"}
    assert ways == {"XOAUTH2"}
    assert mx.connections() == []


def test_local_mail_leaves_by_the_default_account(qube: Qube, provider: OAuthProvider) -> None:
    subject = unique()
    qube.run("sh", "-c", f"printf 'Subject: {subject}\\n\\nx\\n' | sendmail {RECIPIENT}")
    assert provider.wait_for(subject, diagnosis=qube.diagnosis).login == OSCAR


def test_each_message_counts_once_and_the_second_apply_does_nothing(
    qube: Qube, provider: OAuthProvider
) -> None:
    assert direct.run(qube).changes == {}
    subjects = [send(qube, OLIVE) for _ in range(10)]
    for subject in subjects:
        provider.wait_for(subject, diagnosis=qube.diagnosis)
        assert len(provider.messages(subject)) == 1


def test_tokens_are_roots_alone_and_outlive_a_restart_of_the_qube(
    qube: Qube, provider: OAuthProvider
) -> None:
    modes = qube.run("sh", "-c", f"stat -c '%U:%G %a' {TOKENS} {TOKENS}/*.json").stdout.splitlines()
    assert modes == ["root:root 700", "root:root 600", "root:root 600"]
    before = tokens(qube)
    qube.shutdown()
    qube.start()
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)
    assert tokens(qube) == before
    refreshes = provider.count("refresh", OLIVE)
    expire(qube)
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)
    assert provider.count("refresh", OLIVE) == refreshes + 1


def test_large_mail_goes_as_it_is(qube: Qube, provider: OAuthProvider) -> None:
    subject = unique()
    text = (
        f"Subject: {subject}\nFrom: {OLIVE}\nTo: {RECIPIENT}, two@recipients.test\n\n"
        + ("y" * 70 + "\n") * 100_000
    )
    qube.run("sendmail", "-f", OLIVE, "-t", stdin=text, user="user")
    got = provider.wait_for(subject, diagnosis=qube.diagnosis)
    assert got.mechanism == hashlib.sha256((b"y" * 70 + b"\r\n") * 100_000).hexdigest()
    recipients = [event.what for event in provider.events() if event.what.startswith("RCPT")]
    assert len([what for what in recipients if "two@recipients.test" in what]) == 1


def test_only_postfix_may_use_it(qube: Qube, provider: OAuthProvider) -> None:
    listening = [
        word
        for word in qube.run("ss", "-lntH", "sport = :587").stdout.split()
        if word.startswith("127.") and word.endswith(":587")
    ]
    assert len(listening) == 2
    logins = provider.count("login")
    look = "import socket,sys; s=socket.create_connection((sys.argv[1],587),20); print(s.recv(200).decode())"
    for user in ("user", "root", "nobody"):
        said = qube.run("python3", "-c", look, listening[0].partition(":")[0], user=user).stdout
        assert said.startswith("554 5.7.1 Only postfix may use this")
    assert provider.count("login") == logins


def test_two_users_of_one_machine_have_no_tokens_of_each_other(qube: Qube, provider: OAuthProvider) -> None:
    """A third account, added and taken away, takes its tokens with it; the others keep theirs."""
    before = tokens(qube)
    old = qube.pillar
    records = old["postfix_smarthost"]["accounts"]
    qube.pillar = pillar(*records, provider.record(OTTO))
    assert direct.run(qube).error is None
    authorize(qube, provider, OTTO)
    provider.wait_for(send(qube, OTTO), diagnosis=qube.diagnosis)
    assert len(tokens(qube)) == len(before) + 1
    qube.pillar = old
    changes = direct.run(qube).changes
    assert changes["accounts"] == {"removed": [OTTO]}
    assert len(changes["tokens"]["removed"]) == 1
    assert tokens(qube) == before


def test_program_that_is_replaced_is_the_one_that_runs(qube: Qube, provider: OAuthProvider) -> None:
    pid = qube.run("systemctl", "show", "-P", "MainPID", UNIT).stdout
    began = qube.run("sh", "-c", f"cat /proc/{pid.strip()}/fd/../stat | cut -d' ' -f1").stdout
    subjects = [send(qube, OLIVE) for _ in range(5)]
    qube.run("sh", "-c", f"cp -a {direct.PROGRAM} /run/new && cat /run/new >{direct.PROGRAM}.new")
    qube.run("sh", "-c", f"chmod 0755 {direct.PROGRAM}.new && mv {direct.PROGRAM}.new {direct.PROGRAM}")
    for subject in [*subjects, send(qube, OLIVE)]:
        provider.wait_for(subject, 60, diagnosis=qube.diagnosis)
        assert len(provider.messages(subject)) == 1
    assert qube.run("systemctl", "show", "-P", "MainPID", UNIT).stdout.strip() == began.strip()


def test_salt_itself_finds_nothing_to_do_and_prints_no_secret(qube: Qube) -> None:
    applied = qube.apply("postfix_smarthost").check()
    assert applied.changed == []
    for told in tokens(qube).values():
        assert told["refresh"] not in applied.printed
        assert told["access"] not in applied.printed


def test_cleaning_takes_the_tokens_and_the_proxy(qube: Qube, provider: OAuthProvider) -> None:
    qube.run("systemctl", "is-active", UNIT)
    assert direct.run(qube, "postfix_smarthost.remove").error is None
    assert qube.run("systemctl", "is-active", UNIT, check=False).returncode
    assert tokens(qube) == {}
    left = qube.run("sh", "-c", "ls -d /usr/local/etc/smarthost /run/postfix-smarthost-oauth", check=False)
    assert left.stdout == ""
