# SPDX-License-Identifier: Apache-2.0
"""Owners that are not those of the installed Postfix, however a boot was cut off while it repaired them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

CONFIG = "/usr/local/etc/postfix"
QUEUE = "/rw/bind-dirs/var/spool/postfix"
OWN = [
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
]


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay) -> Iterator[Qube]:
    """Give a mail qube with a message in its queue."""
    assert relay_a.running
    qube = lab.qube(unique("mail-owners"), template=prepared, pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


# What is not repaired yet, for each place at which a boot can be cut off.
DRIFTS = {
    "all": f"chown -R 12345 {' '.join(OWN)}; chown 12345:12346 public maildrop",
    "public and maildrop, user": "chown 12345 public maildrop",
    "maildrop, user": "chown 12345 maildrop",
    "maildrop, group": "chgrp 12346 maildrop",
    "public, group": "chgrp 12346 public",
    "hold alone": "chown -R 12345 hold",
    "deferred, and what is below": "chown -R 12345 deferred",
    "trace, saved and corrupt": "chown 12345 trace saved corrupt",
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_owner_is_repaired_by_the_script(qube: Qube, relay_a: Relay, drift: str) -> None:
    """One that was not looked at once ended all mail, and an apply did not heal it."""
    qube.network("down")
    try:
        subject = unique("owner")
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        qube.wait_for(lambda: [m["queue_name"] for m in qube.queue()] == ["deferred"], "it to be deferred")
        qube.run("systemctl", "stop", "postfix")
        qube.run("sh", "-ec", f"cd {QUEUE}; {DRIFTS[drift]}")
    finally:
        qube.network("up")
    qube.run(direct.BOOT_SCRIPT)
    qube.wait_for(lambda: direct.run(qube, "postfix_smarthost.active").result, "Postfix to run")
    found = qube.run("sh", "-c", f"cd {QUEUE}; stat -c '%n %U %G' {' '.join(OWN)} public maildrop").stdout
    owners = {line.split()[0]: line.split()[1:] for line in found.splitlines()}
    assert {name: owners[name][0] for name in OWN} == dict.fromkeys(OWN, "postfix")
    assert owners["public"] == owners["maildrop"] == ["postfix", "postdrop"]
    qube.run("postqueue", "-f")
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
    assert_delivers(qube, relay_a)


def test_first_apply_where_usr_local_is_of_another_group(
    new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    """As Debian's /etc/staff-group-for-usr-local makes it: what is made below has that group, and the set-gid bit."""
    qube = new_qube(pillar=pillar(ALICE))
    qube.run("sh", "-ec", "mkdir -p /usr/local/etc; chgrp -R staff /usr/local; chmod -R 2775 /usr/local")
    assert direct.run(qube).error is None
    assert_delivers(qube, relay_a)
    others = qube.run(
        "find", CONFIG, "(", "!", "-user", "root", "-o", "!", "-group", "root", "-o", "-perm", "-2000", ")"
    )
    assert others.stdout == ""
    assert qube.run("stat", "-c", "%a", CONFIG, f"{CONFIG}/tables-a").stdout == "755\n755\n"
    assert direct.run(qube).changes == {}
    qube.restart()
    assert_delivers(qube, relay_a)
    # So are those of a later one, and of one that was configured when it was not so.
    qube.run("chmod", "2775", "/usr/local/etc", CONFIG)
    qube.run("chgrp", "-R", "staff", "/usr/local/etc")
    assert "files" in direct.run(qube).changes
    assert_delivers(qube, relay_a)
