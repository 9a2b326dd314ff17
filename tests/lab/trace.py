# SPDX-License-Identifier: Apache-2.0
"""The programs that ran in a machine, as strace(1) records them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A line of execve(2) of strace(1): the process, the words, and how it ends or where it is broken off.
_EXECVE = re.compile(r'(\d+) +execve\("(?:[^"\\]|\\.)*", \[(.*)\], (.*)')
_RESUMED = re.compile(r"(\d+) +<\.\.\. execve resumed>.* = (.*)")


def traced(record: Path, command: list[str]) -> list[str]:
    """Return a command that runs ``command`` and records each execve(2) of it and of what it starts."""
    options = ["-f", "-qq", "--seccomp-bpf", "-s", "65535", "-e", "trace=execve", "-A", "-o", str(record)]
    return ["strace", *options, *command]


def executed(trace: Path) -> list[list[str]]:
    """Return the command lines in what strace(1) wrote of execve(2), from each root shell on.

    What two processes do at once is broken off and resumed on a line of its own. Only what is said to have failed is
    left out.
    """
    found: dict[int, list[str]] = {}
    broken_off: dict[str, int] = {}
    for number, line in enumerate(trace.read_text(encoding="utf-8", errors="replace").splitlines()):
        if resumed := _RESUMED.match(line):
            begun = broken_off.pop(resumed[1], None)
            if resumed[2].startswith("-1 "):
                found.pop(begun, None)
            continue
        match = _EXECVE.match(line)
        if not match or not match[3].endswith((" = 0", " ...>")):
            continue
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', match[2])
        if words[:1] == ["nsenter"] or words[:2] == ["env", "--chdir=/"]:
            continue
        found[number] = [
            word.encode("latin-1", "replace").decode("unicode_escape", "replace") for word in words
        ]
        if match[3].endswith(" ...>"):
            broken_off[match[1]] = number
    return list(found.values())
