# SPDX-License-Identifier: Apache-2.0
"""Take the configuration of Postfix off: what ``smarthost_apply`` and ``smarthost_service`` brought."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import smarthost_service
from smarthost_apply import lock, told_in_a_sentence
from smarthost_disk import of_others, ours
from smarthost_fetchmail import forget
from smarthost_files import count_files, remove, to_ascii
from smarthost_in_use import users
from smarthost_mutt_line import keep
from smarthost_places import MESSAGES, TOKENS, Places, is_sorting
from smarthost_take_over import KEPT, give_back, is_by_hand


def clean(places: Places, test: bool = False) -> dict[str, Any]:
    """
    Take the configuration off; the queue stays while it has messages.

    The boot script goes first, so that a qube that is killed half-way does not start Postfix again.

    places : Places
        The paths of the system.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (what is ``stopped``, ``unmounted`` and ``removed``; empty when there is
    nothing) and ``notes``: sentences on what is left and how to get at it.

    Raises CommandExecutionError when something cannot be removed.
    """
    with told_in_a_sentence("taken back"), contextlib.nullcontext() if test else lock(places):
        muttrc = [path for user in users(places) for path in keep(user, False, test).get("removed", [])]
        forgotten = [path for user in users(places) for path in forget(places, user, [], test)]
        removed = [path for path in places.programs if os.path.lexists(path)]
        if places.plain and removed and not test:
            smarthost_service.disable(places)
        if not test:
            remove("/", *removed)
            for path in (places.manual, places.completion):
                _remove_empty(os.path.dirname(path), places.shared_dir)
        changes = smarthost_service.deactivate(places, test)
        others, paths, count = _left_to_remove(places)
        if not test:
            remove("/", *paths)
            # The senders whose mail waits.
            remove(places.state_dir, "pauses")
            remove("/", places.fetch_off, places.oauth_dir)
        given_back = give_back(places.config_dir, test) if places.plain else []
    notes = []
    if count:
        give_up = "sudo postsuper -d ALL" if places.plain else "remove that directory"
        notes.append(
            f"{count} message{'s' if count > 1 else ''} not sent yet stay in {places.queue_dir}. To send them, apply"
            f" postfix_smarthost again; to give them up, {give_up}."
        )
    if given_back:
        notes.append(
            f"{' and '.join(given_back)} are those from before. Postfix is off: sudo systemctl enable --now postfix"
            " starts it on them, and what is queued then leaves as they say."
        )
    if others and not places.plain:
        notes.append(
            f"Files that the formula does not use stay in {places.config_dir}: {to_ascii(', '.join(others))}."
        )
    changes["removed"] = removed + paths + forgotten
    changes["given back"] = given_back
    changes["muttrc"] = muttrc
    return {"changes": {how: what for how, what in changes.items() if what}, "notes": notes}


def _remove_empty(directory: str, above: str) -> None:
    """Remove a directory if nothing is in it, and so on up to one that stays."""
    while directory != above and os.path.isdir(directory) and not os.listdir(directory):
        os.rmdir(directory)
        directory = os.path.dirname(directory)


def _left_to_remove(places: Places) -> tuple[list[str], list[str], int]:
    """Return the names of others' files, the paths that may go, and the number of messages that keep the queue."""
    config_dir, queue_dir = places.config_dir, places.queue_dir
    there = os.listdir(config_dir) if os.path.isdir(config_dir) else []
    others = of_others(places)
    names = sorted(ours(places) & {*there})
    if places.plain:
        names = [name for name in names if name not in KEPT or not is_by_hand(config_dir, name)]
    paths = [os.path.join(config_dir, name) for name in names]
    if os.path.isdir(config_dir) and not others and not places.plain:
        paths.append(config_dir)
    sorting = places.smarthost_dir
    there = sorted(os.listdir(sorting)) if os.path.isdir(sorting) else []
    own = [name for name in there if is_sorting(name) or name == TOKENS]
    paths += [os.path.join(sorting, name) for name in own]
    if os.path.isdir(sorting) and own == there:
        paths.append(sorting)
    count = sum(count_files(os.path.join(queue_dir, name)) for name in MESSAGES)
    if os.path.isdir(queue_dir) and not count and not places.plain:
        paths.append(queue_dir)
    return others, paths, count
