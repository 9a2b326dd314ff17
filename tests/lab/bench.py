# SPDX-License-Identifier: Apache-2.0
"""Measure what a user waits for, on a machine that has nothing else to do: ``make bench``."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from . import ALICE, RECIPIENT, Lab, direct, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Relay

REPEATS = 10


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.monotonic()
    function()
    return time.monotonic() - began


def boot(qube: Qube) -> float:
    """Return how many seconds a boot spends in the scripts of the user, rc.local.d among them."""
    qube.restart()
    names = ("ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")
    shown = qube.run("systemctl", "show", "qubes-misc-post.service", f"--property={','.join(names)}").stdout
    stamps = dict(line.split("=") for line in shown.split())
    return (int(stamps[names[1]]) - int(stamps[names[0]])) / 1e6


def uplink(qube: Qube, relay: Relay) -> float:
    """Return how many seconds after the network is back mail arrives that waited for it."""
    qube.network("down")
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    qube.wait_for(lambda: [mail for mail in qube.queue() if mail["queue_name"] == "deferred"], "it to wait")
    began = time.time()
    qube.network("up")
    return relay.wait_for(subject, 90, diagnosis=qube.diagnosis).time - began


def report(what: str, measured: list[float]) -> None:
    """Print a row of the table."""
    print(
        f"| {what} | {len(measured)} | {statistics.median(measured):.2f} | {max(measured):.2f} |", flush=True
    )


def main() -> None:
    """Print a table of medians and maxima, in seconds."""
    print("| What | Times | Median, s | Longest, s |\n| --- | --- | --- | --- |", flush=True)
    with Lab() as lab:
        relay = lab.relay(ALICE.relay)
        template = lab.template("debian-13-bench")
        template.start()
        report(
            "apply to an untouched template",
            [seconds(lambda: template.apply("postfix_smarthost").check())],
        )
        template.shutdown()
        qube = lab.qube("mail-bench", template=template, pillar=pillar(ALICE))
        report("apply to an untouched qube", [seconds(lambda: qube.apply("postfix_smarthost").check())])
        again = [seconds(lambda: qube.apply("postfix_smarthost").check()) for _ in range(REPEATS)]
        report("apply with nothing to do", again)
        alone = [seconds(lambda: direct.run(qube)) for _ in range(REPEATS)]
        report("of it, what the formula's modules take", alone)
        report("from an uplink to the mail that waited", [uplink(qube, relay) for _ in range(REPEATS)])
        report("boot, with the boot script", [boot(qube) for _ in range(REPEATS)])
        qube.run("chmod", "0644", direct.BOOT_SCRIPT)
        report("boot, without it", [boot(qube) for _ in range(REPEATS)])


if __name__ == "__main__":
    main()
