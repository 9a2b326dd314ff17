# SPDX-License-Identifier: Apache-2.0
"""How mail goes in this qube, without any password."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime
from typing import Any

import smarthost_log
import smarthost_queue
import smarthost_service
from smarthost_errors import CommandExecutionError
from smarthost_fetch_state import Fetching, fetching
from smarthost_files import count_files, is_same, to_ascii, which
from smarthost_in_use import Account, accounts, manifest, owners, tables_in_use
from smarthost_manifest import DISPOSABLES
from smarthost_oauth_state import authorizations
from smarthost_places import MESSAGES, Places
from smarthost_reasons import explain

AGAIN = "apply postfix_smarthost to this qube"


def status(places: Places) -> dict[str, Any]:
    """
    Tell how mail goes in this qube; the module function of the same name says what is returned.

    places : Places
        The paths of the system.
    """
    tables = tables_in_use(places.config_dir)
    try:
        known = accounts(places)
    except CommandExecutionError:
        known = []
    is_active = smarthost_service.active(places)
    queued = _queued(places, known)
    fetched, authorized = fetching(places), authorizations(places)
    counts = {name: count_files(os.path.join(places.queue_dir, name)) for name in MESSAGES}
    return {
        "active": is_active,
        "since": when(smarthost_service.since(places)),
        "tables": os.path.join(places.running_config_dir, tables) if tables else None,
        "senders": {sender: _nexthop(account) for account in known for sender in account.senders},
        "accounts": _accounts(known, queued, fetched, authorized),
        "queue": {name: count for name, count in counts.items() if count},
        "waiting": _waiting(queued),
        "notes": _notes(places, tables, counts)
        + _oauth_notes(places, authorized)
        + _fetch_notes(places, fetched),
    }


def when(time: float | None) -> str | None:
    """Return a time of seconds since the epoch as the qube's clock shows it (ISO 8601)."""
    return None if time is None else datetime.fromtimestamp(time).astimezone().isoformat(timespec="seconds")


def queue(places: Places) -> list[dict[str, Any]]:
    """
    List the messages in the queue; the module function of the same name says what is returned.

    places : Places
        The paths of the system.
    """
    return [_with_times(message) for message in smarthost_queue.messages(places, accounts(places))]


def _with_times(message: smarthost_queue.Message) -> dict[str, Any]:
    """Return a message of the queue as a dictionary, with its times as ``when`` gives them."""
    return message._asdict() | {"arrived": when(message.arrived), "next_try": when(message.next_try)}


def _nexthop(account: Account) -> str:
    return f"[{account.relay}]:{account.port}"


def _queued(places: Places, known: list[Account]) -> list[smarthost_queue.Message]:
    """Return what is in the queue; [] where Postfix cannot tell, which a note says."""
    if not is_same(places.running_config_dir, places.config_dir):
        return []
    try:
        return smarthost_queue.messages(places, known)
    except CommandExecutionError:
        return []


