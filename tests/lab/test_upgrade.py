# SPDX-License-Identifier: Apache-2.0
"""A boot finds the tables that it has to: those of a version before, too, and those that are a moment old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import smarthost_programs

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .version_0_1 import FILES, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

CONFIG = "/usr/local/etc/postfix"


def sends(qube: Qube, relay: Relay) -> None:
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_tables_of_version_0_1_start_and_are_taken_on(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    """An apply puts the new boot script in place before the new tables: a kill between them leaves these two."""
    qube = new_qube(pillar=pillar(ALICE))
    for name, (mode, content) in FILES.items():
        qube.write(f"{CONFIG}/{name}", content, mode=f"{mode:o}")
    qube.write(f"{CONFIG}/submit-policy", smarthost_programs.submit_policy(), mode="755")
    qube.write(direct.BOOT_SCRIPT, smarthost_programs.boot_script(), mode="755")
    # Compiled ones are missing; the script makes them.
    qube.restart()
    qube.wait_for(lambda: direct.run(qube, "postfix_smarthost.active").result, "Postfix after the boot")
    sends(qube, relay_a)
    compiled = qube.run("sh", "-c", f"cd {CONFIG}/tables-a && ls *.db").stdout.split()
    assert sorted(compiled) == sorted(f"{name}.db" for name in TABLES)

    said = direct.run(qube)
    assert said.changes["accounts"] == {"added": [ALICE.address]}
    sends(qube, relay_a)
    assert direct.run(qube).changes == {}
    qube.restart()
    sends(qube, relay_a)
    assert mx.connections() == []


def test_boot_right_after_a_change_keeps_the_tables(new_qube: Callable[..., Qube], relay_a: Relay) -> None:
    """postconf(1) expands $config_directory otherwise while main.cf is new; the tables then counted as left over."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", "postfix")
    qube.run("umount", "/etc/postfix")
    qube.run("sh", "-c", f"touch {CONFIG}/main.cf && exec {direct.BOOT_SCRIPT}")
    assert qube.run("ls", f"{CONFIG}/tables-a/sender_relay").returncode == 0
    sends(qube, relay_a)
