# SPDX-License-Identifier: Apache-2.0
"""Networks as they are: mail that waits leaves soon after the network is right, however it was wrong before.

In each case messages of both transports have backed off, for longer than a test waits: without a look at the network
they would stay. What the timer starts is run by hand here, but for the one test that waits for the timer.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, Account, pillar, unique
from .outages import dead_name_service, dropped, without_network
from .tuning import set_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay, Server

pytestmark = pytest.mark.usefixtures("empty_queue")

TIMER = "postfix-smarthost-uplink.timer"
OTHER_NETWORK = "nameserver 10.139.9.9\noptions timeout:1 attempts:1\n"
# Some seconds less than Postfix's own, so that a test does not wait.
QUICK = {"smtp_connect_timeout": "2s", "smtp_helo_timeout": "2s", "smtp_starttls_timeout": "2s"}
ACCOUNTS = (ALICE, BOB)

# What answers in the place of a relay, by the way in which it does.
_PORTAL = r"""
import socket, ssl, threading
PAGE = b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n<html>Log in to this network.</html>\r\n"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/postfix/certificate.pem", "/etc/postfix/key.pem")
def talk(client, way, port):
    if way == "page":
        client.sendall(PAGE)
    elif way == "tls":
        if port == 587:
            client.sendall(b"220 portal.test ESMTP\r\n")
            client.recv(1000)
            client.sendall(b"250-portal.test\r\n250 STARTTLS\r\n")
            client.recv(1000)
            client.sendall(b"220 go ahead\r\n")
        client = context.wrap_socket(client, server_side=True)
        client.recv(1000)
    elif way == "silent":
        client.settimeout(600)
        while client.recv(1000):
            pass
    client.close()
def serve(address, way, port):
    server = socket.create_server((address, port))
    while True:
        client, _ = server.accept()
        threading.Thread(target=talk, args=(client, way, port), daemon=True).start()
for number, way in enumerate(("page", "tls", "silent", "close")):
    for port in (587, 465):
        threading.Thread(target=serve, args=(f"10.138.200.{number + 1}", way, port)).start()
"""
PORTALS = {"page": "10.138.200.1", "tls": "10.138.200.2", "silent": "10.138.200.3", "close": "10.138.200.4"}


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Iterator[Qube]:
    """Give a mail qube with an account at port 587 and one at port 465, and without the timer."""
    assert relay_a.running
    assert relay_b.running
    qube = lab.qube(unique("mail-net"), template=prepared, pillar=pillar(*ACCOUNTS))
    assert direct.run(qube).error is None
    set_parameters(qube, **QUICK)
    qube.run("systemctl", "stop", TIMER)
    yield qube
    lab.remove(qube)


@pytest.fixture(scope="module")
def portal(lab: Lab) -> Server:
    """Give a host that answers at each of PORTALS in another way."""
    portal = lab.server("portal.test", _PORTAL)
    for address in PORTALS.values():
        portal.run("ip", "address", "add", f"{address}/32", "dev", "eth0")
    portal.run("systemctl", "restart", "lab-server")
    return portal


def send(qube: Qube, account: Account) -> str:
    subject = unique("net")
    qube.send(sender=account.address, to=RECIPIENT, subject=subject)
    return subject


def reasons(qube: Qube) -> dict[str, str]:
    """Return why the messages of each sender wait; not before all do."""
    queue = qube.queue()
    if not queue or {mail["queue_name"] for mail in queue} != {"deferred"}:
        return {}
    return {mail["sender"]: mail["recipients"][0]["delay_reason"] for mail in queue}


def back_off(qube: Qube) -> None:
    """Put the next try of what is deferred off for an hour: the time of its file (qmgr(8))."""
    script = "find /var/spool/postfix/deferred -type f -exec touch -d '1 hour' {} +"
    qube.run("sh", "-c", script)


def look(qube: Qube) -> None:
    """Do what the timer does."""
    qube.run(direct.BOOT_SCRIPT, "uplink")


@contextlib.contextmanager
def other_names(lab: Lab, addresses: dict[str, str]) -> Iterator[None]:
    """Let DNS give other addresses for some hosts."""
    try:
        for name, address in addresses.items():
            lab.network.add_name(name, address)
        yield
    finally:
        for name in addresses:
            lab.network.add_name(name, lab.relays[name].address)


@contextlib.contextmanager
def name_servers(qube: Qube, text: str) -> Iterator[None]:
    """Let the qube have other name servers, and Postfix's processes begin with them."""
    before = qube.read("/etc/resolv.conf")
    qube.write("/etc/resolv.conf", text)
    qube.run("postfix", "reload")
    try:
        yield
    finally:
        qube.write("/etc/resolv.conf", before)


