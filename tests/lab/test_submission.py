# SPDX-License-Identifier: Apache-2.0
"""Who submits mail by SMTP is asked for once a connection; who may not holds nothing up."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, RECIPIENT, pillar, unique
from .gate import PLACE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .qube import Qube
    from .relay import MX, Relay

# What the formula allows at a time, with one policy service each.
SERVICES = 10

_SESSION = """
import smtplib, sys
with smtplib.SMTP("127.0.0.1") as smtp:
    for number in range(20):
        smtp.sendmail(sys.argv[1], ["user@localhost", "root@localhost"], f"Subject: {sys.argv[2]}\\n\\n{number}\\n")
"""

# Keeps connections open, each as far into a message as it gets, until it is told; says what came last on each.
_HOLD = f"""
import json, os, socket, sys, time
sender, count = sys.argv[1], int(sys.argv[2])
talks = [socket.create_connection(("127.0.0.1", 25)) for _ in range(count)]
def answer(talk):
    got = b""
    while not got.endswith(b"\\n"):
        data = talk.recv(4096)
        if not data:
            return got.decode() + "closed"
        got += data
    return got.decode()
said = []
for talk in talks[:int(sys.argv[3])]:
    talk.settimeout(20)
    for line in ("EHLO x", f"MAIL FROM:<{{sender}}>", "RCPT TO:<user@localhost>"):
        last = answer(talk)
        if last[0] not in "23":
            break
        talk.sendall(line.encode() + b"\\r\\n")
    try:
        said.append(last + answer(talk))
    except ConnectionError:
        said.append(last + "closed")
with open("{PLACE}/held.new", "w") as file:
    json.dump(said, file)
os.rename("{PLACE}/held.new", "{PLACE}/held")
while os.path.exists("{PLACE}/held"):
    time.sleep(0.02)
"""

# Connects again and again, from many threads, and stays as long as it may.
_FLOOD = f"""
import os, resource, socket, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def one():
    while True:
        try:
            with socket.create_connection(("127.0.0.1", 25)) as talk:
                while talk.recv(1000):
                    pass
        except OSError:
            time.sleep(0.001)
for _ in range(400):
    threading.Thread(target=one, daemon=True).start()
open("{PLACE}/flooding", "w").close()
while os.path.exists("{PLACE}/flooding"):
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, mx: MX) -> Qube:
    return applied_qube("mail-submission", pillar(ALICE), relay_a, mx, user="other")


@pytest.fixture
def place(qube: Qube) -> Iterator[Qube]:
    """Give the qube with a directory for what its processes tell each other."""
    qube.run("sh", "-c", f"rm -rf {PLACE}; mkdir -m 1777 {PLACE}")
    # No service is left from another test, and no connection of one in the backlog, where it goes before others.
    qube.run("postfix", "reload")
    states = ("exclude", "listening", "exclude", "time-wait", "( sport = :25 or dport = :25 )")
    qube.wait_for(
        lambda: not qube.run("ss", "-Htan", "state", "all", *states).stdout, "the end of all connections"
    )
    yield qube
    qube.run("sh", "-c", f"rm -rf {PLACE}; systemctl stop 'lab-*'", check=False)


def _running(qube: Qube) -> dict[str, int]:
    """Count the SMTP and policy services."""
    lines = qube.run("ps", "-eo", "args=").stdout.splitlines()
    words = {"smtpd": r"smtpd( |$)", "policy": r"/usr/bin/python3 -IS /etc/postfix/submit-policy"}
    return {what: sum(bool(re.match(pattern, line)) for line in lines) for what, pattern in words.items()}


def _held(qube: Qube, user: str, count: int, served: int) -> list[str]:
    """Let a user keep connections open, and return what was said on those that are served."""
    command = ("python3", "-c", _HOLD, ALICE.address, str(count), str(served))
    qube.run("systemd-run", "--collect", "--unit=lab-held", f"--uid={user}", *command)

    def told() -> str:
        return qube.run("cat", f"{PLACE}/held", check=False).stdout

    return json.loads(qube.wait_for(told, "the connections"))


