# SPDX-License-Identifier: Apache-2.0
"""How mail goes in this qube, without any password."""

from __future__ import annotations

import os
from typing import Any

import smarthost_providers
import smarthost_service
from smarthost_disk import manifest, tables_in_use
from smarthost_files import count_files
from smarthost_places import MESSAGES, Places
from smarthost_relays import without_zeros


def status(places: Places) -> dict[str, Any]:
    """
    Tell how mail goes in this qube; the module function of the same name says what is returned.

    places : Places
        The paths of the system.
    """
    tables = tables_in_use(places.config_dir)
    known = manifest(places.config_dir, tables)
    counts = {name: count_files(os.path.join(places.queue_dir, name)) for name in MESSAGES}
    is_active = smarthost_service.active(places)
    notes = []
    if tables is None:
        notes.append("There is no configuration: apply postfix_smarthost to this qube.")
    elif not is_active:
        notes.append(
            "Postfix does not run on the configuration: sudo journalctl -b -u qubes-misc-post -u postfix says why."
        )
    if counts["hold"]:
        notes.append(
            f"{_messages(counts['hold'])} held: if another qube has queued mail and this one is its clone or a restored"
            " backup, that one may have sent it since. sudo postsuper -r ALL hold sends it from here, sudo postsuper"
            " -d ALL hold gives it up."
        )
    if counts["deferred"]:
        notes.append(
            f"{_messages(counts['deferred'])} deferred: mailq in the qube says why, and Postfix tries again."
        )
        relays = sorted({host for host, _ in known.relays}) if known else []
        hints = [hint for relay in relays if (hint := smarthost_providers.password_hint(relay))]
        notes += [f"If it is the login that is refused: {hint}." for hint in hints]
    return {
        "active": is_active,
        "tables": os.path.join(places.running_config_dir, tables) if tables else None,
        "senders": {
            sender: without_zeros(how.way).partition(":")[2]
            for sender, how in (known.senders if known else {}).items()
        },
        "queue": {name: count for name, count in counts.items() if count},
        "notes": notes,
    }


def _messages(count: int) -> str:
    return f"{count} message{' is' if count == 1 else 's are'}"
