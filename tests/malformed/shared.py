# SPDX-License-Identifier: Apache-2.0
"""What the malformed pillars share: records with one change, and parts of sentences."""

from typing import Any

from tests.samples import ALICE

# A name, the pillar key postfix_smarthost, and all its sentences.
Case = tuple[str, Any, tuple[str, ...]]

ACCOUNT = "Account 1 (alice@example.com)"
NOT_AN_ADDRESS = "is not a mail address like your.mail@example.com."
LINE_BREAK = "holds U+000A (a line break) as character {}, which cannot be seen or told apart: type it anew."


def alice(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A record with one account; a change to None takes the key out."""
    return {"accounts": [{key: value for key, value in (ALICE | changes).items() if value is not None}]}


def record(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"accounts": [ALICE], **changes}
