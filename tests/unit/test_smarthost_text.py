# SPDX-License-Identifier: Apache-2.0
"""smarthost_text: what cannot be seen or told apart is named with its place; letters of any script are not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smarthost_text import in_typographic_quotes, odd_characters

ODD = {
    "no-break space": ("pass\u00a0word", "U+00A0 (NO-BREAK SPACE) as character 5"),
    "zero width space": ("\u200bx", "U+200B (ZERO WIDTH SPACE) as character 1"),
    "byte order mark": ("\ufeffx", "U+FEFF (ZERO WIDTH NO-BREAK SPACE) as character 1"),
    "soft hyphen": ("pass\u00adword", "U+00AD (SOFT HYPHEN) as character 5"),
    "writing direction": (
        "\u202ex\u202c",
        "U+202E (RIGHT-TO-LEFT OVERRIDE) as character 1 and U+202C (POP DIRECTIONAL FORMATTING) as character 3",
    ),
    "isolate": ("x\u2067", "U+2067 (RIGHT-TO-LEFT ISOLATE) as character 2"),
    "word joiner": ("x\u2060y", "U+2060 (WORD JOINER) as character 2"),
    "ideographic space": ("x\u3000", "U+3000 (IDEOGRAPHIC SPACE) as character 2"),
    "narrow no-break space": ("1\u202f000", "U+202F (NARROW NO-BREAK SPACE) as character 2"),
    "line separator": ("x\u2028", "U+2028 (LINE SEPARATOR) as character 2"),
    "tabulator": ("a\tb", "U+0009 (a tabulator) as character 2"),
    "escape": ("\x1b[31m", "U+001B (a control character) as character 1"),
    "control of ISO 8859-1": ("a\x85", "U+0085 (a control character) as character 2"),
    "variation selector": ("\u2764\ufe0f", "U+FE0F (VARIATION SELECTOR-16) as character 2"),
    "filler": ("a\u3164", "U+3164 (HANGUL FILLER) as character 2"),
    "blank of Braille": ("\u2800a", "U+2800 (BRAILLE PATTERN BLANK) as character 1"),
    "tag": ("a\U000e0041", "U+E0041 (TAG LATIN CAPITAL LETTER A) as character 2"),
    "replacement": ("a\ufffd", "U+FFFD (REPLACEMENT CHARACTER) as character 2"),
    "full width": ("\uff41b", "a full-width character as character 1"),
    "an accent by itself": (
        "caf" + "e\u0301",
        "a letter in another form than the usual one (Unicode's NFC) as character 4",
    ),
    "a sign for a letter": (
        "x\u212b",
        "a letter in another form than the usual one (Unicode's NFC) as character 2",
    ),
    "many": (
        "\u200b" * 5,
        "U+200B (ZERO WIDTH SPACE) as character 1, U+200B (ZERO WIDTH SPACE) as character 2, U+200B (ZERO WIDTH SPACE)"
        " as character 3 and 2 more",
    ),
}


@pytest.mark.parametrize(("text", "words"), ODD.values(), ids=ODD)
def test_what_cannot_be_seen_is_named_with_its_place(text: str, words: str) -> None:
    assert odd_characters(text) == words


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "two  blanks", "{{ x }}", "".join(map(chr, range(0x20, 0x7F)))),
        *(
            "\u00e4\u00f6\u00fc\u00df",
            "\u0142\u0105\u017a",
            "\u0438\u0439",
            "\u65e5\u672c\u8a9e",
            "\u3053\u3093",
        ),
        # Marks that have no composed form belong to their script.
        *("\u05d0\u05b0", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e44\u0e17\u0e22\u0e49", "\u0623\u064e"),
        *("\U0001f511", "\u20ac\u00a3\u00a7", "it\u2019s", "\uac00"),
    ],
)
def test_letters_of_any_script_are_not_odd(text: str) -> None:
    assert odd_characters(text) == ""


@given(st.text(max_size=40))
def test_words_are_ascii_and_hold_no_letter_of_the_text(text: str) -> None:
    words = odd_characters(text)
    assert words.isascii()
    seen = {c for c in text if unicodedata.category(c)[0] in "LN" and not c.isascii()}
    assert not any(
        unicodedata.name(c, "?") in words for c in seen if ord(c) not in (0x115F, 0x1160, 0x3164, 0xFFA0)
    )


@pytest.mark.parametrize(
    "text",
    [
        "\u201csecret\u201d",
        "\u2018secret\u2019",
        "\u201esecret\u201c",
        "\u00absecret\u00bb",
        "\u201asecret",
        "x\u201d",
    ],
)
def test_typographic_quotes_around(text: str) -> None:
    assert in_typographic_quotes(text)


@pytest.mark.parametrize("text", ["", "'secret'", '"secret"', "it\u2019s", "a\u201cb\u201dc", "`x`"])
def test_other_quotes(text: str) -> None:
    assert not in_typographic_quotes(text)
