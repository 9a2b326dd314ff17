# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves by the wrong way: not by its sender, not by who hands it in, not by how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

STRANGERS = (
    "stranger@c.test",
    "ALICE@c.test",
    # An extension of nobody: of a listed address it is in test_whole_domains.py.
    "+alice@a.test",
    "alice@sub.a.test",
    "xalice@a.test",
    "alice@a.test@c.test",
    "alice%a.test@c.test",
    '"alice a"@a.test',
    "@a.test",
    "al\u00efce@a.test",
    "<>",
)
OWN = ("alice@a.test", "ALICE@A.TEST", "Alice@a.Test", '"alice"@a.test')


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay, mx: MX) -> Qube:
    assert relay_a.running
    assert relay_b.running
    assert mx.running
    made = lab.qube("mail-senders", template=prepared, pillar=pillar(ALICE, BOB))
    made.apply("postfix_smarthost").check()
    made.run("useradd", "--create-home", "other")
    return made


def nothing_left(subject: str, qube: Qube, *hosts: Relay | MX) -> None:
    """Check that a mail is in no queue and has reached no host."""
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert [host.name for host in hosts if host.received(subject)] == []


@pytest.mark.parametrize("sender", STRANGERS)
def test_sendmail_by_no_account_leaves_nothing(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, sender: str
) -> None:
    subject = unique()
    qube.send(sender=sender, to=RECIPIENT, subject=subject, check=False)
    nothing_left(subject, qube, relay_a, relay_b, mx)
    assert mx.connections() == []


@pytest.mark.parametrize("sender", [sender for sender in STRANGERS if sender.isascii()])
def test_smtp_by_no_account_is_refused(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, sender: str
) -> None:
    subject = unique()
    answers = qube.send_smtp(sender="" if sender == "<>" else sender, to=RECIPIENT, subject=subject)
    assert "data" not in answers
    assert max(code for code, _ in answers.values()) >= 500
    nothing_left(subject, qube, relay_a, relay_b, mx)


