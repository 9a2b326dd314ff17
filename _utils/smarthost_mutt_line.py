# SPDX-License-Identifier: Apache-2.0
"""
Put the line into the user's muttrc that reads what follows from the accounts, and take it back.

The files are the user's, and so are links in their place: all of it is done with the rights of the user. A line that
the user has written stays.

Sources: mutt(1) of 2.2, init.c (mutt_init); neomutt(1), main.c (find_cfg).
"""

from __future__ import annotations

import os
import pwd
import re

from smarthost_errors import CommandExecutionError
from smarthost_files import acting_as, read, rewrite, to_ascii, which

_MARK = "# Put here by the Salt formula postfix_smarthost (its key mutt), which takes both lines away with the key.\n"
_LINE = 'source "postfix-smarthost muttrc |"\n'
_SAYS_SO = re.compile(r"^[ \t]*source[ \t]+[\"']?[ \t]*postfix-smarthost[ \t]+muttrc[ \t]*\|", re.MULTILINE)
_DEFAULT = ".muttrc"
# Of each program, in its order: it reads the first one that is there.
_READ_BY = {
    "mutt": (".muttrc", ".mutt/muttrc", ".config/mutt/muttrc"),
    "neomutt": (
        *(
            f"{place}/{name}"
            for place in (".config/neomutt", ".config/mutt")
            for name in ("neomuttrc", "muttrc")
        ),
        *(f"{place}/{name}" for place in (".neomutt", ".mutt") for name in ("neomuttrc", "muttrc")),
        ".neomuttrc",
        ".muttrc",
    ),
}
MISSING = (
    "mutt: true, but neither mutt nor neomutt is installed in this qube: give its template packages: [mutt], apply"
    " postfix_smarthost to it, shut it down and restart this qube."
)


def keep(user: pwd.struct_passwd, wanted: bool, test: bool = False) -> dict[str, list[str]]:
    """
    Make sure that the line is in the file that each program reads, or in none.

    user : pwd.struct_passwd
        Whose files they are.
    wanted : bool
        Whether it is to be there.
    test : bool
        Only tell what would change.

    Returns the paths of the files in which the line is ``added`` or ``removed``; only what there is of these.

    Raises CommandExecutionError when a file cannot be read or written; it is as it was then.
    """
    changes: dict[str, list[str]] = {}
    with acting_as(user):
        used = _used_files(user.pw_dir) if wanted else set()
        for path in sorted(used | _all_files(user.pw_dir)):
            text = _text(path, path in used)
            new = _changed(text, path in used)
            if new == text:
                continue
            changes.setdefault("added" if path in used else "removed", []).append(path)
            if not test:
                _write(path, new)
    return changes


def is_missing() -> bool:
    """Tell whether there is no program that would read the line."""
    return not any(which(name) for name in _READ_BY)


def _changed(text: str, wanted: bool) -> str:
    if not wanted:
        return text.replace(_MARK + _LINE, "")
    # First, so that what the user writes counts.
    return text if _SAYS_SO.search(text) else _MARK + _LINE + text


def _text(path: str, used: bool) -> str:
    try:
        return read(path)
    except OSError as problem:
        if used and os.path.lexists(path):
            # Another one would take its place.
            raise CommandExecutionError(f"{to_ascii(path)} cannot be read: {problem.strerror}.") from None
        # What the user cannot read, the user's programs cannot either.
        return ""


def _write(path: str, text: str) -> None:
    try:
        if text:
            rewrite(path, text)
        else:
            os.unlink(path)
    except OSError as problem:
        raise CommandExecutionError(f"{to_ascii(path)} cannot be written: {problem.strerror}.") from None


def _used_files(home: str) -> set[str]:
    """Return the file that each program reads, of those programs that there are; all of them, if there are none."""
    found = set()
    for program in [name for name in _READ_BY if which(name)] or _READ_BY:
        paths = [os.path.join(home, name) for name in _READ_BY[program]]
        found.add(next((path for path in paths if os.path.exists(path)), os.path.join(home, _DEFAULT)))
    return found


def _all_files(home: str) -> set[str]:
    return {os.path.join(home, name) for names in _READ_BY.values() for name in names}
