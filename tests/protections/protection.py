# SPDX-License-Identifier: Apache-2.0
"""What a protection is, where it stands in the formula, and how it is taken out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.checkout import ROOT

# Where what is taken out stands: its file is found by it.
FORMULA = ("_modules", "_states", "_utils", "pillar", "postfix_smarthost")


@dataclass(frozen=True)
class Protection:
    """A protection, and how to take it out.

    Args:
        what: it is, in a few words.
        test: what has to fail without it, as pytest names it.
        edits: what stands once in the formula, however it is laid out, and what is put in its place.

    """

    what: str
    test: str
    edits: tuple[tuple[str, str], ...]


def protect(what: str, test: str, *edits: tuple[str, str]) -> Protection:
    return Protection(what, test, edits)


def places(old: str, place: Path = ROOT) -> list[tuple[Path, re.Match[str]]]:
    """Return where a text stands in the formula, whatever white space and trailing commas a formatter has put in."""
    words = (re.escape(word) for word in re.findall(r"\w+|[^\w\s]", old))
    pattern = re.compile(r"\s*".join(r",?\s*" + word if word in (r"\)", r"\]") else word for word in words))
    files = (file for name in FORMULA for file in sorted((place / name).rglob("*")) if file.is_file())
    texts = ((file, file.read_text(encoding="utf-8")) for file in files if file.suffix != ".pyc")
    return [(file, found) for file, text in texts for found in pattern.finditer(text)]


def take_out(protection: Protection, place: Path) -> None:
    """Take a protection out of a copy of the checkout."""
    for old, new in protection.edits:
        found = places(old, place)
        if len(found) != 1:
            raise ValueError(f"{protection.what}: {old!r} stands {len(found)} times")
        file, where = found[0]
        text = where.string
        file.write_text(text[: where.start()] + new.strip() + text[where.end() :], encoding="utf-8")
