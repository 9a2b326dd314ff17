# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md, Tokens."""

from tests.protections.protection import protect

_CORE = "tests/lab/test_oauth.py::test"
_TOKENS = "tests/lab/test_oauth_tokens.py::test"
_TROUBLE = "tests/lab/test_oauth_trouble.py::test"

PROTECTIONS = (
    protect(
        "tokens: whose connection it is",
        f"{_CORE}_only_postfix_may_use_it",
        ("if not _is(client, door.allowed):", "if False:"),
    ),
    protect(
        "tokens: the name of the relay",
        f"{_TROUBLE}_another_relay_is_shown_no_token[olive@office.test-wrong-name]",
        (
            "        context.load_verify_locations(ca_file)\n",
            "        context.load_verify_locations(ca_file)\n        context.check_hostname = False\n",
        ),
    ),
    protect(
        "tokens: room before the provider is asked",
        f"{_TROUBLE}_full_disk_loses_no_token",
        (
            "        room = Room(file)\n        try:\n            answer = ask(",
            "        try:\n            answer = ask(",
        ),
        (
            "            room.fill(new)\n            return",
            "            room = Room(file)\n            room.fill(new)\n            return",
        ),
    ),
    protect(
        "tokens: a provider that has said no is left alone",
        f"{_TROUBLE}_authorization_that_is_withdrawn",
        ('if problem.kind in ("withdrawn", "refused"):', "if False:"),
    ),
    protect(
        "tokens: they are for the user of the account",
        f"{_TOKENS}_user_of_another_account_is_found_out",
        ('if refused.kind == "login":', "if False:"),
    ),
    protect(
        "tokens: the state of the page",
        f"{_TOKENS}_page_in_a_browser[1]",
        (
            'if not secrets.compare_digest(fields.get("state", "").encode(), state.encode()):',
            "if not fields:",
        ),
    ),
)