def test_user_is_asked_for_once_a_connection(qube: Qube) -> None:
    """It was for each recipient, which made fetched mail four times slower."""
    with Gate(qube) as gate:
        for number in (1, 2):
            qube.run("python3", "-c", _SESSION, ALICE.address, unique(), user="user")
            assert [asked["protocol_state"] for asked in gate.asked()] == ["CONNECT"] * number
            assert gate.answered() == ["action=DUNNO"] * number
            assert len(gate.started()) <= number


def test_connections_of_another_user_are_closed_and_hold_no_services(place: Qube, relay_a: Relay) -> None:
    """Each kept two processes, 400 MB in all, for as long as it stayed."""
    said = _held(place, "other", 60, 60)
    assert {text.split("\n")[-1] for text in said} == {"closed"}
    assert {text[:10] for text in said} == {"521 5.7.1 "}
    assert [
        text for text in said if "other may not submit mail here, only root and user may" not in text
    ] == []
    running = _running(place)
    assert running["smtpd"] <= SERVICES
    assert running["policy"] <= SERVICES
    subject = unique()
    assert place.send_smtp(sender=ALICE.address, to=RECIPIENT, subject=subject)["data"][0] == 250
    assert relay_a.wait_for(subject, diagnosis=place.diagnosis).login == ALICE.login


def test_user_and_apply_get_through_while_another_user_floods_the_port(place: Qube, relay_a: Relay) -> None:
    """An apply failed after 20 seconds: a changed password could not be brought in meanwhile."""
    command = ("python3", "-c", _FLOOD)
    place.run("systemd-run", "--collect", "--unit=lab-flood", "--uid=other", *command)
    connected = ("ss", "-Htn", "state", "established", "( dport = :25 )")
    place.wait_for(lambda: len(place.run(*connected).stdout.splitlines()) > 5 * SERVICES, "the flood")
    subject = unique()
    assert place.send_smtp(sender=ALICE.address, to=RECIPIENT, subject=subject)["data"][0] == 250
    assert relay_a.wait_for(subject, diagnosis=place.diagnosis).login == ALICE.login
    assert direct.run(place, pillar=pillar(ALICE, ANN)).error is None
    running = _running(place)
    # One more is there for applies.
    assert running["smtpd"] <= SERVICES + 1
    assert running["policy"] <= SERVICES + 1
    assert place.run("test", "-e", f"{PLACE}/flooding", check=False).returncode == 0


def test_apply_gets_through_while_the_user_s_own_connections_take_all_services(place: Qube) -> None:
    said = _held(place, "user", 3 * SERVICES, SERVICES)
    assert {text[:4] for text in said} == {"250 "}
    running = _running(place)
    assert running == {"smtpd": SERVICES, "policy": SERVICES}
    assert direct.run(place, pillar=pillar(ALICE, ANN, settings={"delay_warning_time": "5h"})).error is None


def test_no_other_user_gets_at_the_services_beside_the_port(qube: Qube) -> None:
    for service in ("takes-mail", "submit-policy"):
        script = (
            f"import socket; socket.socket(socket.AF_UNIX).connect('/var/spool/postfix/private/{service}')"
        )
        assert qube.run("python3", "-c", script).returncode == 0
        for user in ("user", "other", "nobody"):
            assert "PermissionError" in qube.run("python3", "-c", script, user=user, check=False).stderr


def test_apply_works_where_postfix_speaks_ipv6_only(qube: Qube) -> None:
    """The second one failed: it asked for mail at 127.0.0.1."""
    changed = pillar(ALICE, settings={"inet_protocols": "ipv6"})
    try:
        assert direct.run(qube, pillar=changed).error is None
        assert direct.run(qube, pillar=pillar(ALICE, ANN, settings={"inet_protocols": "ipv6"})).error is None
        refused = qube.send_smtp(sender=ALICE.address, to="user@localhost", host="::1", user="nobody")
        assert refused["connect"][0] == 521
        assert qube.send_smtp(sender=ALICE.address, to="user@localhost", host="::1")["data"][0] == 250
    finally:
        assert direct.run(qube).error is None
