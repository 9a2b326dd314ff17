# SPDX-License-Identifier: Apache-2.0
"""Locks that another local user takes: whatever he may open keeps nothing from its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

# Locks each file and directory that it can open, and everything that comes later, too.
_LOCK_ALL = """\
import fcntl, os, time
tops = ("/etc", "/usr/local", "/rw", "/run", "/var/spool", "/var/lib/postfix", "/usr/sbin", "/tmp")
held = {}
while True:
    for top in tops:
        for where, directories, files in os.walk(top):
            for path in (where, *(os.path.join(where, name) for name in files)):
                try:
                    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                    status = os.fstat(descriptor)
                    if (status.st_dev, status.st_ino) in held or path == "/run/all-locked":
                        os.close(descriptor)
                        continue
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held[status.st_dev, status.st_ino] = descriptor
                except OSError:
                    pass
    open("/tmp/all-locked", "w").close()
"""


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay) -> Iterator[Qube]:
    """Give a mail qube in which nobody holds all locks that there are, from before the boot script on."""
    assert relay_a.running
    qube = lab.qube(unique("mail-locks"), template=prepared, pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    qube.write("/rw/lock-all", _LOCK_ALL)
    before = (
        "#!/bin/sh\nsystemd-run --quiet --uid=nobody -p LimitNOFILE=100000 python3 /rw/lock-all\n"
        "until [ -e /tmp/all-locked ]; do sleep 0.1; done\n"
    )
    qube.write("/rw/config/rc.local.d/10-before.rc", before, mode="0755")
    qube.restart()
    yield qube
    lab.remove(qube)


def test_boot_waits_for_nobody(qube: Qube, relay_a: Relay) -> None:
    """It once waited for a minute, and left Postfix off."""
    # That there is somebody to wait for.
    for path in ("/usr/local/etc", "/etc/aliases"):
        assert qube.run("flock", "--nonblock", path, "true", check=False).returncode == 1
    assert "postfix-smarthost:" not in qube.journal("qubes-misc-post.service")
    assert_delivers(qube, relay_a)


def test_local_mail_waits_for_nobody(qube: Qube) -> None:
    """local(8) locks a table of aliases of the type hash to read it."""
    subject = unique("local")
    qube.send(to="root", subject=subject, user="root")
    qube.wait_for(lambda: [mail for mail in qube.maildir() if mail["Subject"] == subject], "local mail")
    assert qube.run("stat", "-c", "%a", "/etc/aliases.db").stdout == "600\n"


def test_an_apply_and_a_cleaning_wait_for_nobody(qube: Qube, relay_a: Relay) -> None:
    """A password could once not be changed or removed as long as somebody held a lock."""
    said = direct.run(qube, pillar=pillar(ALICE, ANN), timeout=50)
    assert said.changes["accounts"] == {"added": [ANN.address]}
    assert_delivers(qube, relay_a, ANN)
    assert direct.run(qube, "postfix_smarthost.remove", timeout=50).error is None
    assert qube.run("grep", "-rlsF", ALICE.password, "/rw", "/etc", check=False).stdout == ""
    assert direct.run(qube, timeout=50).error is None
    assert_delivers(qube, relay_a)


def test_aliases_are_compiled_whoever_has_them_locked(qube: Qube) -> None:
    """What the template's state does, which once waited without an end."""
    said = direct.run(qube, "postmap.build", table="hash:/etc/aliases", alias=True, timeout=50)
    assert (said.error, said.result) == (None, True)
    assert qube.run("stat", "-c", "%a", "/etc/aliases.db").stdout == "600\n"


def test_lock_is_for_root_alone(qube: Qube) -> None:
    lock = "/run/postfix-smarthost/lock"
    assert qube.run("stat", "-c", "%a %U %G", lock).stdout == "600 root root\n"
    for user in ("nobody", "user"):
        assert qube.run("flock", "--nonblock", lock, "true", user=user, check=False).returncode != 0
        assert qube.run("ls", "/run/postfix-smarthost", user=user, check=False).returncode != 0
    assert qube.run("flock", "--nonblock", lock, "true", check=False).returncode == 0
