# SPDX-License-Identifier: Apache-2.0
"""Mail that a copy of a qube holds, and mail that is being brought in: private, counted, and never damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

QUEUE = "/rw/bind-dirs/var/spool/postfix"
KINDS = ("deferred", "maildrop", "put aside")


@pytest.fixture(scope="module")
def original(lab: Lab, prepared: Template, relay_a: Relay) -> Iterator[tuple[Qube, dict[str, str]]]:
    """Give a halted qube with a message that was tried, one that nothing has looked at, and one put aside by a boot."""
    assert relay_a.running
    qube = lab.qube(unique("mail-held"), template=prepared, pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    subjects = {kind: unique(kind.replace(" ", "-")) for kind in KINDS}
    qube.network("down")
    hand_in(qube, subjects["deferred"])
    qube.wait_for(lambda: [m["queue_name"] for m in qube.queue()] == ["deferred"], "it to be deferred")
    qube.run("systemctl", "stop", "postfix")
    hand_in(qube, subjects["put aside"])
    # As a boot leaves it that is killed when its copy is whole.
    qube.run("mkdir", "-m", "0700", f"{QUEUE}/beneath")
    qube.run("sh", "-c", f"mkdir {QUEUE}/beneath/maildrop && mv {QUEUE}/maildrop/* {QUEUE}/beneath/maildrop/")
    hand_in(qube, subjects["maildrop"])
    qube.shutdown()
    qube.network("up")
    yield qube, subjects
    lab.remove(qube)


@pytest.fixture
def clone(lab: Lab, original: tuple[Qube, dict[str, str]]) -> Iterator[Qube]:
    """Give a clone of it, started."""
    clone = original[0].clone(unique("clone"))
    clone.start()
    yield clone
    lab.remove(clone)


def hand_in(qube: Qube, subject: str) -> None:
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)


def held(qube: Qube) -> list[str]:
    return sorted(mail["queue_id"] for mail in qube.queue() if mail["queue_name"] == "hold")


# By itself it looks each minute.
PICKUP = ("postkick", "public", "pickup", "W")
# What a user, or the manual of postsuper(1), says to release it, step by step.
RELEASES = {
    "-r ALL hold": [("postsuper", "-r", "ALL", "hold"), PICKUP],
    "-H ALL": [("postsuper", "-H", "ALL"), ("postqueue", "-f")],
    "-H each": [("postsuper", "-H", "{}"), ("postqueue", "-f")],
    "-r each": [("postsuper", "-r", "{}"), PICKUP],
    "-s, -p and -H ALL": [
        ("systemctl", "stop", "postfix"),
        ("postsuper", "-s"),
        ("postsuper", "-p"),
        ("postsuper", "-H", "ALL"),
        ("systemctl", "start", "postfix"),
        ("postqueue", "-f"),
    ],
    "-H ALL, -h ALL and -H ALL": [
        ("postsuper", "-H", "ALL"),
        ("postsuper", "-h", "ALL"),
        ("postsuper", "-H", "ALL"),
        ("postqueue", "-f"),
    ],
}


@pytest.mark.parametrize("way", RELEASES)
def test_held_mail_is_sent_whichever_way_it_is_released(
    clone: Qube, original: tuple[Qube, dict[str, str]], relay_a: Relay, way: str
) -> None:
    """A message that pickup(8) had not looked at was once made a corrupt one by -H."""
    subjects = original[1]
    before = {kind: len(relay_a.received(subject)) for kind, subject in subjects.items()}
    assert f"3 messages are held: the qube {original[0].name}" in clone.journal("qubes-misc-post.service")
    ids = held(clone)
    assert len(ids) == 3
    assert clone.run("find", f"{QUEUE}/maildrop", f"{QUEUE}/corrupt", "-type", "f").stdout == ""
    assert clone.run("test", "-e", f"{QUEUE}/beneath", check=False).returncode == 1
    for command in RELEASES[way]:
        if "{}" in command:
            for each in ids:
                clone.run(*(word.replace("{}", each) for word in command))
        else:
            clone.run(*command)
    for kind, subject in subjects.items():
        clone.wait_for(
            lambda subject=subject, kind=kind: len(relay_a.received(subject)) == before[kind] + 1,
            f"the {kind} one to be sent",
        )
    clone.wait_for(lambda: not clone.queue(), "the queue to be empty")
    assert clone.run("find", f"{QUEUE}/corrupt", f"{QUEUE}/saved", "-type", "f").stdout == ""
    assert clone.maildir() == []


def test_held_mail_stays_held_over_restarts_and_kills(clone: Qube) -> None:
    ids = held(clone)
    for end in (clone.restart, clone.kill):
        end()
        if not clone.running:
            clone.start()
        clone.run("postqueue", "-f")
        assert held(clone) == ids
    clone.run("postsuper", "-d", "ALL", "hold")
    assert clone.run("find", QUEUE, "-type", "f", "-perm", "-u=x").stdout == ""


def test_clone_whose_first_boot_was_killed_holds_it_all_the_same(
    lab: Lab, original: tuple[Qube, dict[str, str]], relay_a: Relay
) -> None:
    """While pickup(8) takes in what is to be held: a Postfix of the boot script's own is running then."""
    qube, subjects = original
    before = {kind: len(relay_a.received(subject)) for kind, subject in subjects.items()}
    clone = qube.clone(unique("clone"))
    script = clone.rw / "config/rc.local.d/10-before.rc"
    script.write_text(
        "#!/bin/bash\n"
        # The formula's own script, without what comes after its Postfix has started.
        "sed '/^\t*master_runs \"\\$foreign\" /s/^/kill -9 $$; /' /rw/config/rc.local.d/50-*.rc >/run/killed\n"
        "bash /run/killed; exit 0\n"
    )
    script.chmod(0o755)
    clone.start()
    assert "Killed" in clone.journal("qubes-misc-post.service")
    assert len(held(clone)) == 3, clone.diagnosis()
    assert {kind: len(relay_a.received(subject)) for kind, subject in subjects.items()} == before
    assert clone.run("pgrep", "-xc", "master").stdout == "1\n"
    lab.remove(clone)


