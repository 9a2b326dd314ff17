# SPDX-License-Identifier: Apache-2.0
"""Copies of a mail qube: what it has queued is sent once, by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube
    from .relay import Relay


@pytest.fixture
def with_queue(new_qube: Callable[..., Qube], relay_a: Relay) -> Callable[..., tuple[Qube, list[str]]]:
    """Give a function that makes a halted mail qube with mail in each part of its queue."""

    def make(**keys: bool) -> tuple[Qube, list[str]]:
        assert relay_a.running
        qube = new_qube(pillar=pillar(ALICE, **keys))
        assert direct.run(qube).error is None
        qube.network("down")
        subjects = [unique("deferred"), unique("deferred"), unique("maildrop")]
        for subject in subjects[:2]:
            qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        qube.wait_for(
            lambda: [mail["queue_name"] for mail in qube.queue()] == ["deferred"] * 2, "mail to be deferred"
        )
        qube.run("systemctl", "stop", "postfix")
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subjects[2])
        qube.shutdown()
        qube.network("up")
        return qube, subjects

    return make


def counts(relay: Relay, subjects: list[str]) -> list[int]:
    return [len(relay.received(subject)) for subject in subjects]


def test_a_clone_holds_what_was_queued_and_says_how_to_send_it(
    lab: Lab, with_queue: Callable[..., tuple[Qube, list[str]]], relay_a: Relay
) -> None:
    qube, subjects = with_queue()
    clone, unused = qube.clone(unique("clone")), qube.clone(unique("clone"))
    qube.start()
    for subject in subjects:
        relay_a.wait_for(subject, 90, diagnosis=qube.diagnosis)
    clone.start()
    assert_delivers(clone, relay_a)
    clone.run("postqueue", "-f")
    assert_delivers(clone, relay_a)
    clone.restart()
    assert_delivers(clone, relay_a)
    assert [mail["queue_name"] for mail in clone.queue()] == ["hold"] * 3
    # It can be configured all the same: held mail of another owner, and damaged mail, were once in the way.
    clone.write("/var/spool/postfix/corrupt/4abc", "damaged\n", mode="0700")
    clone.pillar = pillar(ALICE, BOB)
    assert direct.run(clone).changes["accounts"] == {"added": [BOB.address]}
    assert_delivers(clone, relay_a)
    assert [mail["queue_name"] for mail in clone.queue()] == ["hold"] * 3
    assert counts(relay_a, subjects) == [1, 1, 1]
    lab.remove(clone)

    unused.start()
    journal = unused.journal("qubes-misc-post.service")
    assert f"3 messages are held: the qube {qube.name} queued them" in journal
    (note,) = unused.salt("postfix_smarthost.status")["notes"]
    assert note.startswith("3 messages are held: ")
    _, said, command = journal.partition("sudo ")
    assert f"sudo {command.partition(' sends')[0]} sends" in note
    assert said
    unused.run(*command.partition(" sends")[0].split())
    for subject in subjects:
        unused.wait_for(
            lambda subject=subject: len(relay_a.received(subject)) == 2, "held mail to be sent", 90
        )
    assert unused.queue() == []
    lab.remove(unused)


def test_a_queue_that_has_lost_the_name_of_its_qube_is_its_own(
    with_queue: Callable[..., tuple[Qube, list[str]]], relay_a: Relay
) -> None:
    """As a full disk could leave it."""
    qube, subjects = with_queue()
    (qube.rw / "bind-dirs/var/spool/postfix/qube").write_text("")
    qube.start()
    for subject in subjects:
        assert relay_a.wait_for(subject, 90, diagnosis=qube.diagnosis).login == ALICE.login


@pytest.mark.parametrize("allowed", [False, True])
def test_a_disposable_never_sends_what_was_queued(
    lab: Lab, with_queue: Callable[..., tuple[Qube, list[str]]], relay_a: Relay, allowed: bool
) -> None:
    qube, subjects = with_queue(**({"disposables": True} if allowed else {}))
    disposable = qube.disposable(unique("disp"))
    # What a user has left over from a set-up by hand.
    rc_local = disposable.rw / "config/rc.local"
    rc_local.write_text(
        "#!/bin/sh\nmount --bind /usr/local/etc/postfix /etc/postfix; systemctl start postfix\n"
    )
    rc_local.chmod(0o755)
    disposable.start()
    if allowed:
        assert_delivers(disposable, relay_a)
        disposable.run("postqueue", "-f")
        assert_delivers(disposable, relay_a)
        assert disposable.queue() == []
    else:
        said = disposable.journal("qubes-misc-post.service")
        assert "Postfix is not started: this is a disposable" in said
        assert disposable.run("pgrep", "-x", "master", check=False).stdout == ""
    assert counts(relay_a, subjects) == [0, 0, 0]
    lab.remove(disposable)
    qube.start()
    for subject in subjects:
        relay_a.wait_for(subject, 90, diagnosis=qube.diagnosis)
    assert counts(relay_a, subjects) == [1, 1, 1]