@pytest.mark.parametrize("sender", OWN)
@pytest.mark.parametrize("way", ["sendmail", "smtp"])
def test_own_address_leaves_by_its_account_however_it_is_written(
    qube: Qube, relay_a: Relay, sender: str, way: str
) -> None:
    subject = unique()
    if way == "sendmail":
        qube.send(sender=sender, to=RECIPIENT, subject=subject)
    else:
        assert qube.send_smtp(sender=sender, to=RECIPIENT, subject=subject)["data"][0] == 250
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_header_does_not_choose_the_account(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    subject = unique()
    qube.send(
        sender=BOB.address,
        to=RECIPIENT,
        subject=subject,
        headers={"Sender": ALICE.address, "Reply-To": "x@c.test"},
    )
    assert relay_b.wait_for(subject, diagnosis=qube.diagnosis).login == BOB.login
    assert relay_a.received(subject) == []


@pytest.mark.parametrize("user", ["www-data", "other", "daemon", "nobody"])
def test_other_local_user_cannot_hand_mail_in(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, user: str
) -> None:
    by_sendmail, by_smtp, local = unique(), unique(), unique()
    assert qube.send(
        sender=ALICE.address, to=RECIPIENT, subject=by_sendmail, user=user, check=False
    ).returncode
    answers = qube.send_smtp(sender=ALICE.address, to=RECIPIENT, subject=by_smtp, user=user)
    assert answers["connect"][0] == 521
    answers = qube.send_smtp(sender=ALICE.address, to="user@localhost", subject=local, user=user)
    assert answers["connect"][0] == 521
    for subject in (by_sendmail, by_smtp, local):
        nothing_left(subject, qube, relay_a, relay_b, mx)
    assert not [mail for mail in qube.maildir() if mail["Subject"] in (by_sendmail, by_smtp, local)]


def test_other_local_user_cannot_hand_mail_in_over_ipv6(
    new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    qube = new_qube(pillar=pillar(ALICE, settings={"inet_protocols": "all"}))
    assert direct.run(qube).error is None
    # The last one: how a program that speaks IPv6 reaches the address of IPv4.
    for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        message = {"sender": ALICE.address, "to": RECIPIENT, "host": host}
        refused = qube.send_smtp(**message, subject=unique(), user="nobody")
        assert refused["connect"][0] == 521, host
        subject = unique()
        assert qube.send_smtp(**message, subject=subject)["data"][0] == 250, host
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


@pytest.mark.parametrize("user", ["root", "user"])
def test_root_and_the_user_can(qube: Qube, relay_a: Relay, user: str) -> None:
    by_sendmail, by_smtp = unique(), unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=by_sendmail, user=user)
    assert qube.send_smtp(sender=ALICE.address, to=RECIPIENT, subject=by_smtp, user=user)["data"][0] == 250
    for subject in (by_sendmail, by_smtp):
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


# Speaks SMTP from a port, and address, of its choice.
_FROM_PORT = """
import socket, sys
address, port, sender, recipient, subject = sys.argv[1:]
talk = socket.socket()
talk.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
talk.bind((address, int(port)))
talk.settimeout(20)
talk.connect(("127.0.0.1", 25))
got = talk.recv(1000)
if got.startswith(b"220"):
    talk.sendall(b"EHLO x\\r\\n")
    talk.recv(2000)
message = f"Subject: {subject}\\r\\n\\r\\nx\\r\\n"
envelope = f"MAIL FROM:<{sender}>\\r\\nRCPT TO:<{recipient}>\\r\\n"
try:
    talk.sendall(f"{envelope}BDAT {len(message)} LAST\\r\\n{message}".encode())
    talk.shutdown(socket.SHUT_WR)
    while data := talk.recv(4096):
        got += data
except OSError:
    pass
print(got.decode())
"""
# Connects from a port, and stays.
_STAY = """
import socket, sys, time
talk = socket.create_connection(("127.0.0.1", 25), source_address=(sys.argv[1], int(sys.argv[2])))
time.sleep(60)
"""


@pytest.mark.parametrize(("stays", "sends", "code"), [("user", "other", "521"), ("other", "user", "250")])
def test_connection_from_the_same_port_of_another_address_counts_for_nobody_else(
    qube: Qube, relay_a: Relay, stays: str, sends: str, code: str
) -> None:
    """A port of 127.0.0.1 and the same of 127.0.0.2 were once one: so another user could send by the user's account."""
    subject, port = unique(), {"user": "40001", "other": "40002"}[stays]
    addresses = {"user": "127.0.0.1", "other": "127.0.0.2"}
    unit = f"stays-{stays}"
    command = ("python3", "-c", _STAY, addresses[stays], port)
    qube.run("systemd-run", f"--unit={unit}", f"--uid={stays}", *command)
    try:
        # Postfix closes its end of one who may not, but this end stays.
        connected = ("ss", "-Htn", "state", "connected", f"( sport = :{port} )")
        qube.wait_for(lambda: qube.run(*connected).stdout, "a connection")
        arguments = (addresses[sends], port, ALICE.address, RECIPIENT, subject)
        said = qube.run("python3", "-c", _FROM_PORT, *arguments, user=sends).stdout
    finally:
        qube.run("systemctl", "stop", unit, check=False)
    assert f"\n{code} " in f"\n{said}"
    if code == "521":
        nothing_left(subject, qube, relay_a)


def test_process_that_tells_who_may_is_the_user_s_own(qube: Qube) -> None:
    """Any other process of the same user could write into it what it answers."""
    qube.send_smtp(sender=ALICE.address, to="user@localhost", subject=unique())
    processes = qube.run("ps", "-eo", "user=,args=").stdout.splitlines()
    owners = [line.split()[0] for line in processes if line.split()[1:3] == ["/usr/bin/python3", "-IS"]]
    assert {*owners} == {"user"}


def test_mail_of_cron(lab: Lab, prepared: Template, relay_a: Relay, mx: MX) -> None:
    """Jobs of root, the user and others, with output for an address outside."""
    template = prepared.clone(unique("debian-13-cron"))
    template.start()
    template.run("apt-get", "install", "-y", "-qq", "cron", timeout=120)
    template.shutdown()
    qube = lab.qube(unique("mail-cron"), template=template, pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    mark = unique("job")
    users = ("root", "user", "www-data", "daemon")
    for user in users:
        qube.run("crontab", "-u", user, "-", stdin=f"MAILTO={RECIPIENT}\n* * * * * echo {mark}-{user}\n")

    def arrived() -> dict[str, str]:
        found = [(mail, mail.raw.decode()) for mail in relay_a.received() if mark in mail.raw.decode()]
        return {text.partition(f"{mark}-")[2].split()[0]: mail.login for mail, text in found}

    def refused() -> bool:
        said = qube.journal("cron.service")
        return all(f"User {user}(" in said for user in ("www-data", "daemon"))

    qube.wait_for(refused, "the mail of others to be refused", timeout=90)
    qube.wait_for(lambda: {*arrived()} >= {"root", "user"}, "the mail of root and the user", timeout=30)
    assert arrived() == {"root": ALICE.login, "user": ALICE.login}
    assert mx.connections() == []
    lab.remove(qube)


def test_cron_mail_of_root_is_local_and_mail_queue_is_private(qube: Qube) -> None:
    subject = unique()
    qube.send(to="root", subject=subject, user="root")
    qube.wait_for(lambda: [mail for mail in qube.maildir() if mail["Subject"] == subject], "the mail to root")
    assert qube.run("mailq", user="other", check=False).returncode != 0
    assert qube.run("mailq", user="user").returncode == 0
