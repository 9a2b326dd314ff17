# SPDX-License-Identifier: Apache-2.0
"""A message that a mail host accepted: how the host keeps it, and what a test reads of it."""

from __future__ import annotations

import email
import email.message
import email.policy
import re
from dataclasses import dataclass
from functools import cached_property

# pipe(8) expands what is empty to an empty argument, and ${recipient} to one argument each.
KEEP = """\
#!/usr/bin/python3
import base64, json, os, sys, time
queue_id, login, address, helo, sender, *recipients = sys.argv[1:]
raw = sys.stdin.buffer.read()
kept = {"time": time.time(), "queue_id": queue_id, "login": login, "client_address": address, "helo": helo,
        "sender": sender, "recipients": recipients, "raw": base64.b64encode(raw).decode()}
path = f"/var/lib/kept/{time.time_ns():020}-{queue_id}"
with open(path + ".new", "w") as file:
    json.dump(kept, file)
os.rename(path + ".new", path + ".json")
"""


@dataclass(frozen=True)
class Mail:
    """A message that a host accepted.

    Args:
        login: who was logged in; "" if nobody.
        sender: envelope sender.
        recipients: envelope recipients.
        client_address: where it came from.
        helo: how the client named itself.
        queue_id: the host's name for it.
        raw: the message, with the host's own Received header on top.
        time: when, in seconds since the epoch.

    """

    login: str
    sender: str
    recipients: list[str]
    client_address: str
    helo: str
    queue_id: str
    raw: bytes
    time: float

    @cached_property
    def message(self) -> email.message.EmailMessage:
        """The message, parsed."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        return parsed

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"] or "")

    @property
    def tls(self) -> str:
        """The TLS protocol that it came by, as ``TLSv1.3``; "" if it came in clear."""
        found = re.search(r"\(using (TLSv[0-9.]+)", str((self.message.get_all("Received") or [""])[0]))
        return found[1] if found else ""
