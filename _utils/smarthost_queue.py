# SPDX-License-Identifier: Apache-2.0
"""
The mail queue: what waits and why, and what can be done with it, by Postfix's own programs.

Sources: postqueue(1), postsuper(1), qmgr(8) on the time of the next try.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any, NamedTuple

from smarthost_errors import CommandExecutionError
from smarthost_files import run, to_ascii
from smarthost_in_use import Account, accounts, no_account, owners
from smarthost_manifest import claim
from smarthost_places import Places
from smarthost_reasons import explain

# A short one and a long one (enable_long_queue_ids); "ALL" is postsuper(1)'s word for each message.
_QUEUE_ID = re.compile(r"[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,}z[0-9A-Za-z]+")
_ACTIONS = {"delete": "-d", "hold": "-h", "release": "-H"}


class Message(NamedTuple):
    """
    A message in the queue.

    queue_id
        What Postfix calls it.
    part
        The part of the queue: ``maildrop``, ``incoming``, ``active``, ``deferred`` or ``hold``.
    sender
        Its envelope sender.
    recipients
        Those who do not have it yet.
    size
        In bytes.
    arrived
        In seconds since the epoch.
    next_try
        Likewise, None if it is not deferred or that cannot be seen.
    account
        The address of its account, "" if it has none.
    kind, reason, way_out
        Why it waits, as ``smarthost_reasons.Reason``.
    """

    queue_id: str
    part: str
    sender: str
    recipients: list[str]
    size: int
    arrived: int
    next_try: int | None
    account: str
    kind: str
    reason: str
    way_out: str


def messages(places: Places, known: list[Account]) -> list[Message]:
    """
    Return what is in the queue, oldest first.

    places : Places
        The paths of the system.
    known : list
        The accounts of the configuration in use.

    Raises CommandExecutionError when Postfix cannot tell.
    """
    told = run("postqueue", "-j")
    if told.returncode:
        raise CommandExecutionError(f"The queue cannot be read: {to_ascii(told.stderr)}")
    by_sender = owners(known)
    found = [_message(places, json.loads(line), by_sender) for line in told.stdout.splitlines()]
    return sorted(found, key=lambda message: message.arrived)


def _message(places: Places, told: dict[str, Any], by_sender: dict[str, Account]) -> Message:
    sender = told["sender"] if told["sender"] != "MAILER-DAEMON" else ""
    account = by_sender.get(claim(sender.lower(), by_sender))
    reasons = [recipient.get("delay_reason", "") for recipient in told["recipients"]]
    why = explain(next((reason for reason in reasons if reason), ""), account.relay if account else "")
    kind, text, way_out = why if told["queue_name"] == "deferred" else (told["queue_name"], "", "")
    if told["queue_name"] == "hold":
        text, way_out = "it is held", f"sudo postfix-smarthost release {told['queue_id']} sends it"
    return Message(
        queue_id=told["queue_id"],
        part=told["queue_name"],
        sender=sender,
        recipients=[recipient["address"] for recipient in told["recipients"]],
        size=told["message_size"],
        arrived=told["arrival_time"],
        next_try=_next_try(places, told["queue_id"]) if told["queue_name"] == "deferred" else None,
        account=account.address if account else "",
        kind=kind,
        reason=to_ascii(text),
        way_out=way_out,
    )


def _next_try(places: Places, queue_id: str) -> int | None:
    """qmgr(8) keeps it as the time of the message's file, in one of the directories below that of the queue."""
    deferred = os.path.join(places.running_queue_dir, "deferred")
    try:
        directories = os.listdir(deferred)
    except OSError:
        return None
    for directory in directories:
        try:
            return int(os.stat(os.path.join(deferred, directory, queue_id)).st_mtime)
        except OSError:
            continue
    return None


def flush(places: Places, what: str) -> list[str]:
    """
    Try deferred mail now.

    places : Places
        The paths of the system.
    what : str
        ``ALL``, a queue ID, or the address of an account.

    Returns the queue IDs that are tried.

    Raises CommandExecutionError when there is no such message or account, or Postfix refuses.
    """
    chosen = [message.queue_id for message in select(places, what) if message.part == "deferred"]
    if what == "ALL":
        _done(run("postqueue", "-f"))
    else:
        for queue_id in chosen:
            _done(run("postqueue", "-i", queue_id))
    return chosen


def change(places: Places, action: str, what: str, test: bool) -> list[str]:
    """
    Hold, release or delete messages.

    places : Places
        The paths of the system.
    action : str
        ``hold``, ``release`` or ``delete``.
    what : str
        ``ALL``, a queue ID, or the address of an account.
    test : bool
        Only tell which messages it would be.

    Returns the queue IDs of the messages that are changed; one that is held already is not held again.

    Raises CommandExecutionError when there is no such message or account, or Postfix refuses.
    """
    chosen = [
        message.queue_id
        for message in select(places, what)
        if action == "delete" or (message.part == "hold") == (action == "release")
    ]
    if chosen and not test:
        for queue_id in chosen:
            _done(run("postsuper", _ACTIONS[action], queue_id))
        if action == "release":
            _done(run("postqueue", "-f"))
    return chosen


def select(places: Places, what: str) -> list[Message]:
    """
    Return the messages that are meant.

    places : Places
        The paths of the system.
    what : str
        ``ALL``, a queue ID, or the address of an account.

    Raises CommandExecutionError when there is no such message or account.
    """
    known = accounts(places)
    queued = messages(places, known)
    if what == "ALL":
        return queued
    if "@" in what:
        by_sender = owners(known)
        account = by_sender.get(claim(what.lower(), by_sender))
        if account is None:
            raise no_account(what, known)
        return [message for message in queued if message.account == account.address]
    chosen = [message for message in queued if message.queue_id == what]
    if not chosen:
        meant = (
            "no message in the queue" if _QUEUE_ID.fullmatch(what) else "neither a queue ID nor an address"
        )
        raise CommandExecutionError(
            f"{to_ascii(what)} is {meant}: postfix-smarthost queue lists what there is."
        )
    return chosen


def _done(process: subprocess.CompletedProcess[str]) -> None:
    if process.returncode:
        raise CommandExecutionError(f"Postfix refuses: {to_ascii(process.stderr)}")
