# SPDX-License-Identifier: Apache-2.0
"""How the fetching of mail goes, from what its service has noted: ``smarthost_fetch``."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import smarthost_providers
from smarthost_fetchmailrc import FACTS
from smarthost_files import read_if_there, to_ascii
from smarthost_in_use import tables_in_use
from smarthost_places import SORTING, Places

_MOST = 500
_WAYS_OUT = {
    "network": "check the network of the qube (dom0: qvm-prefs QUBE netvm)",
    "postfix": "",
    "server": "check server, port and tls under fetch; for a server of your own see docs/relays.md",
    "program": "give its template packages: [fetchmail], apply postfix_smarthost to it, and restart this qube",
}


class Fetching(NamedTuple):
    """
    How the fetching of an account goes. Times are in seconds since the epoch, 0 for never.

    server, port, protocol
        Where its mail is.
    looked, fetched
        When the server let it look, and when there was a message.
    kind, reason, since
        Of what is the matter, each empty if nothing is.
    way_out
        What to do.
    """

    server: str
    port: int
    protocol: str
    looked: int = 0
    fetched: int = 0
    kind: str = ""
    reason: str = ""
    since: int = 0
    way_out: str = ""


def known(places: Places) -> dict[str, dict[str, Any]]:
    """
    Return the facts of each account whose mail is fetched, by its address; they hold no secret.

    places : Places
        The paths of the system.
    """
    tables = tables_in_use(places.config_dir)
    return (
        json.loads(read_if_there(os.path.join(places.of(SORTING[tables]), FACTS)) or "{}") if tables else {}
    )


def fetching(places: Places) -> dict[str, Fetching]:
    """
    Return how the fetching of each account goes.

    places : Places
        The paths of the system.
    """
    noted = _noted(places)
    found = {}
    for address, facts in known(places).items():
        about = noted.get(address)
        about = about if isinstance(about, dict) else {}
        kind, reason = (_text(about.get(key)) for key in ("kind", "reason"))
        found[address] = Fetching(
            *(facts[key] for key in ("server", "port", "protocol")),
            **{key: _number(about.get(key)) for key in ("looked", "fetched", "since")},
            kind=kind,
            reason=reason,
            way_out=way_out(kind, address, facts) if reason else "",
        )
    return found


def _noted(places: Places) -> dict[str, Any]:
    """Return what the service has noted: in a file of the user's, so that it may be anything."""
    if not os.path.isfile(places.fetching):
        return {}
    try:
        noted = json.loads(read_if_there(places.fetching) or "{}")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _text(value: object) -> str:
    return to_ascii(value)[:_MOST] if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def way_out(kind: str, address: str, facts: dict[str, Any]) -> str:
    """
    Return what to do about what is the matter with an account, "" if there is nothing.

    kind : str
        Its kind.
    address : str
        That of the account.
    facts : dict
        Of the account.
    """
    if facts.get("by_token") and kind not in ("postfix", "program"):
        # The reason says it.
        return ""
    if kind == "login":
        hint = smarthost_providers.password_hint(facts["relay"])
        return f"{hint}. Then fix qubes.yaml and apply" if hint else "fix qubes.yaml and apply"
    return _WAYS_OUT.get(kind, f"sudo journalctl -u postfix-smarthost-fetch says more of {address}")