def nowhere(lab: Lab) -> dict[str, str]:
    """Return addresses that no host has."""
    return dict.fromkeys((ALICE.relay, BOB.relay), "10.138.99.99")


def all_at(address: str) -> dict[str, str]:
    return {ALICE.relay: address, BOB.relay: address}


# How the network is wrong, and what mailq says then.
CASES: dict[str, tuple[Callable[[Lab, Qube], contextlib.AbstractContextManager[None]], str]] = {
    "no uplink": (lambda _, qube: without_network(qube), "Name service error for name="),
    "name service dead": (lambda lab, _: dead_name_service(lab), "Name service error for name="),
    "name servers of another network": (
        lambda _, qube: name_servers(qube, OTHER_NETWORK),
        "Name service error for name=",
    ),
    "no name servers yet": (lambda _, qube: name_servers(qube, ""), "Name service error for name="),
    "hosts that are not there": (lambda lab, _: other_names(lab, nowhere(lab)), "connect to smtp."),
    "captive portal with a page": (
        lambda lab, _: other_names(lab, all_at(PORTALS["page"])),
        "lost connection with smtp.a.test|Cannot start TLS: handshake failure",
    ),
    "captive portal with TLS": (
        lambda lab, _: other_names(lab, all_at(PORTALS["tls"])),
        "Server certificate not ",
    ),
    "captive portal that says nothing": (
        lambda lab, _: other_names(lab, all_at(PORTALS["silent"])),
        "conversation with smtp.a.test|Cannot start TLS: ",
    ),
    "captive portal that hangs up": (
        lambda lab, _: other_names(lab, all_at(PORTALS["close"])),
        "lost connection with smtp.a.test|Cannot start TLS: handshake failure",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_waits_leaves_when_the_network_is_right(
    lab: Lab, qube: Qube, portal: Server, relay_a: Relay, relay_b: Relay, mx: MX, case: str
) -> None:
    """Also what was handed in before, and what smtp(8) processes of before the change take up."""
    assert portal.running
    wrong, said = CASES[case]
    with wrong(lab, qube):
        subjects = {account: send(qube, account) for account in ACCOUNTS}
        found = qube.wait_for(lambda: reasons(qube), "all to be deferred")
        assert {*found} == {account.address for account in ACCOUNTS}
        for reason in found.values():
            assert any(part in reason for part in said.split("|")), reason
        back_off(qube)
        # Nothing is told right, tried or given up as long as it is wrong.
        look(qube)
        assert reasons(qube) == found
    look(qube)
    for account, relay in ((ALICE, relay_a), (BOB, relay_b)):
        assert relay.wait_for(subjects[account], diagnosis=qube.diagnosis).login == account.login
        assert len(relay.received(subjects[account])) == 1
    # Whatever process takes it up.
    for account, relay in ((ALICE, relay_a), (BOB, relay_b)):
        assert relay.wait_for(send(qube, account), diagnosis=qube.diagnosis).login == account.login
    qube.wait_for(lambda: not qube.queue(), "the queue to be empty")
    assert qube.maildir() == []
    assert mx.connections() == []


@pytest.mark.parametrize("account", ACCOUNTS, ids=["587", "465"])
def test_a_network_that_drops_one_port_holds_up_its_account_alone(
    lab: Lab, qube: Qube, relay_a: Relay, relay_b: Relay, account: Account
) -> None:
    other, *_ = {*ACCOUNTS} - {account}
    relays = {ALICE: relay_a, BOB: relay_b}
    with dropped(lab, account.port):
        subject = send(qube, account)
        (reason,) = qube.wait_for(lambda: reasons(qube), "it to be deferred").values()
        assert reason.endswith(f"]:{account.port}: Connection timed out")
        back_off(qube)
        assert relays[other].wait_for(send(qube, other), diagnosis=qube.diagnosis).login == other.login
        look(qube)
        assert len(qube.queue()) == 1
    look(qube)
    assert relays[account].wait_for(subject, diagnosis=qube.diagnosis).login == account.login


def test_ipv6_that_resolves_and_does_not_route(
    lab: Lab, new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    qube = new_qube(pillar=pillar(ALICE, settings={"inet_protocols": "all"}))
    assert direct.run(qube).error is None
    set_parameters(qube, **QUICK)
    qube.run("systemctl", "stop", TIMER)
    with other_names(lab, {ALICE.relay: f"{relay_a.address},2001:db8::587"}):
        for route in ("none", "to nowhere"):
            if route != "none":
                qube.run("ip", "-6", "address", "add", "fd00:10::2/64", "dev", "eth0", "nodad")
                router = ("fd00:10::1", "lladdr", "fe:ff:ff:ff:ff:ff", "dev", "eth0")
                qube.run("ip", "-6", "neighbour", "add", *router)
                qube.run("ip", "-6", "route", "add", "default", "via", "fd00:10::1")
            assert relay_a.wait_for(send(qube, ALICE), diagnosis=qube.diagnosis).login == ALICE.login
            with dropped(lab, ALICE.port):
                subject = send(qube, ALICE)
                qube.wait_for(lambda: reasons(qube), "it to be deferred")
                back_off(qube)
                look(qube)
            look(qube)
            assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_name_service_that_comes_after_postfix_at_boot(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    """With mail of the day before, that is due: smtp(8) takes it up at once. By the timer, as in each boot."""
    with without_network(qube):
        subjects = {account: send(qube, account) for account in ACCOUNTS}
        qube.wait_for(lambda: len(reasons(qube)) == 2, "all to be deferred")
        qube.shutdown()
        deferred = qube.rw / "bind-dirs/var/spool/postfix/deferred"
        for path in deferred.rglob("*"):
            if path.is_file():
                subprocess.run(["touch", "-d", "2 hours ago", str(path)], check=True)
    qube.start()
    up = time.time()
    # It was too early.
    assert "Host not found" in qube.journal()
    for account, relay in ((ALICE, relay_a), (BOB, relay_b)):
        mail = relay.wait_for(subjects[account], 90, diagnosis=qube.diagnosis)
        assert mail.login == account.login
        # What is promised, of which a third passes before the timer looks.
        assert mail.time < up + 60
    assert mx.connections() == []


def test_qube_that_sleeps_while_the_network_changes(
    lab: Lab, qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    """One message is on its way to a relay when the machine is suspended, one has backed off, and one comes later."""
    relays = {ALICE: relay_a, BOB: relay_b}
    with other_names(lab, {BOB.relay: "10.138.99.99"}):
        subjects = {BOB: send(qube, BOB)}
        qube.wait_for(lambda: reasons(qube), "it to be deferred")
        back_off(qube)
    with dropped(lab, ALICE.port):
        subjects[ALICE] = send(qube, ALICE)
        qube.wait_for(
            lambda: "active" in {mail["queue_name"] for mail in qube.queue()}, "it to be on its way"
        )
        with qube.asleep():
            qube.network("down")
            time.sleep(3)
    # An address of another network, and its name servers.
    with name_servers(qube, OTHER_NETWORK):
        qube.network("up")
    qube.wait_for(lambda: len(reasons(qube)) == 2, "both to be deferred")

    def arrived() -> bool:
        look(qube)
        time.sleep(2)
        return all(relay.received(subjects[account]) for account, relay in relays.items())

    # What is promised; a look goes amiss while the network is still coming up.
    qube.wait_for(arrived, "both messages", 60)
    for account, relay in relays.items():
        (mail,) = relay.received(subjects[account])
        assert mail.login == account.login
        assert relay.wait_for(send(qube, account), diagnosis=qube.diagnosis).login == account.login
    assert mx.connections() == []


@pytest.mark.soak
def test_name_service_that_is_dead_for_half_an_hour(
    lab: Lab, new_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    """With the timer as it is, and a message of each account every five minutes."""
    qube = new_qube(pillar=pillar(*ACCOUNTS))
    assert direct.run(qube).error is None
    relays = {ALICE: relay_a, BOB: relay_b}
    sent = []
    with dead_name_service(lab):
        for _ in range(6):
            sent += [(account, send(qube, account)) for account in ACCOUNTS]
            time.sleep(300)
        assert qube.maildir() == []
        assert len(qube.queue()) == len(sent)
    right = time.time()
    for account, subject in sent:
        mail = relays[account].wait_for(subject, 90, diagnosis=qube.diagnosis)
        assert mail.login == account.login
        assert mail.time < right + 60
        print(f"{subject}: {mail.time - right:.0f} s after the name service")
    assert mx.connections() == []
