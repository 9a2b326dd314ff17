# SPDX-License-Identifier: Apache-2.0
"""Two applies to one qube at once: one waits for the other, and what comes out is one of both, whole."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

CONFIG = "/usr/local/etc/postfix"
# Each takes an account from the other one's.
FIRST, SECOND = pillar(ALICE, BOB), pillar(ALICE, ANN)
SENDERS = ({ALICE.address, BOB.address}, {ALICE.address, ANN.address})


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call functions in threads of their own; return what they returned, or raised."""
    results: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except Exception as problem:
            results[number] = problem

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def senders(qube: Qube) -> set[str]:
    """Return who has an account in the configuration, after a look at all that has to agree with it."""
    found = []
    names = {"sender_dependent_default_transport_maps": "sender_relay", "smtp_sasl_password_maps": "saslpass"}
    for parameter, name in names.items():
        table = qube.run("postconf", "-xh", parameter).stdout
        (table,) = re.findall(r"[a-z]+:[^,\s]*/" + name + r"\b", table)
        rows = qube.run("postmap", "-s", table).stdout.splitlines()
        found.append({row.split()[0] for row in rows} - {"<>", "@localhost.localdomain"})
    assert found[0] == found[1]
    names = [
        name for name in qube.run("ls", "-A", CONFIG).stdout.split() if name.startswith(("tables", "stag"))
    ]
    assert len(names) == 1
    return found[0]


def test_an_apply_waits_for_another(new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(pillar=FIRST)
    direct.run(qube)
    hold = "touch /run/held; until [ -e /run/release ]; do sleep 0.1; done"
    seen = []

    def release() -> None:
        qube.wait_for(lambda: "flock" in qube.run("ps", "-eo", "comm").stdout, "the lock to be held")
        waiting = "for n in $(seq 600); do pgrep -f '^python3 -B driver' >/dev/null && break; sleep 0.1; done; sleep 2"
        qube.run("sh", "-c", waiting, timeout=120)
        seen.append(senders(qube))
        qube.run("touch", "/run/release")

    said = at_once(
        lambda: qube.run("flock", "/run/postfix-smarthost/lock", "sh", "-c", hold, timeout=120),
        lambda: (
            qube.wait_for(
                lambda: qube.run("test", "-e", "/run/held", check=False).returncode == 0, "the lock"
            ),
            direct.run(qube, pillar=SECOND),
        )[1],
        release,
    )
    assert seen == [SENDERS[0]]
    assert said[1].changes["accounts"] == {"added": [ANN.address], "removed": [BOB.address]}
    assert senders(qube) == SENDERS[1]


def test_two_applies_at_once_leave_one_of_both(new_qube: Callable[..., Qube], relay_a: Relay, mx: MX) -> None:
    qube = new_qube(pillar=FIRST)
    direct.run(qube)
    for _ in range(4):
        said = at_once(lambda: direct.run(qube, pillar=FIRST), lambda: direct.run(qube, pillar=SECOND))
        assert [run.error for run in said] == [None, None]
        found = senders(qube)
        assert found in SENDERS
        last = (FIRST, SECOND)[SENDERS.index(found)]
        assert direct.run(qube, pillar=last).changes == {}
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
    assert mx.connections() == []


def test_an_apply_of_qubesctl_beside_another_leaves_one_of_both(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    """
    The one by salt-ssh, while others change the configuration again and again.

    Not two by salt-ssh: both put Salt into one directory of the qube, and remove it (salt-ssh --wipe). Two at once kept
    replacing each other's for minutes before any state ran. That is Salt's, and touches no configuration.
    """
    qube = new_qube(pillar=SECOND)
    direct.run(qube, pillar=FIRST)
    ended = threading.Event()
    runs = []

    def change() -> None:
        while not ended.is_set():
            runs.append(direct.run(qube, pillar=(FIRST, SECOND)[len(runs) % 2]).error)

    def apply() -> Any:  # noqa: ANN401
        try:
            return qube.apply("postfix_smarthost")
        finally:
            ended.set()

    applied, _ = at_once(apply, change)
    applied.check()
    assert len(runs) > 2
    assert {*runs} == {None}
    assert senders(qube) in SENDERS
    direct.run(qube, pillar=SECOND)
    assert senders(qube) == SENDERS[1]
    subject = unique()
    qube.send(sender=ANN.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ANN.login
    assert mx.connections() == []
