# SPDX-License-Identifier: Apache-2.0
"""
Owner and mode that dpkg(1) gives a file in place of those of its package.

Source: dpkg-statoverride(1) of dpkg 1.21 to 1.23, and lib/dpkg/db-fsys-override.c on the file that it keeps.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import NamedTuple

from smarthost_errors import CommandExecutionError
from smarthost_files import read_if_there, run, to_ascii

DATABASE = "/var/lib/dpkg/statoverride"


class Override(NamedTuple):
    """
    Owner and mode of a file.

    user, group
        Names.
    mode
        The permission bits.
    """

    user: str
    group: str
    mode: int

    def __str__(self) -> str:
        """Return it as dpkg-statoverride(1) shows it, and as a change is told."""
        return f"{self.user} {self.group} {self.mode:04o}"


def of(path: str, database: str = DATABASE) -> Override | None:
    """
    Return the override of a file, None if it has none.

    path : str
        The file.
    database : str
        The file that dpkg keeps: a line for each, user, group, octal mode and path.
    """
    for line in read_if_there(database).splitlines():
        user, group, mode, name = [*line.split(" ", 3), "", "", ""][:4]
        if name == path:
            return Override(user, group, int(mode, 8))
    return None


def add(path: str, override: Override) -> None:
    """Add an override, and give the file its owner and mode, if there; raise CommandExecutionError if it fails."""
    _dpkg_statoverride("--update", "--add", override.user, override.group, f"{override.mode:04o}", path)


def remove(path: str, packaged: Override) -> None:
    """Remove an override, and give the file owner and mode of its package; raise CommandExecutionError or OSError."""
    _dpkg_statoverride("--remove", path)
    if os.path.isfile(path):
        shutil.chown(path, packaged.user, packaged.group)
        os.chmod(path, packaged.mode)


def has_set_id(path: str) -> bool:
    """Tell whether a file is there and set-uid or set-gid."""
    return os.path.isfile(path) and bool(os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID))


def take_set_id(path: str) -> None:
    """Take these bits off a file that has them."""
    if has_set_id(path):
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & ~(stat.S_ISUID | stat.S_ISGID))


def _dpkg_statoverride(*arguments: str) -> None:
    done = run("dpkg-statoverride", *arguments)
    if done.returncode:
        raise CommandExecutionError(f"dpkg-statoverride failed: {to_ascii(done.stderr)}.")
