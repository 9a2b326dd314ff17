# SPDX-License-Identifier: Apache-2.0
"""Mail that is fetched because the account says so: by the real fetchmail(1), from a real IMAP and POP3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, BOB, unique
from .fetching import HOME, UNIT, applied, arrived, comes, fetch_notes, has_looked, message, put, record, runs
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube
    from .relay import Relay

# What a password may hold, to fetchmail's run control file, to IMAP and to a shell.
_ODD = "a\"b'c\\d#e;f \xe9 x%h 0\\n$`{}%"


@pytest.fixture(scope="module")
def qube(fetching_qube: Callable[..., Qube]) -> Qube:
    return fetching_qube()


def test_new_mail_comes_at_once_over_verified_tls_and_leaves_the_server(qube: Qube, mailbox: Mailbox) -> None:
    applied(qube, record(mailbox))
    comes(qube, mailbox)
    # The connection stays: no look every five minutes.
    comes(qube, mailbox, timeout=15)
    qube.wait_for(lambda: mailbox.names() == [], "an empty mailbox")
    (login,) = mailbox.logins()
    assert "imap" in login
    assert "TLS" in login
    assert direct.run(qube).changes == {}


@pytest.mark.parametrize(
    ("fetch", "protocol"),
    [
        ({"port": 143}, "imap"),
        ({"protocol": "pop3"}, "pop3"),
        ({"protocol": "pop3", "port": 110}, "pop3"),
        ({"tls": {"mode": "implicit"}, "interval": 60}, "imap"),
    ],
)
def test_each_way_to_the_server(qube: Qube, mailbox: Mailbox, fetch: dict[str, Any], protocol: str) -> None:
    subject = put(mailbox)
    applied(qube, record(mailbox, **fetch))
    qube.wait_for(lambda: arrived(qube, subject), "the message")
    qube.wait_for(lambda: mailbox.names() == [], "an empty mailbox")
    (login,) = mailbox.logins()
    assert f"{protocol}-login" in login
    assert ", TLS" in login


def test_folders_of_any_script_are_fetched(qube: Qube, mailbox: Mailbox) -> None:
    subjects = [put(mailbox), put(mailbox, "Entw&APw-rfe"), put(mailbox, "Lists.Qubes")]
    mailbox.put(unique(), message(unique()), "Other")
    applied(qube, record(mailbox, folders=["INBOX", "Entw\xfcrfe", "Lists.Qubes"]))
    for subject in subjects:
        qube.wait_for(lambda subject=subject: arrived(qube, subject), "the message")
    qube.wait_for(lambda: len(mailbox.names()) == 1, "that of the other folder alone")


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_what_is_kept_is_fetched_once(qube: Qube, mailbox: Mailbox, protocol: str) -> None:
    """More than one session over POP3 takes, through a restart of the service."""
    subjects = [put(mailbox) for _ in range(3)]
    applied(qube, record(mailbox, keep=True, protocol=protocol))
    for _ in range(2):
        for subject in subjects:
            qube.wait_for(lambda subject=subject: arrived(qube, subject), "the message")
        qube.wait_for(lambda: has_looked(qube), "a look")
        qube.run("systemctl", "restart", UNIT)
        subjects.append(put(mailbox))
    qube.wait_for(lambda: arrived(qube, subjects[-1]), "the message")
    assert [arrived(qube, subject) for subject in subjects] == [1] * 5
    assert len(mailbox.names()) == 5


def test_many_messages_over_pop3_come_in_parts(qube: Qube, mailbox: Mailbox) -> None:
    prefix = unique()
    mailbox.put_all({f"{prefix}-{number}": message(f"{prefix}-{number}") for number in range(60)})
    applied(qube, record(mailbox, protocol="pop3"))
    qube.wait_for(lambda: mailbox.names() == [], "an empty mailbox", 90)
    qube.wait_for(lambda: not qube.queue(), "an empty queue", 60)
    assert [arrived(qube, f"{prefix}-{number}") for number in range(60)] == [1] * 60
    assert len(mailbox.logins()) == 2


def test_changes_may_come_one_after_the_other(qube: Qube, mailbox: Mailbox) -> None:
    """A service is started five times within ten seconds, says systemd, and then no more."""
    applied(qube, record(mailbox, protocol="pop3"))
    qube.wait_for(lambda: has_looked(qube), "a look")
    for _ in range(4):
        qube.run("systemctl", "restart", UNIT)
    for keep in (True, False, True):
        applied(qube, record(mailbox, protocol="pop3", keep=keep))
    comes_at_once = put(mailbox)
    applied(qube, record(mailbox))
    qube.wait_for(lambda: arrived(qube, comes_at_once), "the message")


def test_any_password_logs_in(qube: Qube, relay_a: Relay) -> None:
    odd = Mailbox(relay_a, unique("odd"), password=_ODD)
    applied(qube, record(odd))
    comes(qube, odd)


def test_two_accounts_each_wait_for_their_own_mail(
    qube: Qube, mailbox: Mailbox, relay_a: Relay, relay_b: Relay
) -> None:
    assert relay_b.running
    other = Mailbox(relay_b, unique("box"))
    fetch = {"server": BOB.relay, "username": other.name, "password": other.password}
    applied(qube, record(mailbox), BOB.record(fetch=fetch))
    for _ in range(2):
        comes(qube, other, timeout=30)
        comes(qube, mailbox, timeout=30)
    assert (len(mailbox.logins()), len(other.logins())) == (1, 1)
    # One of them is taken out, and the other one goes on.
    applied(qube, ALICE.record(), BOB.record(fetch=fetch))
    comes(qube, other)
    subject = put(mailbox)
    comes(qube, other)
    assert arrived(qube, subject) == 0
    assert mailbox.names() == [subject]


def test_known_relay_is_known_again_by_its_pin_or_its_ca(lab: Lab, qube: Qube) -> None:
    """A host that nobody vouches for is given no password; with a pin of its relay's, mail is fetched there, too."""
    private = lab.relay("imap.private.test", users={}, senders={}, certificate="self-signed")
    mailbox = Mailbox(private, unique("box"))
    subject = put(mailbox)
    applied(qube, record(mailbox, server=private.name))
    qube.wait_for(lambda: "imap.private.test" in qube.journal(UNIT), "its reason", 60)
    status = qube.run(direct.PROGRAM, "status", check=False)
    assert status.returncode == 1
    assert (
        f"Mail of {ALICE.address} is not fetched: no connection to imap.private.test port 993 ("
        in status.stdout
    )
    assert "ertificate" in status.stdout
    pins = {"fingerprint": [private.certificate.key_fingerprint]}
    wrong = {"fingerprint": ["00:" * 31 + "00"]}
    applied(qube, record(mailbox, server=private.name, tls=wrong))
    said = qube.run(direct.PROGRAM, "verify", ALICE.address, check=False)
    assert said.returncode == 1
    assert "is none of the pinned ones" in said.stdout
    assert mailbox.keeps() == []
    for port in (993, 143):
        applied(qube, record(mailbox, server=private.name, port=port, tls=pins))
        qube.wait_for(lambda subject=subject: arrived(qube, subject), "the message")
        comes(qube, mailbox)
        subject = put(mailbox)
    applied(qube, record(mailbox, server=private.name, protocol="pop3", port=110, tls=pins))
    qube.wait_for(lambda: arrived(qube, subject), "the message")
    assert all(", TLS" in login for login in mailbox.logins())
    # Its own certificate as a CA, as for a relay.
    applied(qube, record(mailbox, server=private.name, tls={"ca": private.certificate.certificate}))
    comes(qube, mailbox)


