# SPDX-License-Identifier: Apache-2.0
"""Whatever becomes of procmail, its rules or the folders: mail is in ~/.maildir or waits, once and whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .accounts import ALICE, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template

HOME = "/home/user"
SORTED = f"{HOME}/.maildir/list/sorted/new"
LIST = "sorted.lists.test"
# More than a delivery report would hold of it (bounce_size_limit).
BODY = "A line of a message that is larger than a report.\n" * 1500 + "The last line.\n"

# Waits until a message is in a folder of the user or of the system, or deferred; tells where it is, and whether whole.
_LOOK = r"""
import json, os, subprocess, sys, time
subject, deadline = sys.argv[1], time.monotonic() + 30
while time.monotonic() < deadline:
    said = subprocess.run(["postqueue", "-j"], capture_output=True, text=True).stdout
    queued = [json.loads(line)["queue_name"] for line in said.splitlines()]
    places = []
    for top in ("/home", "/home.away", "/var/mail", "/var/spool/mail"):
        for where, _, names in os.walk(top):
            if os.path.islink(top) or where.endswith("/tmp"):
                continue
            for name in names:
                path = os.path.join(where, name)
                if not os.path.isfile(path):
                    continue
                with open(path, encoding="utf-8", errors="replace") as file:
                    text = file.read()
                if f"Subject: {subject}\n" in text:
                    whole = text.rstrip().endswith("The last line.") and "multipart/report" not in text
                    places.append([os.path.dirname(path), whole])
    if {*queued} <= {"deferred"} and (places or queued):
        break
    time.sleep(0.05)
json.dump([places, queued], sys.stdout)
"""


class Failure(NamedTuple):
    """Something that fails.

    Args:
        bring: commands that bring it about.
        mend: commands that take it back.
        places: where mail of the list is meanwhile: the inbox, its folder, or nowhere, as it waits.

    """

    bring: str
    mend: str
    places: tuple[str, ...] = (f"{HOME}/.maildir/new",)


_PROCMAIL = "mv /usr/bin/procmail.kept /usr/bin/procmail"
_RC = "rc=$(find /usr/local/etc -name procmailrc); "
_OWN = f"rm -rf {HOME}/.procmailrc"


def _program(text: str, mode: str = "0755") -> Failure:
    """Another program in the place of procmail."""
    return Failure(
        "mv /usr/bin/procmail /usr/bin/procmail.kept\n"
        f"cat > /usr/bin/procmail <<'END'\n{text}\nEND\nchmod {mode} /usr/bin/procmail",
        _PROCMAIL,
    )


def _own(text: str, more: str = ":", places: tuple[str, ...] = (SORTED,)) -> Failure:
    """A ~/.procmailrc of the user's."""
    write = f"cat > {HOME}/.procmailrc <<'END'\n{text}\nEND\nchown user: {HOME}/.procmailrc; {more}"
    return Failure(write, _OWN, places)


