# SPDX-License-Identifier: Apache-2.0
"""What the tests of fetching share: accounts whose mail is fetched, messages, and the wait for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import direct
from .accounts import ALICE, pillar, unique

if TYPE_CHECKING:
    from .direct import Said
    from .mailbox import Mailbox
    from .qube import Qube

HOME = "/home/user"
UNIT = "postfix-smarthost-fetch"


def record(mailbox: Mailbox, **fetch: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the record of ALICE, whose mail is fetched from a mailbox.

    Args:
        mailbox: which.
        fetch: keys to add or replace.

    """
    own = {"server": ALICE.relay, "username": mailbox.name, "password": mailbox.password, **fetch}
    return ALICE.record(fetch=own)


def message(subject: str, size: int = 100) -> bytes:
    """Return a message as its provider got it.

    Args:
        subject: its subject.
        size: about how many bytes its text has.

    """
    head = (
        f"From: friend@far.test\r\nTo: {ALICE.address}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@far.test>\r\n\r\n"
    )
    return head.encode() + (b"x" * 70 + b"\r\n") * (size // 72 + 1)


def arrived(qube: Qube, subject: str) -> int:
    """Return how many messages with a subject are in the user's maildir."""
    look = ("grep", "-rl", "--exclude-dir=tmp", f"^Subject: {subject}$", f"{HOME}/.maildir")
    return qube.run(*look, check=False).stdout.count("\n")


def comes(qube: Qube, mailbox: Mailbox, folder: str = "", timeout: float = 30) -> None:
    """Put a message into a mailbox, and wait for it in the qube.

    Args:
        qube: where it is fetched.
        mailbox: where it comes from.
        folder: one beside the inbox.
        timeout: seconds that it may take.

    """
    subject = put(mailbox, folder)
    qube.wait_for(lambda: arrived(qube, subject), "the message", timeout)
    assert arrived(qube, subject) == 1


def put(mailbox: Mailbox, folder: str = "") -> str:
    """Put a message into a mailbox, and return its subject."""
    subject = unique()
    mailbox.put(subject, message(subject), folder)
    return subject


def applied(qube: Qube, *accounts: dict[str, Any], **more: Any) -> Said:  # noqa: ANN401
    """Apply records to a qube, step by step."""
    qube.pillar = pillar(*accounts, **more)
    said = direct.run(qube)
    assert said.error is None, said.error
    return said


def status_of(qube: Qube) -> dict[str, Any]:
    """Return what the program in the qube says of it."""
    return json.loads(qube.run(direct.PROGRAM, "status", "--json", check=False).stdout)


def fetch_notes(qube: Qube) -> list[str]:
    """Return what is to be done about mail that is not fetched."""
    return [note for note in status_of(qube)["notes"] if "fetched" in note]


def has_looked(qube: Qube) -> bool:
    """Tell whether the server has let the service look for mail of ALICE since its start."""
    return bool(status_of(qube)["accounts"][ALICE.address]["fetch"]["looked"])


def runs(qube: Qube) -> bool:
    """Tell whether the service is there."""
    return qube.run("systemctl", "is-active", "--quiet", UNIT, check=False).returncode == 0
