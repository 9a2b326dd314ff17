# SPDX-License-Identifier: Apache-2.0
"""
Tell the characters of a text that cannot be seen, or look like others: what is pasted from a page often holds some.

Pure functions: no file, no program and no Salt dunder is touched.

Sources: the Unicode Character Database (UAX 44) for categories and names, UAX 15 for the composed form;
DerivedCoreProperties.txt for what is not shown (Default_Ignorable_Code_Point) and is of no category that says so.
"""

from __future__ import annotations

import unicodedata

# Format and control characters, and separators: neither letters nor marks of any script. "Cn" is left out, since a
# letter of tomorrow's Unicode is of it today.
_UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Letters, marks and symbols by category that show nothing: fillers, joiners, variation selectors, a blank of Braille.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_REPLACEMENT = 0xFFFD
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_SHOWN = 3


def odd_characters(text: str) -> str:
    r"""
    Name what a text holds that cannot be seen, or looks like another character.

    text : str
        Any text; a plain blank, and letters of any script, are not odd.

    Returns words in ASCII such as ``U+00A0 (NO-BREAK SPACE) as character 5``, an empty text if there is none. They hold
    nothing else of the text, and no letter of it.

    CLI Example:

    .. code-block:: bash

        python3 -c 'import smarthost_text; print(smarthost_text.odd_characters("a\u00a0b"))'
    """
    found = [
        f"{_name(character)} as character {position}"
        for position, character in enumerate(text, 1)
        if _is_odd(character)
    ]
    if not found and (position := _composed_otherwise(text)):
        found = [f"a letter in another form than the usual one (Unicode's NFC) as character {position}"]
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"{len(found) - _SHOWN} more"]
    return " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)


def in_typographic_quotes(text: str) -> bool:
    """
    Tell whether a text begins or ends with a quotation mark that a word processor makes, such as U+201C.

    text : str
        Any text.
    """
    marks = [text[:1], text[-1:]] if text else []
    return any(_is_quotation_mark(mark) for mark in marks)


def _is_quotation_mark(character: str) -> bool:
    # The low ones open a quotation in German and Polish, and are punctuation of the category "open".
    return unicodedata.category(character) in ("Pi", "Pf") or character in "\u201a\u201e"


def _is_odd(character: str) -> bool:
    number = ord(character)
    if character == " " or 0x20 < number < 0x7F:
        return False
    return (
        unicodedata.category(character) in _UNSEEN
        or number in _BLANK
        or number == _REPLACEMENT
        or number in _FULL_WIDTH
        or any(number in selectors for selectors in _SELECTORS)
    )


def _composed_otherwise(text: str) -> int:
    """Return the place, from 1, of the first character that the composed form (NFC) has another one for, or 0."""
    composed = unicodedata.normalize("NFC", text)
    if composed == text:
        return 0
    pairs = zip(text, composed, strict=False)
    return next((place for place, (one, other) in enumerate(pairs, 1) if one != other), len(composed) + 1)


def _name(character: str) -> str:
    """Name what cannot be seen; what can be is part of the password, and is not named."""
    if ord(character) in _FULL_WIDTH:
        return "a full-width character"
    # Control characters have no name.
    otherwise = {"\n": "a line break", "\t": "a tabulator"}.get(character, "a control character")
    return f"U+{ord(character):04X} ({unicodedata.name(character, otherwise)})"
