# SPDX-License-Identifier: Apache-2.0
"""The key mutt: the line comes into the file that the program reads, and goes with the key; what it brings is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .test_programs import HOME, arrived, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .qube import Qube
    from .relay import Relay

FOLDER = "list/users"
LISTS = [{"list_id": "users.example.org", "folder": FOLDER, "sender": ALICE.address}]
PROGRAMS = ("mutt", "neomutt")
OWN_LINE = 'source "postfix-smarthost muttrc|"\n'
LINES = (
    "# Put here by the Salt formula postfix_smarthost (its key mutt), which takes both lines away with the key.\n"
    'source "postfix-smarthost muttrc |"\n'
)
PLACES = [".muttrc", ".neomuttrc", ".mutt", ".neomutt", ".config/mutt", ".config/neomutt"]


def asks(mutt: bool) -> dict[str, Any]:
    """The record, with the key or without."""
    return pillar(ALICE, BOB.record(default=True), lists=LISTS, mutt=mutt)


@pytest.fixture(scope="module")
def made(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    qube = applied_qube("mail-mutt", asks(mutt=False), relay_a, relay_b, packages=(*PROGRAMS, "sudo"))
    qube.write("/etc/sudoers.d/qubes", "user ALL=(ALL) NOPASSWD: ALL\n", mode="0440")
    return qube


@pytest.fixture
def qube(made: Qube) -> Iterator[Qube]:
    """Give a qube whose user has no file for mutt."""
    yield made
    assert direct.run(made, pillar=asks(mutt=False)).error is None
    made.run("sh", "-c", f"cd {HOME} && rm -rf {' '.join(PLACES)} .signature* dotfiles")


def apply(qube: Qube, mutt: bool) -> dict[str, Any]:
    """Apply; a second one does nothing."""
    done = direct.run(qube, pillar=asks(mutt))
    assert done.error is None
    assert direct.run(qube, pillar=asks(mutt)).result["changes"] == {}
    return done.result["changes"].get("muttrc", {})


def has(qube: Qube, path: str, text: str, owner: str = "user:user") -> None:
    """Put a file into the home."""
    qube.write(f"{HOME}/{path}", text, owner=owner)
    qube.run("sh", "-c", f"chown -R user:user {HOME}/{path.split('/', maxsplit=1)[0]}")


def writes_from(qube: Qube, program: str) -> str:
    """The address that a program writes from, by all that it reads."""
    return qube.run("env", f"HOME={HOME}", program, "-Q", "from", user="user", check=False).stdout


def test_the_file_is_made_and_taken_back(qube: Qube) -> None:
    assert apply(qube, mutt=True) == {"added": [f"{HOME}/.muttrc"]}
    assert qube.read(f"{HOME}/.muttrc") == LINES
    assert qube.run("stat", "-c", "%U:%G %a", f"{HOME}/.muttrc").stdout == "user:user 644\n"
    for program in PROGRAMS:
        assert BOB.address in writes_from(qube, program)
    assert apply(qube, mutt=False) == {"removed": [f"{HOME}/.muttrc"]}
    assert qube.run("test", "-e", f"{HOME}/.muttrc", check=False).returncode == 1


@pytest.mark.parametrize(
    "files",
    [
        [".muttrc"],
        [".mutt/muttrc"],
        [".config/mutt/muttrc"],
        [".neomuttrc"],
        [".neomutt/neomuttrc", ".muttrc"],
        [".neomutt/muttrc", ".mutt/neomuttrc"],
        [".config/neomutt/neomuttrc", ".config/neomutt/muttrc", ".mutt/muttrc"],
        [".config/mutt/neomuttrc", ".config/mutt/muttrc", ".neomuttrc", ".muttrc"],
    ],
    ids=" ".join,
)
def test_the_file_is_the_one_that_each_program_reads(qube: Qube, files: list[str]) -> None:
    text = '# My own.\nset realname = "Me"\n'
    for path in files:
        has(qube, path, text)
    apply(qube, mutt=True)
    for program in PROGRAMS:
        assert BOB.address in writes_from(qube, program), program
    for path in files:
        assert qube.read(f"{HOME}/{path}") in (text, LINES + text)
    apply(qube, mutt=False)
    assert {qube.read(f"{HOME}/{path}") for path in files} == {text}


def test_what_the_user_has_written_counts_and_stays(qube: Qube) -> None:
    has(qube, ".muttrc", f"set from = {ALICE.address}\n")
    apply(qube, mutt=True)
    assert ALICE.address in writes_from(qube, "mutt")
    # The line that the pages have, by hand: it is the user's.
    apply(qube, mutt=False)
    has(qube, ".muttrc", OWN_LINE)
    assert apply(qube, mutt=True) == {}
    assert apply(qube, mutt=False) == {}
    assert qube.read(f"{HOME}/.muttrc") == OWN_LINE


def test_a_link_stays_one_and_leads_root_nowhere(qube: Qube) -> None:
    has(qube, "dotfiles/muttrc", "# Kept in git.\n")
    qube.run("ln", "-s", "dotfiles/muttrc", f"{HOME}/.muttrc", user="user")
    apply(qube, mutt=True)
    assert qube.run("readlink", f"{HOME}/.muttrc").stdout == "dotfiles/muttrc\n"
    assert qube.read(f"{HOME}/dotfiles/muttrc") == LINES + "# Kept in git.\n"
    apply(qube, mutt=False)
    before = qube.run("sha256sum", "/etc/sudoers").stdout
    qube.run("ln", "-sf", "/etc/sudoers", f"{HOME}/.muttrc", user="user")
    told = direct.run(qube, pillar=asks(mutt=True)).error
    assert told == f"{HOME}/.muttrc cannot be read: Permission denied."
    assert qube.run("sha256sum", "/etc/sudoers").stdout == before


def test_clean_takes_it_back(qube: Qube) -> None:
    apply(qube, mutt=True)
    done = direct.run(qube, "postfix_smarthost.remove", pillar={})
    assert done.error is None
    assert done.result["changes"]["muttrc"] == [f"{HOME}/.muttrc"]
    assert qube.run("test", "-e", f"{HOME}/.muttrc", check=False).returncode == 1
    assert direct.run(qube, "postfix_smarthost.remove", pillar={}).result["changes"] == {}


@pytest.mark.parametrize("program", PROGRAMS)
def test_folder_and_signature_are_those_of_the_account(
    qube: Qube, relay_a: Relay, relay_b: Relay, program: str
) -> None:
    apply(qube, mutt=True)
    has(qube, f".signature-{ALICE.address}", "Alice in person\n")
    has(qube, ".signature", "Anybody\n")
    for folder in ("", f"/{FOLDER}"):
        parts = " ".join(f"{HOME}/.maildir{folder}/{part}" for part in ("cur", "new", "tmp"))
        qube.run("sh", "-c", f"mkdir -p {parts} && chown -R user:user {HOME}/.maildir")
    compose = f"<mail>{RECIPIENT}<enter>SUBJECT<enter><send-message><quit>"
    subject = unique()
    keys(
        qube, program, f"<change-folder>=%s<enter>{compose}".replace("%s", FOLDER).replace("SUBJECT", subject)
    )
    mail = arrived(qube, relay_a, subject, ALICE)
    assert "Alice in person" in mail.raw.decode()
    assert "Anybody" not in mail.raw.decode()
    subject = unique()
    keys(qube, program, compose.replace("SUBJECT", subject))
    mail = arrived(qube, relay_b, subject, BOB)
    assert "Anybody" in mail.raw.decode()
    assert "Alice" not in mail.raw.decode()
