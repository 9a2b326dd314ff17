# SPDX-License-Identifier: Apache-2.0
"""
Read and change aliases(5), the file that postalias(1) compiles.

Source: aliases(5): a name, a colon and a value; a line that begins with white space goes on with the one before, also
across comments and blank lines; names are not case sensitive.
"""

from __future__ import annotations

import re

from salt.exceptions import CommandExecutionError

from smarthost_files import rewrite

_ENTRY = re.compile(r"""[^\s:@#"][^\s:@"]*: \S.*""")


def get(name: str, path: str = "/etc/aliases") -> str | None:
    """
    Return what an alias stands for, None if there is no such alias.

    name : str
        The local name.
    path : str
        The file of aliases.

    Raises CommandExecutionError when the file cannot be read; that it is missing is no error.

    CLI Example:

    .. code-block:: bash

        salt-call --local postalias.get root
    """
    lines = _lines(path)
    entry = _entry(name, lines)
    return " ".join("".join(lines[number] for number in entry).partition(":")[2].split()) if entry else None


def put(name: str, value: str, path: str = "/etc/aliases") -> bool:
    """
    Make an alias stand for a value; the other lines stay as they are.

    name : str
        The local name.
    value : str
        What it stands for: names and addresses with commas between them.
    path : str
        The file of aliases, which is made (mode 0644) if it is missing.

    Returns whether the file was changed. It is not compiled: see ``postmap.build`` with ``alias=True``.

    Raises CommandExecutionError when that is no alias, or when the file cannot be written.

    CLI Example:

    .. code-block:: bash

        salt-call --local postalias.put root user
    """
    if not _ENTRY.fullmatch(f"{name}: {value}"):
        raise CommandExecutionError(
            "An alias needs a local name without white space, and a value in one line."
        )
    if get(name, path) == value:
        return False
    lines = _lines(path)
    entry = _entry(name, lines)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if entry:
        lines[entry[0]] = f"{name}: {value}\n"
    else:
        lines.append(f"{name}: {value}\n")
    try:
        rewrite(path, "".join(line for number, line in enumerate(lines) if number not in entry[1:]))
    except OSError as problem:
        raise CommandExecutionError(f"{path} cannot be written: {problem.strerror}.") from None
    return True


def _lines(path: str) -> list[str]:
    """Return the lines of a file with their ends, none if there is no file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.readlines()
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise CommandExecutionError(f"{path} cannot be read: {problem.strerror}.") from None


def _entry(name: str, lines: list[str]) -> list[int]:
    """Return the numbers of the lines that make up an alias, none if there is no such alias."""
    entries: list[list[int]] = []
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and entries:
            entries[-1].append(number)
        else:
            entries.append([number])
    names = (lines[entry[0]].partition(":")[0].strip().strip('"').lower() for entry in entries)
    return next((entry for entry, known in zip(entries, names, strict=True) if known == name.lower()), [])
