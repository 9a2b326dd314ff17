# SPDX-License-Identifier: Apache-2.0
"""
Names of mailboxes at an IMAP server, as the user sees them and as the server has them.

Pure functions. Sources: RFC 3501 5.1.3 on their form outside ASCII; imap.c of fetchmail 6.4 on what it quotes.
"""

from __future__ import annotations

import base64
import re

from smarthost_readers import Wrong, visible

_MOST = 255


def mailbox(value: object) -> str:
    """Read the name of a mailbox, as the server has it."""
    text = visible(value, " must be the name of a mailbox at the server, such as INBOX or Lists/Qubes")
    if re.search(r'["\\\x00-\x1f\x7f%*]', text) or len(text) > _MOST:
        raise Wrong(" holds a quotation mark, a backslash or a star, or is too long: name a mailbox")
    return _modified_utf_7(text)


def _modified_utf_7(text: str) -> str:
    """Return a name outside ASCII in the form of IMAP; what is ASCII already stays, as it may be in that form."""
    if text.isascii():
        return text
    return re.sub(r"&|[^ -~]+", lambda part: "&-" if part[0] == "&" else f"&{_base64(part[0])}-", text)


def _base64(text: str) -> str:
    data = base64.b64encode(text.encode("utf-16-be")).decode("ascii")
    return data.rstrip("=").replace("/", ",")
