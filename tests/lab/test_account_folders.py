# SPDX-License-Identifier: Apache-2.0
"""Mail that was written to an account is in its folder: after the user's own recipes and the lists, and once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, pillar, unique
from .test_lists import BRING_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Relay

LIST = {"list_id": "users.example.org", "folder": "list/users"}
RECORD = {"lists": [LIST]}
ACCOUNTS = (
    ALICE.record(folder="work/alice", senders=["a.lias+x@a.test", "@whole.test"]),
    BOB.record(folder="bob"),
    # No folder: the inbox.
    ANN.record(senders=["ann@whole.test"]),
)
OWN = ":0\n* ^Subject: mine\nmine/\n"

# Headers, and where the message is.
CASES = {
    f"To: {ALICE.address}": "work/alice",
    f"To: <{ALICE.address}>": "work/alice",
    f"To: Alice <{ALICE.address.upper()}>, ann@far.test": "work/alice",
    f"To: ann@far.test,\n\tAlice\n  <{ALICE.address}>": "work/alice",
    f"Cc: a@far.test, {ALICE.address}; b@far.test": "work/alice",
    f"Resent-To: {ALICE.address}": "work/alice",
    "To: alice+shop@a.test": "work/alice",
    "To: a.lias+x@a.test": "work/alice",
    "To: anybody@whole.test": "work/alice",
    f"To: {BOB.address}": "bob",
    # An address counts before the domain of another account.
    "To: ann@whole.test": ".",
    f"To: {ANN.address}": ".",
    # Who has got it counts before to whom it was written.
    f"Delivered-To: {BOB.address}\nTo: {ALICE.address}": "bob",
    f"X-Original-To: {BOB.address}\nTo: list@far.test": "bob",
    f"Envelope-To: {ANN.address}\nTo: {ALICE.address}": ".",
    f"To: {ALICE.address}\nDelivered-To: bob+tag@b.test": "bob",
    # Those of others.
    f"To: x{ALICE.address}": ".",
    f"To: {ALICE.address}.example": ".",
    "To: alice@axtest": ".",
    "To: axlias+x@a.test": ".",
    "To: alice@sub.whole.test.example": ".",
    f"Subject: for {ALICE.address}\nTo: ann@far.test": ".",
    "To: undisclosed-recipients:;": ".",
    # What comes first.
    f"To: {ALICE.address}\nList-Id: <users.example.org>": "list/users",
    f"To: {ALICE.address}\nSubject: mine": "mine",
    f"From: Mail Delivery System <MAILER-DAEMON@mail>\nTo: {ALICE.address}": ".",
}


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    made = applied_qube("mail-folders", pillar(*ACCOUNTS, **RECORD), relay_a, relay_b)
    made.write("/home/user/.procmailrc", OWN, owner="user:user")
    return made


@pytest.fixture(scope="module")
def folders(qube: Qube) -> dict[str, list[str]]:
    """Give the folders in which each message is, by its headers."""
    messages = [
        ("" if "From:" in header else "From: somebody@far.test\n")
        + f"X-Number: {number}\n{header}\n\nTo: {ALICE.address}\n"
        for number, header in enumerate(CASES)
    ]
    found = json.loads(qube.run("python3", "-c", BRING_IN, stdin=json.dumps(messages), timeout=120).stdout)
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize(("header", "folder"), CASES.items())
def test_mail_is_in_the_folder_of_its_account(
    folders: dict[str, list[str]], header: str, folder: str
) -> None:
    assert folders[header] == [folder]


def test_a_folder_that_cannot_be_written_leaves_the_inbox(qube: Qube) -> None:
    qube.run("sh", "-c", "cd /home/user/.maildir && rm -rf bob && mkdir -m 0500 bob")
    subject = unique()
    try:
        qube.send_smtp(to="user@localhost", sender="a@far.test", subject=subject, headers={"To": BOB.address})
        place = f"grep -rl --exclude-dir=tmp 'Subject: {subject}' /home/user/.maildir"
        found = qube.wait_for(lambda: qube.run("sh", "-c", place, check=False).stdout, "the mail")
        assert found.startswith("/home/user/.maildir/new/")
        assert found.count("\n") == 1
    finally:
        qube.run("rm", "-rf", "/home/user/.maildir/bob")


def test_without_folders_nothing_of_it_is_left(qube: Qube) -> None:
    assert direct.run(qube, pillar=pillar(ALICE, BOB, ANN)).error is None
    assert qube.run("ls", "/usr/local/etc/smarthost", check=False).stdout == ""
    assert direct.run(qube, pillar=pillar(*ACCOUNTS, **RECORD)).error is None
    assert direct.run(qube, pillar=pillar(*ACCOUNTS, **RECORD)).result["changes"] == {}
