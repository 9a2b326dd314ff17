# SPDX-License-Identifier: Apache-2.0
"""The lab's mail accounts: who they are at their providers, and as records in a pillar."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from typing import Any

RECIPIENTS = "recipients.test"
"""A domain with an MX that tests send mail to."""

RECIPIENT = f"rita@{RECIPIENTS}"


@dataclass(frozen=True)
class Account:
    """An account at a mail provider.

    Args:
        address: the sender address that it is for.
        relay: host name of the provider's submission server.
        password: its password.
        port: 587 (STARTTLS) or 465 (implicit TLS).
        username: what it logs in with; "" is the address.

    """

    address: str
    relay: str
    password: str
    port: int = 587
    username: str = ""

    @property
    def login(self) -> str:
        """What it logs in with."""
        return self.username or self.address

    def record(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return its record for the pillar.

        Args:
            more: keys to add or replace.

        """
        record: dict[str, Any] = {"address": self.address, "relay": self.relay}
        record |= {} if self.port == 587 else {"port": self.port}
        record |= {"username": self.username} if self.username else {}
        return record | {"password": self.password} | more


ALICE = Account("alice@a.test", "smtp.a.test", "first word: #alice")
ANN = Account("ann@a.test", "smtp.a.test", "anns-own-password")
BOB = Account("bob@b.test", "smtp.b.test", 'bob\'s "quoted" \\ pass', port=465, username="bob.login")

SALLY = Account("sally@slow.test", "smtp.slow.test", "sallys-own-password")

PROVIDERS = {"smtp.a.test": (ALICE, ANN), "smtp.b.test": (BOB,), "smtp.slow.test": (SALLY,)}
"""The mail providers that each lab can have, and who has an account there."""

_count = itertools.count(1)


def pillar(*accounts: Account | dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the pillar of a qube with some accounts.

    Args:
        accounts: accounts, or records.
        more: further keys beside ``accounts``.

    """
    records = [account.record() if isinstance(account, Account) else account for account in accounts]
    return {"postfix_smarthost": {"accounts": records, **more}}


def unique(what: str = "message") -> str:
    """Return a subject, or a name, that nothing else has."""
    return f"{what}-{next(_count)}-{secrets.token_hex(3)}"
