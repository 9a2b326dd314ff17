# SPDX-License-Identifier: Apache-2.0
"""A qube that a version before configured: it starts mail at boot with the present script, and an apply takes it on."""

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
