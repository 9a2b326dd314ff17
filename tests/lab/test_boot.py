# SPDX-License-Identifier: Apache-2.0
"""What the boot script does when something is wrong: Postfix stays off, and one line says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

SCRIPT = "/rw/config/rc.local.d/50-postfix-smarthost.rc"
NOT_STARTED = "postfix-smarthost: Postfix is not started: "
CONFIG = "/usr/local/etc/postfix"
QUEUE = "/rw/bind-dirs/var/spool/postfix"
AGAIN = "apply postfix_smarthost to this qube again"
TO_TEMPLATE = "apply postfix_smarthost to the template of this qube"

# What goes wrong at boot, as a script that runs before, and what the journal then says.
FAILURES = {
    "Postfix missing": ("rm /usr/sbin/postfix", f"it is not installed: {TO_TEMPLATE}"),
    "configuration missing": (
        f"rm -r {CONFIG}",
        "there is no configuration: apply postfix_smarthost to this qube",
    ),
    "main.cf of another": (
        f"echo 'relayhost = [mx.recipients.test]:25' > {CONFIG}/main.cf",
        f"{CONFIG}/main.cf is not the one of the formula: {AGAIN}",
    ),
    "no user postfix": ("sed -i /^postfix:/d /etc/passwd", "the template has no user postfix"),
    "no group postdrop": ("sed -i /^postdrop:/d /etc/group", "the template has no group postdrop"),
    "wrong owner": (
        f"chown user {CONFIG}/tables-*/sender_relay",
        f"{CONFIG} is not whole or does not belong to root: {AGAIN}",
    ),
    "master.cf missing": (
        f"rm {CONFIG}/master.cf",
        f"{CONFIG} is not whole or does not belong to root: {AGAIN}",
    ),
    "table missing": (
        f"rm {CONFIG}/tables-*/saslpass",
        f"the table {CONFIG}/tables-a/saslpass is missing: {AGAIN}",
    ),
    "table broken": (
        f"rm {CONFIG}/tables-*/saslpass.*; echo alice@a.test > {CONFIG}/tables-a/saslpass",
        f"the table {CONFIG}/tables-a/saslpass cannot be compiled: {AGAIN}",
    ),
    "no place to mount": ("rm -r /etc/postfix", f"{CONFIG} cannot be mounted over /etc/postfix: mount: "),
    "no place for the queue": (
        "rm -r /rw/bind-dirs; touch /rw/bind-dirs",
        f"the queue cannot be made in {QUEUE}: mkdir: ",
    ),
    "disk full": (
        "cp -a /usr/local/etc /tmp/etc; mount -t tmpfs -o size=400k tmpfs /usr/local/etc;"
        f" cp -a /tmp/etc/. /usr/local/etc/; rm {CONFIG}/tables-*/saslpass.*;"
        " cat /dev/zero > /usr/local/etc/zero",
        "the table /usr/local/etc/postfix/tables-a/saslpass cannot be compiled: "
        "|there is no room in /usr/local/etc/postfix/tables-a"
        "|dynamicmaps.cf"
        "|the name of this qube cannot be written to /usr/local/etc/postfix/tables-a/",
    ),
    "queue without room": (
        f"cp -a {QUEUE} /tmp/queue; mount -t tmpfs -o size=300k,mode=0755 tmpfs {QUEUE}; cp -a /tmp/queue/. {QUEUE};"
        f" cat /dev/zero > {QUEUE}/zero",
        f"there is no room in {QUEUE}",
    ),
    "service masked": ("systemctl mask postfix", "systemd does not start it: "),
}


@pytest.fixture(scope="module")
def halted(lab: Lab, prepared: Template, relay_a: Relay) -> Iterator[Qube]:
    """Give a halted mail qube to be cloned."""
    assert relay_a.running
    qube = lab.qube(unique("mail-boot"), template=prepared, pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    qube.shutdown()
    yield qube
    lab.remove(qube)


@pytest.fixture
def clone(lab: Lab, halted: Qube) -> Iterator[Callable[..., Qube]]:
    """Give a function that starts a clone of the mail qube, with a script that runs at boot before the formula's."""
    made = []

    def make(before: str = "", template: Template | None = None, services: tuple[str, ...] = ()) -> Qube:
        qube = halted.clone(unique("clone"))
        made.append(qube)
        qube.template = template or qube.template
        qube.services |= set(services)
        script = qube.rw / "config/rc.local.d/10-before.rc"
        script.write_text(f"#!/bin/sh\n{before}\n")
        script.chmod(0o755)
        qube.start()
        return qube

    yield make
    for qube in made:
        lab.remove(qube)


def reasons(qube: Qube) -> list[str]:
    """What the boot script said of why Postfix is not started."""
    lines = qube.journal("qubes-misc-post.service").splitlines()
    return [line.partition(NOT_STARTED)[2] for line in lines if NOT_STARTED in line]


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_leaves_postfix_off_and_says_why(clone: Callable[..., Qube], what: str) -> None:
    breaking, expected = FAILURES[what]
    qube = clone(breaking)
    (reason,) = reasons(qube)
    assert reason.startswith(tuple(expected.split("|")))
    assert ALICE.password not in qube.journal()
    # Whatever else the user's scripts do.
    qube.run("systemctl", "start", "postfix", check=False)
    assert qube.run("pgrep", "-x", "master", check=False).stdout == ""
    assert "daemon started" not in qube.journal()


