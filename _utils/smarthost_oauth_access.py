# SPDX-License-Identifier: Apache-2.0
"""Give the access token of an account, or say in the user's words why there is none: for the proxy and for verify."""

from __future__ import annotations

import os
from typing import Any

from smarthost_errors import CommandExecutionError
from smarthost_in_use import by_xoauth2
from smarthost_oauth_endpoint import NoAnswer, reason
from smarthost_oauth_login import Refused
from smarthost_oauth_state import Used, noted
from smarthost_oauth_tokens import Keeper, NotAuthorized, load, path
from smarthost_places import Places


def not_authorized(address: str) -> str:
    """
    Say what to do where there are no tokens yet.

    address : str
        Of the account.
    """
    return f"not authorized yet: run postfix-smarthost authorize {address} in this qube"


def authorizations(places: Places) -> dict[str, dict[str, Any]]:
    """
    Return of each account whether there are tokens, and the ``kind``, ``reason`` and ``since`` of what is the matter.

    places : Places
        The paths of the system.
    """
    found = {}
    for address, about in by_xoauth2(places).items():
        nothing = {"kind": "", "reason": "", "since": 0}
        if load(path(places, about)) is None:
            found[address] = {
                "authorized": False,
                **nothing,
                "kind": "authorize",
                "reason": not_authorized(address),
            }
        else:
            # What was so before the user has agreed again is over.
            last = noted(places, address, ("smtp", "imap", "pop3"))
            over = os.stat(path(places, about)).st_mtime > last.get("last", 0)
            told = {} if over else {name: last[name] for name in nothing}
            found[address] = {"authorized": True, **nothing, **told}
    return found


def access_token(keeper: Keeper, address: str, about: dict[str, Any], known: Used, stale: str = "") -> str:
    """
    Return an access token.

    keeper : Keeper
        Who keeps the tokens.
    address : str
        Of the account.
    about : dict
        What is known of it.
    known : Used
        What the configuration says.
    stale : str
        A token that the server does not take.

    Raises Refused, also of the kind ``authorize``, when there is none.
    """
    try:
        return keeper.access(about, known.ca_file, ipv4=known.ipv4, stale=stale)
    except NotAuthorized:
        raise Refused("authorize", not_authorized(address)) from None
    except NoAnswer as problem:
        kinds = {"withdrawn": "authorize", "refused": "authorize", "unreached": "unreached"}
        ways_out = {
            "withdrawn": f": run postfix-smarthost authorize {address} again",
            "refused": ": check oauth in qubes.yaml",
        }
        kind = kinds.get(problem.kind, "server")
        raise Refused(kind, f"{problem.text}{ways_out.get(problem.kind, '')}") from None
    except CommandExecutionError as problem:
        raise Refused("server", str(problem).rstrip(".")) from None
    except OSError as problem:
        raise Refused("server", f"the new token cannot be kept: {reason(problem)}") from None
