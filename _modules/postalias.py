# SPDX-License-Identifier: Apache-2.0
"""
Read and change aliases(5), the file that postalias(1) compiles.

Source: aliases(5): a name, a colon and a value; a line that begins with white space goes on with the one before;
names are not case sensitive.
"""

from __future__ import annotations

import os
import re
import tempfile

_ENTRY = r"^{name}[ \t]*:(?P<value>.*(?:\n[ \t]+\S.*)*)$"


def get(name: str, path: str = "/etc/aliases") -> str | None:
    """
    Return what an alias stands for, None if there is no such alias.

    name
        The local name.
    path
        The file of aliases.

    CLI Example:

    .. code-block:: bash

        salt-call --local postalias.get root
    """
    entry = _entry(name).search(_read(path))
    return None if entry is None else " ".join(entry["value"].split())


def put(name: str, value: str, path: str = "/etc/aliases") -> bool:
    """
    Make an alias stand for a value; the other lines stay as they are.

    name
        The local name.
    value
        What it stands for: names and addresses with commas between them.
    path
        The file of aliases, which is made (mode 0644) if it is missing.

    Returns whether the file was changed. It is not compiled: see ``postmap.build`` with ``alias=True``.

    CLI Example:

    .. code-block:: bash

        salt-call --local postalias.put root user
    """
    if get(name, path) == value:
        return False
    before = _read(path)
    line = f"{name}: {value}"
    after, count = _entry(name).subn(lambda _: line, before, count=1)
    if not count:
        after = before + ("" if before.endswith("\n") or not before else "\n") + line + "\n"
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
    with tempfile.NamedTemporaryFile(
        "w", dir=os.path.dirname(path), delete=False, encoding="utf-8", newline=""
    ) as new:
        new.write(after)
        os.fchmod(new.fileno(), mode)
    os.replace(new.name, path)
    return True


def _entry(name: str) -> re.Pattern[str]:
    return re.compile(_ENTRY.format(name=re.escape(name)), re.IGNORECASE | re.MULTILINE)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
