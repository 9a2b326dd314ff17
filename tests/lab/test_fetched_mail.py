# SPDX-License-Identifier: Apache-2.0
"""What fetchmail(1) brings is taken whatever its size: what is refused, it fetches again at each poll."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

_LIMIT = 2_000_000
_MALFORMED = (
    "x@a..b",
    "-x@c.test",
    "monit@127.0.0.1",
    f"x@{'b' * 64}.test",
    f"x@{'b' * 64}",
    f"x@a.{'b' * 70}",
    "x@-c.test",
    "x@c-.test",
    "x@c.-test",
    "x@c.test-",
)
_GOOD = (
    "x-@c-d.test",
    "a--b@c--d.test",
    "a@my_host.c.test",
    "1@2.3.test",
    "x@[127.0.0.1]",
    f"x@{'b' * 63}.test",
    "x@xn--strae-oqa.test",
)


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, mx: MX) -> Qube:
    """Give a qube with fetchmail, whose sendmail(1) takes less than it does as it comes."""
    own = pillar(ALICE, settings={"message_size_limit": _LIMIT})
    return applied_qube("mail-fetched", own, relay_a, mx, packages=("fetchmail",))


@pytest.fixture(scope="module")
def mailbox(relay_a: Relay) -> Mailbox:
    return Mailbox(relay_a, "alice")


def _message(subject: str, size: int, sender: str = "stranger@c.test") -> bytes:
    head = f"From: {sender}\nTo: {ALICE.address}\nSubject: {subject}\n\n".encode()
    return head + (b"x" * 70 + b"\n") * (size // 71)


def _arrived(qube: Qube, subject: str) -> list[int]:
    """Return the sizes of the messages with a subject in the user's maildir."""
    found = qube.run(
        "grep", "-rl", f"^Subject: {subject}$", "/home/user/.maildir", check=False
    ).stdout.split()
    return [int(qube.run("stat", "-c", "%s", path).stdout) for path in found]


@pytest.mark.parametrize("size", [1_000, 3 * _LIMIT, 12_000_000])
def test_message_of_any_size_is_fetched_once(qube: Qube, mailbox: Mailbox, size: int) -> None:
    """One of 12 MB was refused by 552, and fetched again at each poll."""
    subject = unique()
    mailbox.put(subject, _message(subject, size))
    fetched = mailbox.fetch(qube)
    assert fetched.returncode == 0, fetched
    assert mailbox.names() == []
    qube.wait_for(lambda: len(_arrived(qube, subject)) == 1, "the message")
    assert _arrived(qube, subject)[0] > size - 71
    # Nothing is there any more: exit code 1.
    assert mailbox.fetch(qube).returncode == 1
    assert len(_arrived(qube, subject)) == 1


def test_message_is_fetched_whatever_its_sender_and_its_way_were(qube: Qube, mailbox: Mailbox) -> None:
    """Postfix refuses some senders for good, and what came by many hosts."""
    subjects = {}
    for sender, kept in {**dict.fromkeys(_MALFORMED, ""), **{sender: sender for sender in _GOOD}}.items():
        subject = unique()
        subjects[subject] = f"<{kept}>"
        mailbox.put(subject, _message(subject, 100, sender))
    hops = unique()
    subjects[hops] = "<far@c.test>"
    received = b"Received: from a.c.test by b.c.test; Thu, 26 Nov 2026 00:00:00 +0000\n"
    mailbox.put(hops, received * 60 + _message(hops, 100, "far@c.test"))
    mailbox.fetch(qube)
    assert mailbox.names() == []
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    found = {mail["Subject"]: mail["Return-Path"] for mail in qube.maildir() if mail["Subject"] in subjects}
    assert found == subjects


def test_message_waits_at_its_provider_while_the_disk_is_full(qube: Qube, mailbox: Mailbox) -> None:
    """It is told in words, and the message comes when there is room again."""
    subject = unique()
    own = qube.pillar
    mailbox.put(subject, _message(subject, 1_000))
    try:
        qube.run("postconf", "-e", f"queue_minfree = {10**14}")
        # Postfix waits until a main.cf is some seconds old.
        qube.run("touch", "-d", "-1 minute", "/etc/postfix/main.cf")
        qube.run("postfix", "reload")
        fetched = mailbox.fetch(qube)
        assert (
            "the disk that holds the queue (/rw in a qube) is full or nearly so"
            in fetched.stderr + fetched.stdout
        )
        assert mailbox.names() == [subject]
    finally:
        qube.pillar = own
        assert direct.run(qube).error is None
    assert mailbox.fetch(qube).returncode == 0
    assert mailbox.names() == []
    qube.wait_for(lambda: len(_arrived(qube, subject)) == 1, "the message")


def test_message_larger_than_its_relay_takes_ends_in_one_report(qube: Qube, relay_a: Relay) -> None:
    """By SMTP it is the relay that says so, with both sizes; the lab's takes 10 MB."""
    subject = unique()
    said = qube.send_smtp(
        sender=ALICE.address, to=RECIPIENT, subject=subject, body=("y" * 70 + "\n") * 150_000
    )
    assert said["data"][0] == 250

    def reports() -> list[str]:
        return [text for text in map(str, qube.maildir()) if subject in text]

    qube.wait_for(reports, "the report")
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    (report,) = reports()
    told = " ".join(report.split())
    assert re.search(r"message size \d{8} exceeds size limit 10240000 of server smtp\.a\.test", told)
    assert relay_a.received(subject) == []


def test_sendmail_says_at_once_that_a_message_is_too_large(qube: Qube) -> None:
    """Its limit is for programs that have gone wild; a message below it is sent or reported by the relay."""
    for size, code in ((_LIMIT // 2, 0), (2 * _LIMIT, 75)):
        done = qube.send(sender=ALICE.address, to="user", body=("y" * 70 + "\n") * (size // 71), check=False)
        assert done.returncode == code
        assert ("message file too big" in done.stderr) == bool(code)
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
