# SPDX-License-Identifier: Apache-2.0
"""Write ``_utils/smarthost_provider_sheet.py`` from a sheet of facts: ``python -m tools.providers SHEET``.

The sheet has a line for each mail domain: domain, relay, port, TLS (``implicit`` or ``starttls``), form of the user
name (``address``, ``local part`` or ``other``), kind of login (``password``, ``oauth2-or-password`` or
``oauth2-only``), then host, port and TLS of its IMAP server and of its POP3 server, ``-`` where it has none, with tabs
between them. Lines that begin with ``#`` are not used. It is made from Thunderbird's ISP database, with the best TLS
that a provider has. Of that only these facts are kept, and no text.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ROOT / "_utils/smarthost_provider_sheet.py"

_HEAD = '''\
# SPDX-License-Identifier: Apache-2.0
"""
How providers of mail are reached, from a sheet: written by ``python -m tools.providers``, not by hand.

For each relay a line of its port, TLS mode, form of the user name and kind of login, and of how mail is fetched
(protocol, host, port, TLS mode), then its domains. Facts on {count} domains from Thunderbird's ISP database
(github.com/thunderbird/autoconfig, commit c6ad796 of 2026-03-12, which is under the Mozilla Public License 2.0); what
is added by hand is in ``smarthost_providers``.
"""

SHEET = """\\
'''


_TLS = ("implicit", "starttls")


class SheetError(Exception):
    """A line of the sheet that is not as expected."""


def groups(sheet: str) -> dict[tuple[str, ...], list[str]]:
    """Return the domains by what holds for them: relay, port, TLS mode, user name and login.

    Args:
        sheet: the text of the sheet.

    Raises:
        SheetError: a line has a value that is not known, or a domain comes twice.

    """
    found: dict[tuple[str, ...], list[str]] = {}
    seen: set[str] = set()
    for number, line in enumerate(sheet.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        domain, relay, port, tls, username, login, *servers = line.split("\t")
        fetched = _fetched(servers)
        known = (
            fetched is not None
            and port.isdecimal()
            and tls in _TLS
            and username in ("address", "local part", "other")
            and login in ("password", "oauth2-or-password", "oauth2-only")
            and domain == domain.lower()
            and domain not in seen
        )
        if not known:
            raise SheetError(f"line {number} is not as expected")
        seen.add(domain)
        facts = (relay, port, tls, username.replace(" ", "-"), login, *(fetched or ()))
        found.setdefault(facts, []).append(domain)
    return {facts: sorted(found[facts]) for facts in sorted(found)}


def _fetched(servers: list[str]) -> tuple[str, ...] | None:
    """Return how mail is fetched, by IMAP if that can be had; None where a line is not as expected."""
    if len(servers) != 6:
        return None
    for protocol, (host, port, tls) in (("imap", servers[:3]), ("pop3", servers[3:])):
        if host != "-":
            return (protocol, host, port, tls) if port.isdecimal() and tls in _TLS else None
    return ()


def written(sheet: str) -> str:
    """Return the text of the module.

    Args:
        sheet: the text of the sheet.

    """
    parts = groups(sheet)
    lines = []
    for facts, domains in parts.items():
        lines.append(" ".join(facts))
        lines += textwrap.wrap(" ".join(domains), 100, initial_indent=" ", subsequent_indent=" ")
    return _HEAD.format(count=sum(map(len, parts.values()))) + "\n".join(lines) + '\n"""\n'


if __name__ == "__main__":
    WRITTEN.write_text(written(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
