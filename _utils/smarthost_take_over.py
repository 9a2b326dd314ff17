# SPDX-License-Identifier: Apache-2.0
"""
Take over a qube that was set up by hand: what is kept of it, what is not carried over, what goes from rc.local.

What belongs to the recipe, ``smarthost_by_hand`` knows.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

import smarthost_by_hand
from smarthost_disk import ours
from smarthost_errors import CommandExecutionError
from smarthost_files import read, read_if_there, remove, rewrite, to_ascii, write
from smarthost_places import BY_HAND, TOP_FILES, Places
from smarthost_plan import Plan

_KEPT = ("main.cf", "master.cf")


def is_by_hand(config_dir: str, plan: Plan) -> bool:
    """Tell whether there is a main.cf that this formula did not write: it would begin as the planned one does."""
    main_cf = read_if_there(os.path.join(config_dir, "main.cf"))
    return bool(main_cf) and not main_cf.startswith(plan.files["main.cf"].content.split("\n", 1)[0])


def not_carried_over(places: Places, plan: Plan, record: dict[str, Any], home: str) -> list[str]:
    """
    Say what a configuration made by hand does that the planned one does not.

    places : Places
        The paths of the system.
    plan : Plan
        The plan.
    record : dict
        The regular shape of the pillar.
    home : str
        The home of the user who reads the mail.

    Returns sentences, none for a configuration of the formula's.
    """
    config_dir = places.config_dir
    if not is_by_hand(config_dir, plan):
        return []
    planned = {os.path.basename(path): file.content for path, file in plan.files.items()}
    names = ("main.cf", "master.cf", "sender_relay")
    old = {name: read_if_there(os.path.join(config_dir, name)) for name in names}
    found = smarthost_by_hand.not_carried_over(old, planned)
    others = sorted({*os.listdir(config_dir)} - ours(config_dir) - {name + BY_HAND for name in TOP_FILES})
    notes = [
        f"{what}: {to_ascii(', '.join(items))}."
        for what, items in (
            ("Parameters of main.cf that are not carried over", found["parameters"]),
            ("Services of master.cf that are not carried over", found["services"]),
            ("Senders that had a relay and have no account now", found["senders"]),
            (f"Files that stay in {config_dir} and are not used", others),
        )
        if items
    ]
    procmailrc = os.path.join(home, ".procmailrc")
    sorted_before = "procmail" in smarthost_by_hand.parameters(old["main.cf"]).get("mailbox_command", "")
    if sorted_before and not record["lists"] and os.path.exists(procmailrc):
        notes.append(f"{to_ascii(procmailrc)} is not read any more: it is when the pillar has lists.")
    copies = " and ".join(os.path.join(config_dir, name + BY_HAND) for name in _KEPT)
    return [*notes, f"The old main.cf and master.cf are kept as {copies}."]


def kept(config_dir: str, plan: Plan) -> dict[str, str]:
    """Return the names of the files made by hand that are kept, and the names of their copies."""
    return {name: name + BY_HAND for name in _KEPT} if is_by_hand(config_dir, plan) else {}


def keep(config_dir: str, names: dict[str, str]) -> None:
    """Copy files that were made by hand; root alone may read the copies, whatever they hold."""
    for name, copy in names.items():
        path = os.path.join(config_dir, name)
        if os.path.lexists(path):
            # Made anew: one that is there keeps its mode, and who has it open reads on.
            remove(config_dir, copy)
            write(os.path.join(config_dir, copy), read(path), 0o600)


def rc_local(path: str, test: bool = False) -> dict[str, Any]:
    """
    Take out the lines that mount ``/usr/local/etc/postfix`` and start Postfix; all others stay byte for byte.

    A line is left where the script could not be read by its shell without it, such as the only one of a block.

    path : str
        The path of rc.local; it keeps owner and mode.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (``removed``: how many lines; empty when there are none) and ``notes``:
    sentences that name the lines which the user has to take out.

    Raises CommandExecutionError when the file cannot be written; it is as it was then.
    """
    text = read_if_there(path)
    found = smarthost_by_hand.rc_local(text)
    if found["removed"] and not _is_shell(found["text"]) and _is_shell(text):
        found = {"removed": 0, "related": smarthost_by_hand.rc_local_lines(text)}
    if found["removed"] and not test:
        try:
            rewrite(path, found["text"])
        except OSError as problem:
            raise CommandExecutionError(f"{path} cannot be written: {problem.strerror}.") from None
    notes = [
        f"{path} still mounts or starts Postfix by itself: take line {number} out."
        for number in found["related"]
    ]
    return {"changes": {"removed": found["removed"]} if found["removed"] else {}, "notes": notes}


def _is_shell(text: str) -> bool:
    """Tell whether a script can be read by the shell that it names."""
    shell = "bash" if "bash" in text.split("\n", 1)[0] else "sh"
    process = subprocess.run(
        [f"/bin/{shell}", "-n"],
        input=text.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    return process.returncode == 0
