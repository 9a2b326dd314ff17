# SPDX-License-Identifier: Apache-2.0
"""Nobody hands mail in by the port of a connection that was another user's: it may be the user's by the next moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, pillar, unique
from .gate import PLACE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

# Sends all that it has at once, or goes as far as the server lets it. As soon as the policy service is asked for it, it
# sends the rest and resets the connection, so that its port is free. The steps are split at "|".
_ATTACK = f"""
import os, socket, struct, sys, time
steps = [step.encode() for step in sys.argv[1].split("|")]
talk = socket.create_connection(("127.0.0.1", 25))
if sys.argv[2] == "at once":
    talk.sendall(b"".join(steps))
    steps = []
open("{PLACE}/connected", "w").close()
talk.settimeout(0.02)
while not os.path.exists("{PLACE}/asked"):
    try:
        if not talk.recv(4096):
            break
        talk.sendall(steps.pop(0))
    except (TimeoutError, IndexError):
        pass
try:
    talk.sendall(b"".join(steps))
except OSError:
    pass
with open("{PLACE}/port.new", "w") as file:
    file.write(str(talk.getsockname()[1]))
talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
talk.close()
os.rename("{PLACE}/port.new", "{PLACE}/port")
"""
# The user's connection from that port, over which nothing goes.
_REUSE = f"""
import os, socket, sys, time
talk = socket.socket()
talk.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
talk.bind(("127.0.0.1", int(sys.argv[1])))
talk.connect(("127.0.0.1", 25))
open("{PLACE}/reused", "w").close()
while not os.path.exists("{PLACE}/over"):
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, mx: MX) -> Qube:
    return applied_qube("mail-ports", pillar(ALICE), relay_a, mx, user="other")


def _steps(way: str, subject: str) -> str:
    message = f"From: {ALICE.address}\r\nSubject: {subject}\r\n\r\nx\r\n"
    envelope = f"MAIL FROM:<{ALICE.address}>\r\nRCPT TO:<{RECIPIENT}>\r\n"
    if way == "BDAT":
        return f"EHLO x\r\n|{envelope}BDAT {len(message)} LAST\r\n{message}"
    return f"EHLO x\r\n|{envelope}DATA\r\n{message}.\r\n"


# Sends all that it has when the policy service is asked for it, and leaves without a reset: as far as the kernel knows,
# the connection is then nobody's, which is written as 0, as root is.
_LEAVE = f"""
import os, socket, sys, time
talk = socket.create_connection(("127.0.0.1", 25))
while not os.path.exists("{PLACE}/asked"):
    time.sleep(0.005)
talk.sendall(sys.argv[1].replace("|", "").encode())
if sys.argv[2] == "closes":
    talk.close()
else:
    talk.shutdown(socket.SHUT_WR)
open("{PLACE}/left", "w").close()
while sys.argv[2] != "closes" and not os.path.exists("{PLACE}/over"):
    time.sleep(0.02)
"""


@pytest.mark.parametrize("way", ["BDAT", "DATA"])
@pytest.mark.parametrize("how", ["closes", "shuts down"])
def test_connection_that_its_process_has_left_counts_for_nobody(
    qube: Qube, relay_a: Relay, mx: MX, way: str, how: str
) -> None:
    subject = unique()
    with Gate(qube) as gate:
        gate.shut()
        before = len(qube.journal())
        steps = _steps(way, subject)
        qube.run("systemd-run", "--uid=other", "--collect", "python3", "-c", _LEAVE, steps, how)
        qube.wait_for(lambda: _there(qube, "left"), "the end of the other's part")
        gate.open()
        qube.wait_for(lambda: "disconnect from" in qube.journal()[before:], "the end of the session")
        told = gate.answered()
        qube.run("touch", f"{PLACE}/over")
    assert [answer[:10] for answer in told] == ["action=521"]
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert relay_a.received(subject) == []
    assert mx.connections() == []


@pytest.mark.parametrize("guard", ["yes", "no"])
@pytest.mark.parametrize("when", ["in turn", "at once"])
@pytest.mark.parametrize("way", ["BDAT", "DATA"])
def test_port_that_becomes_the_user_s_while_the_policy_is_asked_counts_for_nobody(
    qube: Qube, relay_a: Relay, mx: MX, way: str, when: str, guard: str
) -> None:
    """smtpd_forbid_unauth_pipelining is ``yes`` since Postfix 3.9, and the first ones of 3.7 and 3.8 do not know it."""
    subject = unique()
    qube.run("postconf", "-e", f"smtpd_forbid_unauth_pipelining = {guard}")
    # Postfix waits until a main.cf is some seconds old.
    qube.run("touch", "-d", "-1 minute", "/etc/postfix/main.cf")
    with Gate(qube) as gate:
        told = _attack(qube, gate, _steps(way, subject), when)
    # Either Postfix ended the session before it asked, or the policy service took the port for the user's.
    assert told[:1] in ([], ["action=DUNNO"])
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert relay_a.received(subject) == []
    assert mx.connections() == []


def _there(qube: Qube, name: str) -> bool:
    return qube.run("test", "-e", f"{PLACE}/{name}", check=False).returncode == 0


def _attack(qube: Qube, gate: Gate, steps: str, when: str) -> list[str]:
    """Let another user's port become the user's while the policy service is asked, and return its answers."""

    def ended() -> int:
        return qube.journal()[before:].count("disconnect from")

    gate.shut()
    before = len(qube.journal())
    # No smtpd(8) runs after a reload: what is sent at once is there when one looks.
    master = qube.run("cat", "/var/spool/postfix/pid/master.pid").stdout.strip()
    qube.run("kill", "-STOP", master)
    qube.run("systemd-run", "--uid=other", "--collect", "python3", "-c", _ATTACK, steps, when)
    qube.wait_for(lambda: _there(qube, "connected"), "the connection of the other user")
    qube.run("kill", "-CONT", master)
    qube.wait_for(lambda: _there(qube, "port") or ended(), "the port")
    if _there(qube, "port"):
        port = qube.run("cat", f"{PLACE}/port").stdout
        qube.run("systemd-run", "--uid=user", "--collect", "python3", "-c", _REUSE, port)
        qube.wait_for(lambda: _there(qube, "reused"), "the user's connection")
    gate.open()
    qube.wait_for(ended, "the end of the other's session")
    told = gate.answered()
    qube.run("touch", f"{PLACE}/over")
    return told
