# SPDX-License-Identifier: Apache-2.0
"""What a message, or who hands it in, asks of its delivery takes no promise back: delivery reports, TLS-Required."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .scripted import Port, Scripted
from .search import forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

EVE = {"address": "eve@eve.test", "relay": "smtp.eve.test", "password": "eves-password"}
PIN = {"address": "pin@eve.test", "relay": "smtp.eve.test", "port": 465, "password": "pins-password"}
CLEAR = {"address": "clear@eve.test", "relay": "clear.eve.test", "port": 2801, "password": "clears-password"}
DAN = {"address": "dan@dsn.test", "relay": "clear.eve.test", "port": 2802, "password": "dans-password"}


@pytest.fixture(scope="module")
def impostor(lab: Lab) -> Relay:
    """Give a relay that no CA vouches for, and that would take the mail."""
    users = {account["address"]: account["password"] for account in (EVE, PIN)}
    return lab.relay("smtp.eve.test", users=users, certificate="self-signed")


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    ports = {2801: Port(tls=False, auth="PLAIN"), 2802: Port(offers=("DSN",))}
    return Scripted(lab, "clear.eve.test", ports)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, impostor: Relay, scripted: Scripted) -> Iterator[Qube]:
    assert impostor.running
    assert scripted.host.running
    records = [ALICE, EVE, PIN | {"tls": {"fingerprint": [":".join(["00"] * 32)]}}, CLEAR]
    # What an alias sends on leaves by the default account.
    records.append(DAN | {"default": True})
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(*records))
    assert direct.run(qube).error is None
    qube.run("sh", "-c", f"echo 'out: {RECIPIENT}' >> /etc/aliases && newaliases")
    yield qube
    lab.remove(qube)


@pytest.mark.parametrize("header", ["TLS-Required: no", "tls-required:No", "TLS-Required:\n no"])
@pytest.mark.parametrize("account", [EVE, PIN, CLEAR], ids=["self-signed", "pinned to another", "no TLS"])
@pytest.mark.parametrize("way", ["sendmail", "smtp"])
def test_message_that_waives_tls_waits_for_a_verified_relay_all_the_same(
    qube: Qube, impostor: Relay, scripted: Scripted, mx: MX, way: str, account: dict, header: str
) -> None:
    """RFC 8689 5: Postfix from 3.10 on then verifies nothing, as if smtp_tls_security_level were may."""
    name, _, value = header.partition(":")
    before = {mail["queue_id"] for mail in qube.queue()}
    send = qube.send if way == "sendmail" else qube.send_smtp
    send(sender=account["address"], to=RECIPIENT, subject=unique(), headers={name: value.lstrip(" ")})

    def settled() -> bool:
        new = [mail for mail in qube.queue() if mail["queue_id"] not in before]
        got = [event for event in scripted.events() if event.port == 2801 and event.what == "login"]
        return bool(impostor.logins() or got or [mail for mail in new if mail["queue_name"] == "deferred"])

    qube.wait_for(settled, "an attempt to deliver")
    assert impostor.logins() == []
    assert impostor.received() == []
    got = "".join(event.what + event.text for event in scripted.events() if event.port == 2801)
    assert [
        text for text in forms(*(account["password"] for account in (EVE, PIN, CLEAR))) if text in got
    ] == []
    assert "MAIL" not in got
    assert mx.connections() == []


@pytest.mark.parametrize(
    ("recipient", "options"),
    [
        ("out", ()),
        ("out@localhost", ("-N", "success,failure,delay")),
        ("out@NAME", ("-N", "never", "-R", "hdrs")),
        (RECIPIENT, ("-N", "failure", "-V", "user-at-my-qube")),
    ],
)
def test_relay_that_offers_reports_is_told_no_name_from_inside(
    qube: Qube, scripted: Scripted, recipient: str, options: tuple[str, ...]
) -> None:
    subject = unique()
    text = f"From: {DAN['address']}\nSubject: {subject}\n\nhello\n"
    # What an alias sends on was addressed to a name from inside.
    recipient = recipient.replace("NAME", qube.name)
    qube.run("sendmail", "-i", "-f", DAN["address"], *options, recipient, stdin=text, user="user")
    scripted.wait_for(subject, diagnosis=qube.diagnosis)
    commands = [event.what for event in scripted.events() if event.what.startswith(("MAIL", "RCPT"))]
    inside = (
        "ORCPT",
        "ENVID",
        "NOTIFY",
        "RET=",
        "out@",
        "localhost",
        "my-qube",
        qube.name,
    )
    assert [name for name in inside if name in " ".join(commands)] == []


def test_user_who_asks_for_a_report_gets_it_from_postfix(qube: Qube, relay_a: Relay) -> None:
    def ask(*options: str) -> str:
        subject = unique()
        text = f"From: {ALICE.address}\nTo: {RECIPIENT}\nSubject: {subject}\n\nhello\n"
        qube.run("sendmail", "-i", "-f", ALICE.address, *options, RECIPIENT, stdin=text, user="user")
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
        return subject

    silent = [ask(), ask("-N", "never"), ask("-N", "failure,delay")]
    asked = ask("-N", "success")

    def reported() -> list[str]:
        return [mail.as_string() for mail in qube.maildir() if asked in mail.as_string()]

    (report,) = qube.wait_for(reported, "the report of success")
    assert "Action: relayed" in report
    assert f"Final-Recipient: rfc822; {RECIPIENT}" in report
    assert [subject for subject in silent for mail in qube.maildir() if subject in mail.as_string()] == []
