# SPDX-License-Identifier: Apache-2.0
"""
What is on the disk: how it differs from a plan, and what is left over.

Nothing is changed here, and no program is run.
"""

from __future__ import annotations

import os
import stat

import postfix_tables
import smarthost_by_hand
from smarthost_files import is_public, read, read_if_there
from smarthost_in_use import manifest
from smarthost_manifest import NAME, parse
from smarthost_places import CARRIED, PACKAGED, SORTING, STAGING, SUFFIXES, TABLES, TOP_FILES, Places
from smarthost_plan import MANAGED, File, Plan


def differences(places: Places, tables: str | None, plan: Plan) -> dict[str, dict[str, list[str]]]:
    """
    Tell how the configuration on the disk differs from a plan.

    places : Places
        The paths of the system.
    tables : str or None
        The directory of tables in use.
    plan : Plan
        The plan, of those tables.

    Returns names, never values: ``accounts`` and ``files`` that would be ``added``, ``removed`` or ``changed``; only
    what there is of these.
    """
    config_dir = places.config_dir
    files = plan.files
    found = _sources(places, tables)
    by_what = {
        "accounts": plan.manifest.differences(manifest(config_dir, tables)),
        "files": {
            "added": [path for path in files if path not in found],
            "removed": sorted(found - {*files}) + leftovers(places, tables) + unused_sorting(places, tables),
            "changed": [
                path
                for path, file in files.items()
                if path in found and not _is_as_planned(places, path, file)
            ]
            + [path for path in _directories(places, tables) if _is_private(path)],
        },
    }
    return {
        what: {how: [os.path.basename(name) for name in names] for how, names in by_how.items() if names}
        for what, by_how in by_what.items()
        if any(by_how.values())
    }


def unused_tables(config_dir: str) -> str:
    """Return a directory of tables that is not there: without its main.cf, Postfix may still run on the other one."""
    return next((name for name in TABLES if not os.path.lexists(os.path.join(config_dir, name))), TABLES[0])


def leftovers(places: Places, tables: str | None) -> list[str]:
    """Return what an interrupted apply or the hand-made set-up has left, none of which Postfix needs."""
    left = [name for name in (*TABLES, STAGING) if name != tables]
    if not places.plain:
        # The recipe is one for qubes; elsewhere, tables of these names are somebody's own.
        left += [name + suffix for name in smarthost_by_hand.FILES for suffix in ("", *SUFFIXES)]
    return [name for name in left if os.path.lexists(os.path.join(places.config_dir, name))]


def ours(places: Places) -> set[str]:
    """Return the names of all that the formula, or the recipe before it, may have put into the configuration."""
    own = {*TOP_FILES, *TABLES, STAGING, *leftovers(places, None)}
    return own if places.plain else own | {*CARRIED}


def is_managed(config_dir: str, name: str) -> bool:
    """Tell whether a main.cf or master.cf is one that the formula wrote."""
    return read_if_there(os.path.join(config_dir, name)).startswith(MANAGED.rstrip())


def of_others(places: Places) -> list[str]:
    """Return the names of what is in the configuration and is neither the formula's nor Postfix's package's."""
    there = os.listdir(places.config_dir) if os.path.isdir(places.config_dir) else []
    packaged = (*CARRIED, *PACKAGED) if places.plain else ()
    return sorted(set(there) - ours(places) - {*packaged})


def unused_sorting(places: Places, tables: str | None) -> list[str]:
    """Return the directories of what sorts mail that do not go with the tables in use."""
    used = SORTING[tables] if tables else None
    return [name for name in SORTING.values() if name != used and os.path.lexists(places.of(name))]


def _directories(places: Places, tables: str | None) -> list[str]:
    """Return the directories that all have to look into."""
    found = [places.config_dir, places.smarthost_dir]
    return found + ([places.of(tables), places.of(SORTING[tables])] if tables else [])


def _sources(places: Places, tables: str | None) -> set[str]:
    """Return the names of the files there are, without the tables that were compiled from one of them."""
    config_dir = places.config_dir
    found = {name for name in TOP_FILES if os.path.lexists(os.path.join(config_dir, name))}
    if tables is not None and os.path.isdir(os.path.join(config_dir, tables)):
        names = set(os.listdir(os.path.join(config_dir, tables)))
        compiled = {
            name for name in names for suffix in SUFFIXES if name.removesuffix(suffix) in names - {name}
        }
        found |= {f"{tables}/{name}" for name in names - compiled}
    if tables is not None and os.path.isdir(places.of(SORTING[tables])):
        found |= {f"{SORTING[tables]}/{name}" for name in os.listdir(places.of(SORTING[tables]))}
    return found


def _is_private(directory: str) -> bool:
    """Tell whether a directory is there and not as it has to be, so that the user's programs read main.cf."""
    return os.path.isdir(directory) and not is_public(directory)


def _is_as_planned(places: Places, name: str, file: File) -> bool:
    path = places.of(name)
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or (status.st_uid, status.st_gid) != file.owner:
            return False
        if stat.S_IMODE(status.st_mode) != file.mode or read(path) != file.content:
            return False
    except OSError:
        return False
    return file.rows is None or _is_compiled(places, path)


def _is_compiled(places: Places, path: str) -> bool:
    """Tell whether a table is compiled, into one type only, or is one that Postfix reads as it is."""
    built = [suffix for suffix in SUFFIXES if os.path.lexists(path + suffix)]
    known = parse(read_if_there(os.path.join(os.path.dirname(path), NAME)))
    kind = known.type if known else "unknown"
    if kind == "texthash":
        return not built
    if len(built) != 1 or kind not in ("auto", SUFFIXES[built[0]]):
        return False
    # Without asking a program for the type that Postfix takes: the template compiled the aliases into it.
    if kind == "auto" and not os.path.lexists(places.aliases + built[0]):
        return False
    return not postfix_tables.stale(f"{SUFFIXES[built[0]]}:{path}")