# Reads what it can of all messages that are brought in, until it is told to stop.
_SPY = """\
import glob, os, time
while not os.path.exists("/tmp/stop"):
    for path in glob.glob("/rw/bind-dirs/**", recursive=True):
        try:
            if os.path.isfile(path) and b"secret-words" in open(path, "rb").read():
                print(path, flush=True)
        except OSError:
            pass
"""


def test_what_is_brought_in_is_private(new_qube: Callable[..., Qube], relay_a: Relay) -> None:
    """Another user once read the text of each message, and could name each."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    assert relay_a.running
    qube.run("systemctl", "stop", "postfix")
    qube.run("umount", "/var/spool/postfix")
    subjects = [unique("beneath") for _ in range(12)]
    for subject in subjects:
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, body="secret-words\n" * 200)
    qube.write("/tmp/spy", _SPY, mode="0755")
    qube.run(
        "systemd-run",
        "--unit=spy",
        "--uid=nobody",
        "-p",
        "StandardOutput=file:/run/seen",
        "python3",
        "/tmp/spy",
    )
    # It dies when all copies are whole, and the queue is not yet theirs.
    killed = (
        "sed 's/^\\ttake_in$/\\tkill -9 $$/' /rw/config/rc.local.d/50-*.rc >/run/killed; bash /run/killed"
    )
    qube.run("sh", "-c", killed, check=False)
    found = qube.run("find", f"{QUEUE}/beneath", "-type", "f").stdout.splitlines()
    assert len(found) == len(subjects)
    assert qube.run("stat", "-c", "%a %U", f"{QUEUE}/beneath").stdout == "700 root\n"
    # It is mail that was not sent: cleaning keeps and counts it.
    cleaned = direct.run(qube, "postfix_smarthost.remove")
    assert any(
        note.startswith(f"{len(subjects)} messages not sent yet stay") for note in cleaned.result["notes"]
    )
    assert direct.run(qube).error is None
    for subject in subjects:
        relay_a.wait_for(subject, diagnosis=qube.diagnosis)
        assert len(relay_a.received(subject)) == 1
    assert qube.run("test", "-e", f"{QUEUE}/beneath", check=False).returncode == 1
    qube.run("touch", "/tmp/stop")
    assert qube.read("/run/seen") == ""


def test_report_on_what_cannot_be_taken_in_is_held_too(lab: Lab, new_qube: Callable[..., Qube]) -> None:
    """The milter refuses one that does not name one sender: the report was once deleted with the place of holding."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", "postfix")
    subject = unique()
    text = f"From: alice@a.test, bob@b.test\nTo: {RECIPIENT}\nSubject: {subject}\n\nx\n"
    qube.run("sendmail", "-i", "-t", stdin=text, user="user")
    qube.shutdown()
    copy = qube.clone(unique("copy"))
    copy.start()
    copy.wait_for(lambda: direct.run(copy, "postfix_smarthost.active").result, "Postfix to run")
    assert held(copy)
    copy.run("postsuper", "-H", "ALL")
    copy.wait_for(lambda: any(subject in str(message) for message in copy.maildir()), "the report")
    assert copy.run("test", "-e", f"{QUEUE}/foreign", check=False).returncode == 1
    lab.remove(copy)


def test_only_what_root_and_the_user_have_submitted_is_brought_in(
    new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    """A template's own main.cf, as Fedora's, lets everybody submit mail before ours is mounted."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", "postfix")
    qube.run("umount", "/etc/postfix", "/var/spool/postfix")
    qube.write("/etc/postfix/main.cf", "compatibility_level = 3.6\n")
    others, own = [unique("other") for _ in range(2)], [unique("own") for _ in range(2)]
    for user, subject in zip(("nobody", "www-data", "user", "root"), (*others, *own), strict=True):
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, user=user)
    assert direct.run(qube).error is None
    for subject in own:
        relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert [relay_a.received(subject) for subject in others] == [[], []]
