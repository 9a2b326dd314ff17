# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md and docs/field.md name tests: each of them is there."""

import ast
import re
from pathlib import Path

from tests.checkout import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
FIELD = (ROOT / "docs/field.md").read_text(encoding="utf-8")


def functions(path: Path) -> set[str]:
    """The names of the functions of a file."""
    return {
        item.name
        for item in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(item, ast.FunctionDef)
    }


def test_each_test_that_is_named_exists() -> None:
    named = set(re.findall(r"(tests/\w+/\w+\.py)::(\w+)", TEXT + FIELD))
    assert len(named) > 80
    assert [f"{path}::{name}" for path, name in sorted(named) if name not in functions(ROOT / path)] == []


def test_each_row_of_a_case_has_its_test() -> None:
    tables = TEXT.partition("## What holds each promise")[2]
    rows = [
        line
        for line in tables.splitlines()
        if line.startswith("| ") and not line.startswith(("| Case", "| ---"))
    ]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"::test_\w+|\| the same", row)] == []
