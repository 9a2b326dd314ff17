# SPDX-License-Identifier: Apache-2.0
"""
Give the access token of an account, replaced in time, or say in the user's words why there is none.

Source: RFC 6749 5.1 and 6.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from smarthost_errors import CommandExecutionError
from smarthost_oauth_endpoint import NoAnswer, ask, reason
from smarthost_oauth_login import Refused
from smarthost_oauth_state import Used, not_authorized
from smarthost_oauth_tokens import Room, Tokens, alone, load, path
from smarthost_places import Places

# In seconds: an access token that lasts no longer than that is replaced; how long a refusal of the provider holds.
_LEFT = 300
_REFUSED = 900
_USUAL_LIFE, _LONGEST_LIFE = 3600, 86400
# RFC 6750 2.1, and nothing that ends a field of XOAUTH2.
_TOKEN = re.compile(r"[!-~]{1,16384}")


class NotAuthorized(Exception):  # noqa: N818 - it is for the user to do it
    """There are no tokens yet."""


def needed(places: Places, about: dict[str, Any]) -> bool:
    """Tell whether the access token of an account is to be replaced before it is used."""
    tokens = load(path(places, about))
    return tokens is not None and not _lasts(tokens)


def _lasts(tokens: Tokens) -> bool:
    return tokens.expires - time.time() > _LEFT


def taken(answer: dict[str, Any], host: str, refresh: str = "") -> Tokens:
    """
    Return the tokens in the answer of an endpoint.

    answer : dict
        It.
    host : str
        Who gave it.
    refresh : str
        The refresh token that holds if there is no other.

    Raises NoAnswer when there are none.
    """
    access, new = answer.get("access_token"), answer.get("refresh_token", refresh)
    for token, name in ((access, "access token"), (new, "refresh token")):
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise NoAnswer("trouble", f"{host} gives no {name} that can be used")
    try:
        life = int(answer.get("expires_in", _USUAL_LIFE))
    except (TypeError, ValueError):
        life = _USUAL_LIFE
    return Tokens(str(new), str(access), int(time.time()) + min(max(life, 1), _LONGEST_LIFE))


class Keeper:
    """
    Who gives the proxy the access tokens, and has them replaced in time.

    places : Places
        The paths of the system.
    """

    def __init__(self, places: Places) -> None:  # noqa: D107 - the class says it
        self._places = places
        # What a provider has refused, by the file, its time, and until when: it is not asked again at each message.
        self._refused: dict[str, tuple[int, float, NoAnswer]] = {}

    def access(self, about: dict[str, Any], ca_file: str, *, ipv4: bool, stale: str = "") -> str:
        """
        Return an access token of an account.

        about : dict
            What the proxy knows of it.
        ca_file : str
            The system's CA certificates.
        ipv4 : bool
            Whether IPv6 is not to be tried.
        stale : str
            One that the server does not take.

        Raises NotAuthorized, NoAnswer; OSError when a new one cannot be written; CommandExecutionError when another
        one takes too long.
        """
        file = path(self._places, about)
        with alone(self._places, about):
            tokens = load(file)
            if tokens is None:
                raise NotAuthorized
            if tokens.access != stale and _lasts(tokens):
                return tokens.access
            changed = os.stat(file).st_mtime_ns
            before, until, why = self._refused.get(file, (0, 0.0, None))
            if why and before == changed and time.monotonic() < until:
                raise why
            try:
                return self._replace(file, tokens, about, ca_file, ipv4=ipv4)
            except NoAnswer as problem:
                if problem.kind in ("withdrawn", "refused"):
                    self._refused[file] = (changed, time.monotonic() + _REFUSED, problem)
                raise

    def _replace(self, file: str, tokens: Tokens, about: dict[str, Any], ca_file: str, *, ipv4: bool) -> str:
        room = Room(file)
        try:
            answer = ask(
                about["token_endpoint"],
                {
                    "grant_type": "refresh_token",
                    "client_id": about["client_id"],
                    "client_secret": about["client_secret"],
                    "refresh_token": tokens.refresh,
                    "scope": about["scope"],
                },
                ca_file,
                ipv4=ipv4,
            )
            new = taken(answer, about["token_endpoint"].split("/")[2], tokens.refresh)
            room.fill(new)
            return new.access
        finally:
            room.leave()


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
