# SPDX-License-Identifier: Apache-2.0
"""
How local mail is sorted into the folders of the user: procmail(1) and its recipes.

Pure functions. Source: procmailrc(5) of procmail 3.22.
"""

from __future__ import annotations

from typing import Any

from smarthost_privacy import literal


def maildirs(record: dict[str, Any]) -> list[str]:
    """
    Return the folders that must be there before procmail(1) delivers, as paths below the user's home.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.

    procmail makes a list's maildir itself but not the folders above it, and without ``~/.maildir`` it delivers
    into the home directory.
    """
    folders = {".maildir"}
    for item in record["lists"]:
        parts = item["folder"].split("/")
        folders.update("/".join([".maildir", *parts[:depth]]) for depth in range(1, len(parts)))
    return sorted(folders)


def mailbox_command(record: dict[str, Any], tables: str, procmail: str) -> str:
    """Return the command that sorts mail; -t keeps mail queued that cannot be delivered now."""
    if not record["lists"]:
        return ""
    return f'{procmail} -t -a "$EXTENSION" /etc/postfix/{tables}/procmailrc'


def procmailrc(lists: list[dict[str, str]]) -> str:
    """Return the recipes that sort mailing lists, the first that matches."""
    recipes = (
        f"\n:0\n* ^List-Id:(.*[^a-z0-9._+-])?{literal(item['list_id'])}([^a-z0-9._+-]|$)\n{item['folder']}/\n"
        for item in lists
    )
    # The recipes of the user come first: what they deliver is not sorted again.
    return (
        "SHELL=/bin/sh\nMAILDIR=$HOME/.maildir\nORGMAIL=$MAILDIR/\nDEFAULT=$MAILDIR/\n"
        "INCLUDERC=$HOME/.procmailrc\n" + "".join(recipes)
    )
