# SPDX-License-Identifier: Apache-2.0
"""
Take the lines out of rc.local that started a Postfix set up by hand, now that the boot script does it.

Which lines these are, ``smarthost_by_hand`` knows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Any

from salt.exceptions import CommandExecutionError

RC_LOCAL = "/rw/config/rc.local"


def take_over(path: str = RC_LOCAL, test: bool = False) -> dict[str, Any]:
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

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_rc_local.take_over test=True
    """
    text = _read(path)
    found = __salt__["smarthost_by_hand.rc_local"](text)
    if found["removed"] and not _is_shell(found["text"]) and _is_shell(text):
        found = {"removed": 0, "related": __salt__["smarthost_by_hand.rc_local_lines"](text)}
    if found["removed"] and not test:
        try:
            _rewrite(path, found["text"])
        except OSError as problem:
            raise CommandExecutionError(f"{path} cannot be written: {problem.strerror}.") from None
    notes = [
        f"{path} still mounts or starts Postfix by itself: take line {number} out."
        for number in found["related"]
    ]
    return {"changes": {"removed": found["removed"]} if found["removed"] else {}, "notes": notes}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError:
        return ""


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


def _rewrite(path: str, text: str) -> None:
    """Replace the text of a file, and keep its owner and mode."""
    path = os.path.realpath(path)
    new = f"{path}.postfix_smarthost"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    try:
        shutil.copy2(path, new)
        status = os.stat(path)
        os.chown(new, status.st_uid, status.st_gid)
        with open(new, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