def test_server_of_another_name_gets_no_password(lab: Lab, qube: Qube, relay_a: Relay) -> None:
    lab.network.add_name("imap.elsewhere.test", relay_a.address)
    mailbox = Mailbox(relay_a, unique("box"))
    put(mailbox)
    applied(qube, record(mailbox, server="imap.elsewhere.test"))
    qube.wait_for(lambda: "imap.elsewhere.test" in qube.journal(UNIT), "its reason", 60)
    assert mailbox.keeps() == []


@pytest.mark.parametrize("pinned", [False, True])
def test_server_is_asked_for_by_its_name(
    lab: Lab, qube: Qube, relay_a: Relay, mailbox: Mailbox, pinned: bool
) -> None:
    """One that serves many names shows a certificate of another one to who names none (SNI)."""
    name = f"{unique('imap')}.test"
    lab.network.add_name(name, relay_a.address)
    certificate = lab.authority.issue(name)
    mailbox.known_as(name, certificate)
    tls = {"tls": {"fingerprint": [certificate.fingerprint]}} if pinned else {}
    applied(qube, record(mailbox, server=name, **tls))
    comes(qube, mailbox)


def test_it_goes_on_after_a_restart_and_stops_with_the_key(qube: Qube, mailbox: Mailbox) -> None:
    applied(qube, record(mailbox, protocol="pop3", keep=True))
    comes_after = put(mailbox)
    qube.restart()
    qube.wait_for(lambda: arrived(qube, comes_after), "the message", 60)
    assert fetch_notes(qube) == []
    files = ("find", "/usr/local/etc/smarthost", f"{HOME}/.local", "-type", "f", "-printf", "%f %m %u %g\\n")
    assert {
        f"{ALICE.address} 600 user user",
        "fetch.json 644 root root",
        "fetchmailrc 600 user user",
    } <= {*qube.run(*files).stdout.splitlines()}
    applied(qube, ALICE.record())
    assert not runs(qube)
    assert not {"fetch.json", "fetchmailrc", ALICE.address} & {*qube.run(*files, check=False).stdout.split()}
    assert qube.run("pgrep", "-x", "fetchmail", check=False).stdout == ""
    assert arrived(qube, comes_after) == 1