FAILURES = {
    "procmail is gone": Failure("mv /usr/bin/procmail /usr/bin/procmail.kept", _PROCMAIL),
    "procmail is not executable": Failure("chmod -x /usr/bin/procmail", "chmod +x /usr/bin/procmail"),
    "procmail is an empty file": _program(""),
    "procmail is no program of this machine": _program("\x7fELF\x02\x01\x01"),
    "procmail lacks its interpreter or a library": _program("#!/nowhere/at/all"),
    "procmail takes nothing and fails": _program("#!/bin/sh\nexit 1"),
    "procmail takes all and fails": _program("#!/bin/sh\ncat >/dev/null\nexit 73"),
    "procmail says that there is no such user": _program("#!/bin/sh\ncat >/dev/null\nexit 67"),
    "procmail is killed": _program("#!/bin/sh\nhead -c 100 >/dev/null\nkill -KILL $$"),
    "procmail crashes": _program("#!/bin/sh\ncat >/dev/null\nkill -SEGV $$"),
    "the rules cannot be read": Failure(f"{_RC} chmod 0600 $rc", f"{_RC} chmod 0644 $rc"),
    "the directory of the rules cannot be searched": Failure(
        f"{_RC} chmod 0700 ${{rc%/*}}", f"{_RC} chmod 0755 ${{rc%/*}}", ()
    ),
    "the rules are gone": Failure(
        f"{_RC} mv $rc $rc.away", "away=$(find /usr/local/etc -name procmailrc.away); mv $away ${away%.away}"
    ),
    "the rules are a directory": Failure(
        f"{_RC} mv $rc /tmp/rc; mkdir $rc", f"{_RC} rmdir $rc; mv /tmp/rc $rc"
    ),
    "the rules are somebody else's": Failure(f"{_RC} chown nobody $rc", f"{_RC} chown root $rc"),
    "the user's rules cannot be read": _own(
        "", f"chown root {HOME}/.procmailrc; chmod 0600 {HOME}/.procmailrc"
    ),
    "the user's rules are a directory": Failure(f"mkdir {HOME}/.procmailrc", _OWN, (SORTED,)),
    "the user's rules bounce": _own("EXITCODE=67\n:0\n/dev/null", places=(f"{HOME}/.maildir/new",)),
    "the user's rules name places that are not there": _own("MAILDIR=/nowhere\n:0\n/nowhere/at/all/"),
    "the user's rules name a shell that is not there": _own(
        "SHELL=/nowhere\n:0\n* ? test -e / && true\nelsewhere/"
    ),
    "the user's rules do not end": _own(":0\n* ^From\n{\n:0\n* ^No-such-header\nelsewhere/"),
    "the user's rules hold a quote that does not end": _own(
        'LOGABSTRACT="no\n:0\n* ^No-such-header\nelsewhere/'
    ),
    "the user's rules include themselves": _own("INCLUDERC=$HOME/.procmailrc"),
    "the user's rules are no text": _own("", f"head -c 4096 /bin/true > {HOME}/.procmailrc"),
    "the user's rules filter by a program that fails": _own(":0fw\n| false"),
    "the user's trap fails": _own(
        'TRAP="exit 1"\nEXITCODE=""\n:0\n/dev/null', places=(f"{HOME}/.maildir/new",)
    ),
    "the folder of the list cannot be written": Failure(
        f"rm -rf {HOME}/.maildir/list; mkdir -m 0755 -p {HOME}/.maildir/list/sorted",
        f"rm -rf {HOME}/.maildir/list",
    ),
    "the folder of the list is a file": Failure(
        f"rm -rf {HOME}/.maildir/list; mkdir {HOME}/.maildir/list; touch {HOME}/.maildir/list/sorted",
        f"rm -rf {HOME}/.maildir/list",
    ),
    "~/.maildir cannot be written": Failure(
        f"chown root {HOME}/.maildir {HOME}/.maildir/*",
        f"chown user {HOME}/.maildir {HOME}/.maildir/*",
        places=(),
    ),
    "~/.maildir is a file": Failure(
        f"mv {HOME}/.maildir /tmp/maildir; touch {HOME}/.maildir",
        f"rm {HOME}/.maildir; mv /tmp/maildir {HOME}/.maildir",
        places=(),
    ),
    "the disk is full": Failure(
        f"mount -t tmpfs -o size=64k,uid=1000,gid=1000 none {HOME}/.maildir; mkdir -m 0777 {HOME}/.maildir/list;"
        f" head -c 1M /dev/zero > {HOME}/.maildir/filled || true",
        f"umount {HOME}/.maildir",
        places=(),
    ),
    "the disk is almost full": Failure(
        f"mount -t tmpfs -o size=64k,uid=1000,gid=1000 none {HOME}/.maildir",
        f"umount {HOME}/.maildir",
        places=(),
    ),
    "the home is gone": Failure(
        "mkdir /home.away; mount --bind /home.away /home", "umount /home; rmdir /home.away", places=()
    ),
}


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Qube:
    """Give a qube that sorts a list."""
    made = lab.qube(
        "mail-sorting",
        template=prepared,
        pillar=pillar(ALICE, lists=[{"list_id": LIST, "folder": "list/sorted"}]),
    )
    made.apply("postfix_smarthost").check()
    return made


@pytest.fixture
def failing(qube: Qube, request: pytest.FixtureRequest) -> Iterator[Failure]:
    """Give a failure, brought about in the qube."""
    failure = FAILURES[request.param]
    qube.run("sh", "-c", failure.bring)
    yield failure
    qube.run("sh", "-c", failure.mend, check=False)
    qube.run("sh", "-c", "postsuper -d ALL; rm -rf /var/mail/*; find $0/.maildir -type f -delete", HOME)


def bring_in(qube: Qube) -> tuple[list[list[object]], list[str]]:
    """Bring mail of the list in, as fetchmail does; return where it is then, and what is queued."""
    subject = unique()
    answers = qube.send_smtp(
        to="user@localhost",
        sender="stranger@far.test",
        subject=subject,
        body=BODY,
        headers={"List-Id": f"Things <{LIST}>"},
    )
    assert answers["data"][0] == 250
    return look(qube, subject)


def look(qube: Qube, subject: str) -> tuple[list[list[object]], list[str]]:
    places, queued = json.loads(qube.run("python3", "-", subject, stdin=_LOOK, timeout=60).stdout)
    return places, queued


def test_mail_is_sorted(qube: Qube) -> None:
    assert bring_in(qube) == ([[f"{HOME}/.maildir/list/sorted/new", True]], [])


@pytest.mark.parametrize("failing", FAILURES, indirect=True)
def test_no_failure_loses_mail(qube: Qube, failing: Failure) -> None:
    places, queued = bring_in(qube)
    assert (places, queued) == (
        [[place, True] for place in failing.places],
        [] if failing.places else ["deferred"],
    )
    assert qube.run("find", "/var/mail/", "-size", "+0").stdout.split() == ["/var/mail/"]
    if failing.places:
        assert qube.run("find", f"{HOME}/.maildir/tmp", "-type", "f").stdout == ""