def _accounts(
    known: list[Account],
    queued: list[smarthost_queue.Message],
    fetched: dict[str, Fetching],
    authorized: dict[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return how the mail of each account goes, and comes."""
    attempts = smarthost_log.deliveries(smarthost_log.lines()) if known else []
    last = smarthost_log.by_account(attempts, owners(known))
    waiting = Counter(message.account for message in queued)
    told = {}
    for account in known:
        about: dict[str, Any] = {
            "relay": account.relay,
            "port": account.port,
            "tls_mode": account.tls_mode,
            "waiting": waiting[account.address],
        }
        for how, attempt in last.get(account.address, {}).items():
            about[how] = when(attempt.time)
            if how == "failed":
                about["reason"] = to_ascii(explain(attempt.said, account.relay).text)
        if account.address in authorized:
            oauth = authorized[account.address]
            about["oauth"] = {**oauth, "since": when(oauth["since"] or None)}
        if account.address in fetched:
            about["fetch"] = _with_fetch_times(fetched[account.address])
        told[account.address] = about
    return told


def _with_fetch_times(about: Fetching) -> dict[str, Any]:
    """Return how mail is fetched as a dictionary, with its times as ``when`` gives them."""
    return about._asdict() | {
        key: when(getattr(about, key) or None) for key in ("looked", "fetched", "since")
    }


def _oauth_notes(places: Places, authorized: dict[str, dict[str, Any]]) -> list[str]:
    """Return what the user has to do about accounts that log in by XOAUTH2, in sentences."""
    notes = [
        f"{address} is not logged in: {about['reason']}."
        for address, about in authorized.items()
        if about["kind"] in ("authorize", "login")
    ]
    if authorized and not os.path.exists(places.oauth_unit):
        notes.append(
            f"Mail of accounts with auth: xoauth2 waits, as {os.path.basename(places.oauth_unit)} does not run:"
            f" sudo {places.boot_script} starts it."
        )
    return notes


def _fetch_notes(places: Places, fetched: dict[str, Fetching]) -> list[str]:
    """Return what the user has to do about mail that is not fetched, in sentences."""
    if not smarthost_service.fetches(places):
        return []
    if os.path.exists(places.fetch_off):
        return [
            f"Mail is not fetched, as this qube is a copy of another one. If this one is to fetch it, {AGAIN}."
        ]
    if not os.path.exists(places.fetch_unit):
        return [
            f"Mail is not fetched, as {os.path.basename(places.fetch_unit)} does not run:"
            f" sudo {places.boot_script} starts it."
        ]
    return [
        f"Mail of {address} is not fetched: {about.reason}"
        + (f": {about.way_out}." if about.way_out else ".")
        for address, about in fetched.items()
        if about.reason
    ]


def _waiting(queued: list[smarthost_queue.Message]) -> list[dict[str, Any]]:
    """Return what waits, by why it does: how many messages, since when, and when it is tried next."""
    groups: dict[tuple[str, str], list[smarthost_queue.Message]] = {}
    for message in queued:
        groups.setdefault((message.account, message.kind), []).append(message)
    return [
        {
            "account": account,
            "count": len(group),
            "oldest": when(min(message.arrived for message in group)),
            "next_try": when(min(filter(None, (message.next_try for message in group)), default=None)),
            "reason": group[-1].reason or f"it is in {group[-1].part}",
            "way_out": group[-1].way_out,
        }
        for (account, _), group in groups.items()
    ]


def _notes(places: Places, tables: str | None, counts: dict[str, int]) -> list[str]:
    """Return what the user has to do, in sentences."""
    if which("postfix") is None:
        return [
            "Postfix is not installed in this qube: apply postfix_smarthost to its template, shut that down, and"
            " restart this qube."
        ]
    if tables is None:
        return [f"There is no configuration: {AGAIN}."]
    known = manifest(places.config_dir, tables)
    notes = []
    if os.path.exists(places.disposable) and not (known and DISPOSABLES in known.allowed):
        notes.append(
            "This is a disposable, and sends no mail: set disposables of its template qube to true if it shall."
        )
    elif not smarthost_service.uses(places):
        notes.append(
            "Postfix does not run on the configuration: sudo journalctl -b -u qubes-misc-post -u postfix says why, and"
            f" sudo {places.boot_script} starts it."
        )
    elif not is_same(places.running_queue_dir, places.queue_dir) and not os.path.exists(places.disposable):
        notes.append(
            f"The queue is lost when this qube is shut down, as {places.queue_dir} is not mounted:"
            f" sudo systemctl stop postfix, then sudo {places.boot_script}."
        )
    elif not os.path.exists(places.uplink_timer):
        notes.append(
            "Mail that waits for the network is tried late, as the watch for the uplink does not run:"
            f" sudo {places.boot_script} starts it."
        )
    if not os.path.lexists(places.boot_script):
        notes.append(f"Nothing starts Postfix at the next boot: {AGAIN}.")
    elif os.path.exists(places.custom_persist):
        notes.append(
            "This qube has the service custom-persist, with which nothing starts Postfix at boot: in dom0,"
            " qvm-service QUBE custom-persist off."
        )
    if counts["hold"]:
        notes.append(
            f"{_messages(counts['hold'])} held: if another qube has queued mail and this one is its clone or a restored"
            " backup, that one may have sent it since. sudo postfix-smarthost release ALL sends it from here, sudo"
            " postfix-smarthost delete ID gives one up."
        )
    return notes


def _messages(count: int) -> str:
    return f"{count} message{' is' if count == 1 else 's are'}"
