# SPDX-License-Identifier: Apache-2.0
"""Searches a whole machine for a text that only few files may hold."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .qube import Machine


def forms(*texts: str) -> list[str]:
    """Return texts and what base64 makes of them, wherever in a longer text they stand."""
    found = []
    for text in texts:
        found.append(text)
        for before in range(3):
            encoded = base64.b64encode(b"\0" * before + text.encode()).decode()
            # Those letters that depend on the text alone.
            found.append(encoded[(0, 2, 3)[before] :].rstrip("=")[:-1])
    return found


# Searches all files of a machine that were made or changed since a time, also in what gzip(1) made, as root; prints
# path, mode and owner, and whether anybody else can get at it. Older files are of the root filesystem, and no password
# is as old as the lab.
_SCAN = """\
import gzip, io, json, os, stat, sys, zlib
wanted = [word.encode() for word in json.loads(sys.stdin.read())]
since, others = float(sys.argv[1]), {"/proc", "/sys", "/run/lab"}
found = {}
def closed(path):
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o011:
            return True
    return False
def contents(path):
    with open(path, "rb") as file:
        data = file.read()
    yield data
    if data.startswith(b"\\x1f\\x8b"):
        try:
            yield gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            yield zlib.decompressobj(31).decompress(data)
for where, directories, files in os.walk("/"):
    directories[:] = [name for name in directories if os.path.join(where, name) not in others]
    for name in files:
        path = os.path.join(where, name)
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_ctime < since:
                continue
            hit = any(word in data for data in contents(path) for word in wanted)
        except FileNotFoundError:
            continue
        if hit:
            private = (not stat.S_IMODE(status.st_mode) & 0o077 or closed(path)) and status.st_uid == 0
            found[path] = [format(stat.S_IMODE(status.st_mode), "04o"), status.st_uid, status.st_gid, private]
json.dump(found, sys.stdout)
"""


def holding(machine: Machine, *texts: str) -> dict[str, list[Any]]:
    """Return all files of a running machine that hold one of some texts: path -> mode, user, group, private."""
    done = machine.run(
        "python3", "-c", _SCAN, str(machine.lab.began), stdin=json.dumps(forms(*texts)), timeout=120
    )
    return json.loads(done.stdout)
