# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Passwords of any shape."""

from tests.protections.protection import protect

_PASSWORDS = "tests/lab/test_passwords.py::test_password"

PROTECTIONS = (
    protect(
        "base64 and raw blocks, of which either alone would do",
        f"{_PASSWORDS}_of_any_shape_logs_in_at_its_relay",
        (
            'isinstance(account, dict) or "password_base64" in account',
            "isinstance(account, str) or True",
        ),
        (r'JINJA_MARK.sub(r"{%raw%}\g<0>{%endraw%}", value)', "value"),
    ),
    protect(
        "line breaks are refused",
        f"{_PASSWORDS}_that_cannot_be_held_or_seen_is_refused_in_a_sentence",
        ('re.search(r"[\\n\\r\\0]", value)', 're.search(r"[\\r\\0]", value)'),
    ),
    protect(
        "white space at the end is refused",
        f"{_PASSWORDS}_that_cannot_be_held_or_seen_is_refused_in_a_sentence",
        ('value[-1] in " \\t\\v\\f"', 'value[-1] in "\\v\\f"'),
    ),
    protect(
        "characters that cannot be seen are refused",
        "tests/unit/test_invisible_characters.py::test_place_is_told",
        ("if odd := odd_characters(value):", 'if odd := "":'),
    ),
    protect(
        "typographic quotation marks are refused",
        "tests/unit/test_invisible_characters.py::test_ends_quotes_and_look_alikes",
        ("if in_typographic_quotes(value):", "if not value:"),
    ),
    protect(
        "an unknown key is not shown",
        "tests/unit/test_schema.py::test_an_unknown_key_is_told_by_the_nearest_one_and_never_shown[account]",
        ('f"an unknown key{which}: "', 'f"an unknown key {text}{which}: "'),
    ),
    protect(
        "copies of what was made by hand are root's",
        "tests/unit/test_kept_copies.py::test_copies_are_never_open_to_others",
        (
            "copy), read(path), 0o600)",
            "copy), read(path), 0o644)",
        ),
    ),
)