@pytest.mark.parametrize("breaking", ["", f"rm {CONFIG}/tables-*/saslpass"])
def test_a_template_that_starts_postfix_by_itself(
    lab: Lab, prepared: Template, clone: Callable[..., Qube], relay_a: Relay, mx: MX, breaking: str
) -> None:
    template = prepared.clone(unique("enabled"))
    template.start()
    template.write("/etc/postfix/main.cf", "inet_interfaces = loopback-only\ncompatibility_level = 3.6\n")
    template.run("systemctl", "enable", "postfix")
    template.shutdown()
    qube = clone(breaking, template)
    if breaking:
        assert len(reasons(qube)) == 1
        assert qube.run("pgrep", "-x", "master", check=False).stdout == ""
        assert qube.run("systemctl", "is-active", "postfix", check=False).stdout != "active\n"
    else:
        assert_delivers(qube, relay_a)
    assert mx.connections() == []


def test_mail_handed_in_while_postfix_is_off_is_sent_later(
    clone: Callable[..., Qube], relay_a: Relay
) -> None:
    qube = clone(f"mv {CONFIG}/tables-a/saslpass /rw/kept")
    assert len(reasons(qube)) == 1
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    mended = f"#!/bin/sh\nmv /rw/kept {CONFIG}/tables-a/saslpass\n"
    qube.write("/rw/config/rc.local.d/10-before.rc", mended, mode="0755")
    qube.restart()
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


@pytest.mark.parametrize(
    "breaking",
    [
        f"rm {CONFIG}/tables-a/*.db",
        f"for t in {CONFIG}/tables-a/*.db; do : > $t; done",
        f"for t in {CONFIG}/tables-a/*.db; do head -c 9000 /dev/zero > $t; done",
        f"touch -d 'next month' {CONFIG}/tables-a/saslpass",
        "rm /etc/aliases.db",
    ],
    ids=["deleted", "emptied", "garbage", "older", "aliases deleted"],
)
def test_tables_are_compiled_when_they_have_to_be(
    clone: Callable[..., Qube], relay_a: Relay, breaking: str
) -> None:
    qube = clone(breaking)
    assert reasons(qube) == []
    assert_delivers(qube, relay_a)
    subject = unique()
    qube.send(to="root", subject=subject, user="root")
    qube.wait_for(lambda: [mail for mail in qube.maildir() if mail["Subject"] == subject], "local mail")


def test_what_killed_applies_and_boots_left_goes(clone: Callable[..., Qube], relay_a: Relay) -> None:
    left = [f"{CONFIG}/{name}" for name in ("staging/tables-b", "tables-b", "tables-a/.saslpass.boot-abcDEF")]
    left += [f"{CONFIG}/tables-a/.saslpass.postmap-a_b4c5d6", f"{CONFIG}/.x.postmap-abcdefgh", f"{QUEUE}.new"]
    qube = clone(
        f"mkdir -p {' '.join(left)}; touch {CONFIG}/staging/tables-b/saslpass {CONFIG}/staging/main.cf"
    )
    assert_delivers(qube, relay_a)
    found = qube.run("find", CONFIG, f"{QUEUE}.new", "-name", "*b", "-o", "-name", ".*", check=False).stdout
    assert [line for line in found.splitlines() if not line.endswith(".db")] == []
    assert qube.run("ls", "-d", f"{CONFIG}/staging", f"{QUEUE}.new", check=False).stdout == ""


def test_the_script_can_be_run_twice(clone: Callable[..., Qube], relay_a: Relay) -> None:
    qube = clone()
    # A main.cf of these seconds would keep Postfix waiting.
    qube.wait_for(lambda: qube.run("pgrep", "-x", "master", check=False).stdout, "Postfix to start")
    before = qube.run("pgrep", "-x", "master").stdout, qube.read("/proc/mounts"), qube.tree(CONFIG)
    again = qube.run(SCRIPT)
    assert again.stdout + again.stderr == ""
    assert (qube.run("pgrep", "-x", "master").stdout, qube.read("/proc/mounts"), qube.tree(CONFIG)) == before
    qube.run("systemctl", "stop", "postfix")
    qube.run(SCRIPT)
    assert_delivers(qube, relay_a)


def test_a_qube_with_custom_persist_is_told(clone: Callable[..., Qube]) -> None:
    qube = clone(services=("custom-persist",))
    assert qube.run("pgrep", "-x", "master", check=False).stdout == ""
    before = qube.tree("/rw", "/usr/local", "/etc")
    applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    assert "qvm-service QUBE custom-persist off" in applied.printed
    assert qube.tree("/rw", "/usr/local", "/etc") == before
