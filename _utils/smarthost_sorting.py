# SPDX-License-Identifier: Apache-2.0
"""
How local mail is sorted into the folders of the user: procmail(1), its recipes, and what runs it.

Pure functions. Sources: local(8) on mailbox_command; procmail(1), procmailrc(5) of procmail 3.22; sysexits.h.
"""

from __future__ import annotations

from typing import Any

from smarthost_lists import addressed, condition
from smarthost_places import SORTING, Places

# What local(8) runs, for each message, as its recipient.
DELIVER = r"""
# Hands one message to procmail(1). What this cannot deliver goes to ~/.maildir all the same, or stays in the queue
# (exit code 75): by itself procmail would fall back to /var/mail, which an app qube loses at shutdown, and a program
# that is missing or fails would bounce the message, of which a report holds the beginning only.
# Arguments: the path of procmail, the extension of the address.
umask 077
maildir=$HOME/.maildir
copy=$maildir/tmp/sorting.$$

mkdir -p "$maildir/cur" "$maildir/new" "$maildir/tmp" || exit 75
if ! cat >"$copy" || ! exec 3<"$copy"; then
	rm -f "$copy"
	exit 75
fi
"$1" -t -a "$2" DEFAULT="$maildir/" ORGMAIL="$maildir/" "${0%/*}/procmailrc" <&3
status=$?
# What ends well without having read the message, such as an empty file, has not delivered it.
if [ $status = 75 ] || { [ $status = 0 ] && ! read -r rest <&3 && [ -z "$rest" ]; }; then
	rm -f "$copy"
	exit $status
fi
logger -t postfix-smarthost -p mail.warning "$1 ended with exit code $status: the message is in $maildir"
sync "$copy" && mv "$copy" "$maildir/new/$(date +%s).P$$.sorting" || exit 75
"""


# The headers that name who has got a message, and those that say to whom it was written, as regular expressions. What
# came in for one account may be written to others, too.
_NAMES_RECIPIENT = (
    "(Delivered|X-Delivered|X-Original|Envelope|X-Envelope)-To",
    "(Original-)?(Resent-)?(To|Cc|Bcc)",
)


def sorts(record: dict[str, Any]) -> bool:
    """
    Tell whether mail is sorted at all.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    """
    return bool(_folders(record))


def _folders(record: dict[str, Any]) -> list[str]:
    """Return the folders of lists and accounts."""
    return [item["folder"] for item in record["lists"] + record["accounts"] if item.get("folder")]


def maildirs(record: dict[str, Any]) -> list[str]:
    """
    Return the folders that must be there before procmail(1) delivers, as paths below the user's home.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.

    procmail makes a maildir itself but not the folders above it, and without ``~/.maildir`` it delivers
    into the home directory.
    """
    folders = {".maildir"}
    for folder in _folders(record):
        parts = folder.split("/")
        folders.update("/".join([".maildir", *parts[:depth]]) for depth in range(1, len(parts)))
    return sorted(folders)


def mailbox_command(record: dict[str, Any], tables: str, procmail: str) -> str:
    """Return the command that sorts mail; without what it runs, mail stays in the queue."""
    if not sorts(record):
        return ""
    return f'/bin/sh {Places().of(SORTING[tables])}/deliver {procmail} "$EXTENSION" || exit 75'


def procmailrc(record: dict[str, Any]) -> str:
    """
    Return the recipes: those of the user, then those of the lists, then those of the accounts. The first one delivers.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    """
    recipes = "".join(f"\n:0\n* {condition(item)}\n{item['folder']}/\n" for item in record["lists"])
    # An address counts before the domain that another account has.
    senders = sorted(
        ((sender, account["folder"]) for account in record["accounts"] for sender in account["senders"]),
        key=lambda item: item[0].startswith("@"),
    )
    if any(folder for _, folder in senders):
        # Reports on the user's own mail are for the inbox.
        recipes += "\n:0\n* ! ^From:.*MAILER-DAEMON\n{\n"
        for headers in _NAMES_RECIPIENT:
            for sender, folder in senders:
                recipes += f":0\n* {addressed(headers, sender)}\n{folder or '.'}/\n"
        recipes += "}\n"
    # The recipes of the user come first: what they deliver is not sorted again. They may be in another directory then.
    return (
        "SHELL=/bin/sh\nMAILDIR=$HOME/.maildir\nINCLUDERC=$HOME/.procmailrc\nMAILDIR=$HOME/.maildir\n"
        + recipes
    )
