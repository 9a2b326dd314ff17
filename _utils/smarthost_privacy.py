# SPDX-License-Identifier: Apache-2.0
"""
What is taken out of mail that leaves the qube: its host name, its users, its programs.

Pure functions. Sources: header_checks(5), generic(5), regexp_table(5).
"""

from __future__ import annotations

import re
from typing import Any

HOST_NAME = "localhost.localdomain"


def header_checks(record: dict[str, Any], hostname: str) -> str:
    """Take the qube's own hops, its host name, its users and its programs out of what leaves it."""
    inside = _inside(hostname)
    rules = [
        f"/^Received:.*[[:space:]]by {inside}[[:space:]]/ IGNORE\n",
        "/^(User-Agent|X-Mailer|X-Originating-IP|X-Sender|X-X-Sender):/ IGNORE\n",
        # In what was delivered here before.
        "/^(Delivered-To|X-Original-To):/ IGNORE\n",
        # sendmail(1) puts the name of the user before the address.
        f"/^From:[[:space:]]+(root|{record['user']})[[:space:]]+(<.*)/ REPLACE From: $2\n",
    ]
    # Only the first rule that matches a header acts on it: each takes one more local message ID than the next.
    for count in range(5, 0, -1):
        rest = "".join(f"@{HOST_NAME}>${{{3 * number + 5}}}" for number in range(count))
        pattern = "^((Message-ID|Resent-Message-ID|In-Reply-To|References):.*)" + f"@{inside}>(.*)" * count
        rules.append(f"/{pattern}/ REPLACE $1{rest}\n")
    return "".join(rules)


def generic(record: dict[str, Any], hostname: str) -> str:
    """Let the default account stand for any address inside a qube, in headers and envelopes that leave it."""
    address = record["accounts"][0]["address"].replace("$", "$$")
    patterns = ["[^@]+(@[^@.]+(\\.localdomain)?)?"]
    if "." in hostname:
        # Only these: the rest could be somebody's real domain.
        patterns.append(f"(root|{record['user']})@{literal(hostname)}")
    return "".join(f"/^{pattern}$/ {address}\n" for pattern in patterns)


def forwarded_sender(record: dict[str, Any]) -> str:
    """Let the default account stand for the sender of what an alias sends on, but not for that of a report, <>."""
    address = record["accounts"][0]["address"].replace("$", "$$")
    return f"/@/ {address}\n"


def _inside(hostname: str) -> str:
    """
    Return a pattern of host names inside a qube, with two groups.

    A clone, a disposable and a qube that was renamed have another name than the plan knows: it is any without a dot.
    """
    own = f"|{literal(hostname)}" if "." in hostname else ""
    return f"([^@.>[:space:]]+(\\.localdomain)?{own})"


def literal(text: str) -> str:
    """Quote a host name or the like for regular expressions, those of procmail(1) and POSIX."""
    return re.sub(r"([.+])", r"\\\1", text)
