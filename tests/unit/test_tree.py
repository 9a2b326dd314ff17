# SPDX-License-Identifier: Apache-2.0
"""What holds for every file of the repository."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.checkout import ROOT

NOT_OURS = {".git", ".venv", ".cache", "dist", ".hypothesis", ".pytest_cache", ".ruff_cache", "__pycache__"}
# Whatever these write or print can end in dom0's log, which keeps printable ASCII only.
APPLIED = ("_modules", "_states", "_utils", "pillar", "postfix_smarthost")
WRITTEN = {".md", ".py", ".sls", ".rc", ".sh", ".jinja"}
MOST_LINES = 400


def tree() -> Iterator[Path]:
    """Each file but for caches and what is built, relative to the root."""
    for directory, names, file_names in os.walk(ROOT):
        names[:] = sorted(set(names) - NOT_OURS)
        # In a worktree, .git is a file.
        yield from (Path(directory, name).relative_to(ROOT) for name in sorted(set(file_names) - NOT_OURS))


def head(file: Path) -> str:
    """The first line after the line that names the interpreter, if there is one."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if not line.startswith("#!")), "")


def test_each_file_states_its_licence() -> None:
    without = [
        str(file)
        for file in tree()
        # Qubes reads the version as it is.
        if file.name not in ("LICENSE", "version") and "SPDX-License-Identifier: Apache-2.0" not in head(file)
    ]
    assert without == []


def test_what_is_applied_is_ascii() -> None:
    not_ascii = [
        str(file) for file in tree() if file.parts[0] in APPLIED and not (ROOT / file).read_bytes().isascii()
    ]
    assert not_ascii == []


def test_no_file_names_this_checkout() -> None:
    place = str(ROOT).encode()
    assert [str(file) for file in tree() if place in (ROOT / file).read_bytes()] == []


def is_written(file: Path) -> bool:
    """Tell whether a file is code or a document, by its name or by the interpreter that it names."""
    return file.suffix in WRITTEN or file.name == "Makefile" or (ROOT / file).read_bytes().startswith(b"#!")


def test_no_file_is_long() -> None:
    """What is about one subject fits; what does not fit is split by subject."""
    lines = {str(file): (ROOT / file).read_bytes().count(b"\n") for file in tree() if is_written(file)}
    assert len(lines) > 150
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
