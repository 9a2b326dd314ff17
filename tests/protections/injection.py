# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Injection."""

from tests.protections.protection import protect

_UNIT = "tests/unit/test_smarthost_pillar.py::test"

PROTECTIONS = (
    protect(
        "raw blocks around Jinja marks of other texts",
        "tests/functional/test_pillar.py::test_any_text_arrives_as_it_was_written",
        (r'JINJA_MARK.sub(r"{%raw%}\g<0>{%endraw%}", value)', "value"),
    ),
    protect(
        "control characters in a user name are refused",
        f"{_UNIT}_a_malformed_pillar",
        ('re.search(r"[\\x00-\\x1f\\x7f]", value)', "False"),
        ('raise Wrong(f" holds {odd}, which', 'return (f" holds {odd}, which'),
    ),
    protect(
        "what a host name may be",
        f"{_UNIT}_a_malformed_pillar",
        ("not _HOST.fullmatch(text)", "not text.strip()"),
    ),
    protect(
        "what a folder may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "not _FOLDER.fullmatch(text)",
            "not text",
        ),
    ),
    protect(
        "what a list may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            "match = _LIST_ID.fullmatch(text)",
            'match = re.match("(.*)", text)',
        ),
    ),
    protect(
        "what a user may be",
        f"{_UNIT}_a_malformed_pillar",
        (
            'isinstance(value, str) and _USER.fullmatch(value) and value != "root"',
            "isinstance(value, str)",
        ),
    ),
)
