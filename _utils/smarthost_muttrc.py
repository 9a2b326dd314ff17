# SPDX-License-Identifier: Apache-2.0
"""
The lines for mutt and neomutt that follow from the accounts: who one writes as, where mail is, what sends it.

Sources: muttrc(5) of mutt 2.2, neomuttrc(5); regex(7).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from smarthost_errors import CommandExecutionError
from smarthost_in_use import accounts, manifest, tables_in_use, users
from smarthost_places import Places

_SENT, _DRAFTS = "sent", "drafts"
# In the home of the user, before an address.
SIGNATURE = ".signature-"


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
    home = readers[0].pw_dir
    in_use = manifest(places.config_dir, tables_in_use(places.config_dir))
    signed = [sender for sender in senders if os.path.exists(os.path.join(home, SIGNATURE + sender))]
    return lines(senders, _maildirs(home), in_use.folders if in_use else (), signed)


def lines(
    senders: list[str],
    maildirs: list[str],
    folders: Sequence[tuple[str, str]] = (),
    signed: Sequence[str] = (),
) -> str:
    """
    Return the lines for some addresses and folders.

    senders : list
        Addresses, the default account's first, and whole domains with their @.
    maildirs : list
        Maildirs that there are, as paths from ``~/.maildir``, which is ``.``: neomutt wants each to exist.
    folders : list
        Folders in which one writes from another address, and that.
    signed : list
        Addresses that have a file with a signature.
    """
    pattern = "|".join(("" if sender.startswith("@") else "^") + _escaped(sender) + "$" for sender in senders)
    named = ["+" if name == "." else f"+{name}" for name in maildirs if name not in (_SENT, _DRAFTS)]
    return "".join(
        f"{line}\n"
        for line in (
            'set sendmail = "/usr/sbin/sendmail -oem -oi"',
            "set use_envelope_from = yes",
            _writes_from(senders[0]),
            "set reverse_name = yes",
            f"alternates {_quoted(pattern)}",
            "set mbox_type = Maildir",
            'set folder = "~/.maildir"',
            'set spoolfile = "~/.maildir"',
            f'set record = "+{_SENT}"',
            f'set postponed = "+{_DRAFTS}"',
            *([" ".join(["mailboxes", *map(_quoted, named)])] if named else []),
            *([f"folder-hook . {_quoted(_writes_from(senders[0]))}"] if folders else []),
            *(
                # A path of its own at the beginning would be expanded.
                f"folder-hook {_quoted(f'/{_escaped(folder)}$')} {_quoted(_writes_from(sender))}"
                for folder, sender in folders
            ),
            *([f"send-hook ~A {_quoted(_signs('.signature'))}"] if signed else []),
            *(
                f"send-hook {_quoted(f'~f ^{_escaped(sender)}$')} {_quoted(_signs(SIGNATURE + sender))}"
                for sender in signed
            ),
        )
    )


def _writes_from(sender: str) -> str:
    return f"set from = {_quoted(sender)}"


def _signs(name: str) -> str:
    return f"set signature = {_quoted(f'~/{name}')}"


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
