# SPDX-License-Identifier: Apache-2.0
"""
What Postfix has said about deliveries since the qube was started, from the journal.

Sources: journalctl(1); the log lines of qmgr(8) and of deliver_request(3) agents (log_adhoc.c, sent.c, defer.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from smarthost_files import run
from smarthost_in_use import Account
from smarthost_manifest import claim

# The newest lines that are read.
_LINES = 20000
_LINE = re.compile(
    r"(?P<time>\d+)\.\d+ postfix/\S+?\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): "
    r"(from=<(?P<sender>[^>]*)>, size=|to=<(?P<recipient>[^>]*)>, (?P<facts>.*?)"
    r"status=(?P<status>sent|deferred|bounced) \((?P<said>.*)\)$)"
)


# cleanup(8) says which message has which ID.
_MESSAGE_ID = re.compile(r"\S+ postfix/\S+?\[\d+\]: (?P<queue_id>[0-9A-Za-z]+): message-id=<(?P<id>[^>]*)>$")


class Delivery(NamedTuple):
    """
    An attempt to deliver a message to a recipient.

    time
        When, in seconds since the epoch.
    queue_id
        Of the message.
    sender
        Its envelope sender.
    recipient
        An address.
    status
        ``sent``, ``deferred`` or ``bounced``.
    said
        What Postfix or the relay says of it.
    """

    time: int
    queue_id: str
    sender: str
    recipient: str
    status: str
    said: str


def lines() -> list[str]:
    """Return what was logged about mail since the qube was started, oldest first; [] where there is no journal."""
    # 2 is the facility of mail (syslog(3)).
    told = run(
        *("journalctl", "--boot", "--quiet", "--no-pager", "--no-hostname", "--output=short-unix"),
        *(f"--lines={_LINES}", "SYSLOG_FACILITY=2"),
    )
    return told.stdout.splitlines() if told.returncode == 0 else []


def deliveries(log: Iterable[str]) -> list[Delivery]:
    """
    Return the attempts to deliver that a log tells of, oldest first.

    log : iterable
        Lines of the journal, as ``lines`` returns them.
    """
    senders: dict[str, str] = {}
    found = []
    for line in log:
        match = _LINE.match(line)
        if match is None:
            continue
        queue_id = match["queue_id"]
        if match["status"] is None:
            senders[queue_id] = match["sender"]
        elif queue_id in senders and "relay=" in match["facts"]:
            about = (match["recipient"], match["status"], match["said"])
            found.append(Delivery(int(match["time"]), queue_id, senders[queue_id], *about))
    return found


def message_ids(log: Iterable[str]) -> dict[str, str]:
    """
    Return the queue ID of each message ID that a log tells of.

    log : iterable
        Lines of the journal, as ``lines`` returns them.
    """
    found = (_MESSAGE_ID.match(line) for line in log)
    return {match["id"]: match["queue_id"] for match in found if match}


def by_account(attempts: Iterable[Delivery], by_sender: dict[str, Account]) -> dict[str, dict[str, Delivery]]:
    """
    Return the last success and the last failure of each account.

    attempts : iterable
        What ``deliveries`` returns.
    by_sender : dict
        The account of each sender.

    Returns address of the account -> ``sent`` and ``failed``, each only where there was one.
    """
    found: dict[str, dict[str, Delivery]] = {}
    for attempt in attempts:
        account = by_sender.get(claim(attempt.sender.lower(), by_sender))
        if account:
            how = "sent" if attempt.status == "sent" else "failed"
            found.setdefault(account.address, {})[how] = attempt
    return found
