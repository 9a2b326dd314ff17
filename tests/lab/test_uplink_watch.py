# SPDX-License-Identifier: Apache-2.0
"""What the watch for the uplink leaves alone: it logs in for nobody in vain, and has little to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay, Server

pytestmark = pytest.mark.usefixtures("empty_queue")

TIMER = "postfix-smarthost-uplink.timer"
PAUSES = "/run/postfix-smarthost/pauses"
# Who ends the connection at each login, as some do at a wrong password.
_HANGS_UP = r"""
import socket, ssl, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/postfix/certificate.pem", "/etc/postfix/key.pem")
def talk(client):
    with context.wrap_socket(client, server_side=True) as client, client.makefile("rw", newline="\r\n") as lines:
        print("220 hangs-up.test ESMTP", file=lines, flush=True)
        for line in lines:
            verb = line.split()[0].upper()
            if verb == "AUTH":
                print("login", flush=True)
                return
            print("250-hangs-up.test\n250 AUTH PLAIN LOGIN" if verb == "EHLO" else "221 bye", file=lines, flush=True)
            if verb == "QUIT":
                return
server = socket.create_server(("0.0.0.0", 465))
while True:
    threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()
"""
HANGS_UP = {
    "address": "eve@hangs-up.test",
    "relay": "hangs-up.test",
    "port": 465,
    "password": "eves-own-password",
}


@pytest.fixture(scope="module")
def hangs_up(lab: Lab) -> Server:
    return lab.server("hangs-up.test", _HANGS_UP)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay, hangs_up: Server) -> Iterator[Qube]:
    """Give a qube with an account at a port that is closed, one whose password is wrong, and one that is right."""
    assert relay_a.running
    assert relay_b.running
    assert hangs_up.running
    accounts = (ALICE.record(port=2525), ANN, BOB.record(password="wrong"), HANGS_UP)
    qube = lab.qube(unique("mail-watch"), template=prepared, pillar=pillar(*accounts))
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", TIMER)
    # What came before is over: the uplink since the start, and what is beneath.
    look(qube)
    qube.run("sh", "-c", "echo 0 > /run/postfix-smarthost/mounted || :")
    yield qube
    lab.remove(qube)


def look(qube: Qube) -> None:
    """Do what the timer does."""
    qube.run(direct.BOOT_SCRIPT, "uplink")


def wait(qube: Qube, *senders: str) -> dict[str, str]:
    """Send a message of each, and return why they wait when all do."""
    for sender in senders:
        qube.send(sender=sender, to=RECIPIENT, subject=unique("watch"))

    def reasons() -> dict[str, str]:
        queue = qube.queue()
        if len(queue) != len(senders) or {mail["queue_name"] for mail in queue} != {"deferred"}:
            return {}
        return {mail["sender"]: mail["recipients"][0]["delay_reason"] for mail in queue}

    return qube.wait_for(reasons, "all to be deferred")


def settled(qube: Qube) -> bool:
    return {mail["queue_name"] for mail in qube.queue()} == {"deferred"}


def test_port_that_is_closed_makes_no_login_of_another_account(qube: Qube, relay_b: Relay) -> None:
    """The host of both answers, at another port; each half minute there was one more wrong login, for days."""
    before = len(relay_b.logins())
    found = wait(qube, ALICE.address, BOB.address)
    assert found[ALICE.address].startswith("connect to smtp.a.test[")
    assert "SASL authentication failed" in found[BOB.address]
    attempts = len(relay_b.logins())
    assert attempts > before
    for _ in range(3):
        look(qube)
        qube.wait_for(lambda: settled(qube), "all to be deferred")
    assert len(relay_b.logins()) == attempts
    # One who can be reached is not held up by it.
    assert_delivers(qube, qube.lab.relays[ANN.relay], ANN)


def test_tries_that_bring_nothing_come_later_and_later(qube: Qube, hangs_up: Server) -> None:
    """A relay that answers, and hangs up at the login: Postfix cannot tell that from a network that broke off."""
    (reason,) = wait(qube, HANGS_UP["address"]).values()
    assert reason.startswith("lost connection with hangs-up.test[")
    first = hangs_up.log().count("login")
    look(qube)
    qube.wait_for(lambda: hangs_up.log().count("login") > first and settled(qube), "a try")
    second = hangs_up.log().count("login")
    for _ in range(3):
        look(qube)
        qube.wait_for(lambda: settled(qube), "it to be deferred")
    assert hangs_up.log().count("login") == second
    (pause,) = [line.split() for line in qube.read(PAUSES).splitlines()]
    assert (pause[0], pause[2]) == (HANGS_UP["address"], "40")
    # When that is over, the next one is longer, up to Postfix's own longest.
    for length in ("80", "160"):
        qube.run("sed", "-i", "s/ [0-9]* / 0 /", PAUSES)
        qube.wait_for(lambda: settled(qube), "it to be deferred")
        look(qube)
        assert qube.read(PAUSES).split()[2] == length
    qube.run("sed", "-i", "s/ [0-9]* [0-9]*$/ 0 800/", PAUSES)
    qube.wait_for(lambda: settled(qube), "it to be deferred")
    look(qube)
    assert qube.read(PAUSES).split()[2] == "900"
    assert qube.run("cat", PAUSES, user="nobody", check=False).returncode != 0


# How the timer goes while something of its service is left: systemd-run(1) takes no name that is there.
LEFT = {
    "a look that goes on": (
        "systemd-run --quiet --no-block --unit=postfix-smarthost-uplink.service --property=Type=oneshot sleep 60"
    ),
    "a look that failed": "systemd-run --quiet --wait --unit=postfix-smarthost-uplink.service false || :",
    "a look that was killed": (
        "systemd-run --quiet --no-block --unit=postfix-smarthost-uplink.service --property=Type=oneshot sleep 60;"
        " systemctl kill --signal=KILL postfix-smarthost-uplink.service"
    ),
    "the timer that failed": (
        "systemd-run --quiet --unit=postfix-smarthost-uplink --on-active=60 --remain-after-exit true;"
        " systemctl kill postfix-smarthost-uplink.timer || :; systemctl stop postfix-smarthost-uplink.timer"
    ),
}


@pytest.mark.parametrize("left", LEFT)
def test_watch_starts_whatever_is_left_of_one(qube: Qube, left: str) -> None:
    """It did not while a look went on, and nothing but a line of the journal told so."""
    try:
        qube.run("sh", "-c", LEFT[left])
        started = qube.run(direct.BOOT_SCRIPT)
        assert started.stderr == ""
        assert qube.run("systemctl", "is-active", TIMER).stdout == "active\n"
    finally:
        qube.run("systemctl", "stop", TIMER)


def test_with_nothing_that_waits_one_program_is_started(qube: Qube) -> None:
    # Bash writes a + more in each subshell.
    lines = qube.run("bash", "-x", direct.BOOT_SCRIPT, "uplink").stderr.splitlines()
    traced = [line.lstrip("+").split()[0].strip("'") for line in lines if line.startswith("+")]
    builtin = qube.run("bash", "-c", "compgen -bk").stdout.split()
    functions = qube.run("sed", "-n", r"s/^\([a-z_]*\)() {$/\1/p", direct.BOOT_SCRIPT).stdout.split()
    programs = [word for word in traced if word not in (*builtin, *functions) and "=" not in word]
    assert programs == ["find"], lines


def test_network_that_comes_back_is_seen_with_the_look_ups_of_the_system(
    new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    """With smtp_host_lookup = native Postfix has other words, which were not known."""
    qube = new_qube(pillar=pillar(ALICE, settings={"smtp_host_lookup": "native"}))
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", TIMER)
    qube.network("down")
    (reason,) = wait(qube, ALICE.address).values()
    assert reason.startswith("unable to look up host smtp.a.test: ")
    qube.run("sh", "-c", "find /var/spool/postfix/deferred -type f -exec touch -d '1 hour' {} +")
    qube.network("up")
    look(qube)
    assert_delivers(qube, relay_a)
    qube.wait_for(lambda: not qube.queue(), "the queue to be empty")
    # A try that brought something holds up none of the next outage.
    assert ALICE.address in qube.read(PAUSES)
    look(qube)
    assert qube.read(PAUSES) == ""
