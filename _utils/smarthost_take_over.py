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
from smarthost_disk import is_managed, of_others
from smarthost_errors import CommandExecutionError
from smarthost_files import read, read_if_there, remove, rewrite, to_ascii, write
from smarthost_places import BY_HAND, TOP_FILES, Places
from smarthost_plan import Plan
from smarthost_sorting import sorts

KEPT = ("main.cf", "master.cf")


def is_by_hand(config_dir: str, name: str = "main.cf") -> bool:
    """Tell whether there is a file that this formula did not write."""
    return bool(read_if_there(os.path.join(config_dir, name))) and not is_managed(config_dir, name)


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
    if not is_by_hand(config_dir):
        return []
    planned = {os.path.basename(path): file.content for path, file in plan.files.items()}
    names = ("main.cf", "master.cf", "sender_relay")
    old = {name: read_if_there(os.path.join(config_dir, name)) for name in names}
    found = smarthost_by_hand.not_carried_over(old, planned)
    others = [name for name in of_others(places) if name.removesuffix(BY_HAND) not in TOP_FILES]
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
    if sorted_before and not sorts(record) and os.path.exists(procmailrc):
        notes.append(
            f"{to_ascii(procmailrc)} is not read any more: it is when the pillar has lists, or a folder of an account."
        )
    copies = " and ".join(os.path.join(config_dir, name + BY_HAND) for name in KEPT)
    return [*notes, f"The old main.cf and master.cf are kept as {copies}."]


def other_fetchmail(plan: Plan, home: str) -> list[str]:
    """
    Say that the user may fetch the same mail by himself, in sentences.

    plan : Plan
        The plan.
    home : str
        The home of the user who reads the mail.
    """
    own = os.path.join(home, ".fetchmailrc")
    if not plan.manifest.fetches or not os.path.exists(own):
        return []
    return [
        f"{to_ascii(own)} stays as it is, and nothing here starts fetchmail with it: take out what does, such as a line"
        " of /rw/config/rc.local, or leave it the accounts without fetch."
    ]


def kept(places: Places) -> dict[str, str]:
    """Return the names of the files made by hand, or by a package, that are kept, and the names of their copies."""
    config_dir = places.config_dir
    if not places.plain and not is_by_hand(config_dir):
        return {}
    # One of the two may be the formula's already, after an apply that was killed: its copy is there.
    return {name: name + BY_HAND for name in KEPT if is_by_hand(config_dir, name)}


def give_back(config_dir: str, test: bool = False) -> list[str]:
    """
    Put the files back that were kept; those of the formula are gone.

    config_dir : str
        The configuration.
    test : bool
        Only tell which files it would be.

    Returns their paths.
    """
    paths = [path for name in KEPT if os.path.lexists((path := os.path.join(config_dir, name)) + BY_HAND)]
    for path in [] if test else paths:
        # Readable by all, as main.cf and master.cf have to be for the user's programs.
        os.chmod(path + BY_HAND, 0o644)
        os.replace(path + BY_HAND, path)
    return paths


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
