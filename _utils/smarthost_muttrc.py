# SPDX-License-Identifier: Apache-2.0
"""
The lines for mutt and neomutt that follow from the accounts: who one writes as, where mail is, what sends it.

Sources: muttrc(5) of mutt 2.2, neomuttrc(5); regex(7).
"""

from __future__ import annotations

import os
import re

from smarthost_errors import CommandExecutionError
from smarthost_in_use import accounts, users
from smarthost_places import Places

_SENT, _DRAFTS = "sent", "drafts"


def muttrc(places: Places) -> str:
    """
    Return the lines for the configuration in use.

    places : Places
        The paths of the system.

    Raises CommandExecutionError where there is no configuration.
    """
    known = accounts(places)
    senders = [sender for account in known for sender in account.senders]
    readers = users(places)
    if not readers:
        raise CommandExecutionError("There is no local user who may send mail here.")
    return lines(senders, _maildirs(readers[0].pw_dir))


def lines(senders: list[str], maildirs: list[str]) -> str:
    """
    Return the lines for some addresses and folders.

    senders : list
        Addresses, the default account's first, and whole domains with their @.
    maildirs : list
        Maildirs that there are, as paths from ``~/.maildir``, which is ``.``: neomutt wants each to exist.
    """
    pattern = "|".join(("" if sender.startswith("@") else "^") + _escaped(sender) + "$" for sender in senders)
    folders = ["+" if name == "." else f"+{name}" for name in maildirs if name not in (_SENT, _DRAFTS)]
    return "".join(
        f"{line}\n"
        for line in (
            'set sendmail = "/usr/sbin/sendmail -oem -oi"',
            "set use_envelope_from = yes",
            f"set from = {_quoted(senders[0])}",
            "set reverse_name = yes",
            f"alternates {_quoted(pattern)}",
            "set mbox_type = Maildir",
            'set folder = "~/.maildir"',
            'set spoolfile = "~/.maildir"',
            f'set record = "+{_SENT}"',
            f'set postponed = "+{_DRAFTS}"',
            *([" ".join(["mailboxes", *map(_quoted, folders)])] if folders else []),
        )
    )


def _quoted(text: str) -> str:
    """Return a word as muttrc(5) reads it again: in double quotes, where four characters mean something."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _escaped(text: str) -> str:
    """Return a text as an extended regular expression for itself; regex(7) knows no escapes of letters."""
    return re.sub(r"([][\\^$.|?*+(){}])", r"\\\1", text)


def _maildirs(home: str) -> list[str]:
    top = os.path.join(home, ".maildir")
    # os.walk follows no links, and goes into no message.
    found = [os.path.relpath(path, top) for path, names, _ in os.walk(top) if {"cur", "new"} <= {*names}]
    return sorted(name for name in found if name.isprintable())
