# SPDX-License-Identifier: Apache-2.0
"""What the proxy that logs in with tokens works by, and what it has noted of each account."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import Any, NamedTuple

from smarthost_files import read_if_there, rewrite
from smarthost_in_use import by_xoauth2, parameter, users
from smarthost_oauth_tokens import load, path
from smarthost_places import Places


class Used(NamedTuple):
    """
    What the configuration in use says.

    accounts
        What is known of each account, by its address; with client secrets.
    ca_file
        The system's CA certificates.
    ipv4
        Whether IPv6 is not used.
    reader
        The user who may fetch mail.
    """

    accounts: dict[str, dict[str, Any]]
    ca_file: str
    ipv4: bool
    reader: str


def used(places: Places) -> Used:
    """
    Read what the configuration in use says of the accounts that log in by XOAUTH2; root alone can.

    places : Places
        The paths of the system.
    """
    return Used(
        accounts=by_xoauth2(places),
        ca_file=parameter(places, "smtp_tls_CAfile"),
        ipv4=parameter(places, "inet_protocols") == "ipv4",
        reader=next((user.pw_name for user in users(places)), ""),
    )


class Board:
    """
    What is the matter with each account, in a file for root and for the user whose mail is fetched.

    places : Places
        The paths of the system.
    """

    def __init__(self, places: Places) -> None:  # noqa: D107 - the class says it
        self._path = os.path.join(places.oauth_dir, "state.json")
        self._told: dict[str, dict[str, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def works(self, address: str, protocol: str) -> None:
        """Note that an account has been let in."""
        with self._lock:
            if self._told.get(address, {}).pop(protocol, None):
                print(f"{address}: logged in by {protocol} again", flush=True)
                self._write()

    def fails(self, address: str, protocol: str, kind: str, text: str) -> None:
        """Note what is the matter; what is new is logged, too."""
        with self._lock:
            about = self._told.setdefault(address, {})
            before = about.get(protocol, {})
            if before.get("reason") != text:
                print(f"{address}: {text}", flush=True)
            now = time.time()
            since = before.get("since", int(now))
            about[protocol] = {"kind": kind, "reason": text, "since": since, "last": now}
            self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            rewrite(self._path, json.dumps(self._told), 0o600)
        # A group that systemd has put it into: of what it has named, others are to know nothing.
        for group in os.getgroups():
            if group != os.getegid():
                with contextlib.suppress(OSError):
                    os.chown(self._path, -1, group)
                    os.chmod(self._path, 0o640)


def noted(places: Places, address: str, protocols: tuple[str, ...]) -> dict[str, Any]:
    """
    Return what is the matter with an account, {} if nothing is: ``kind``, ``reason``, ``since`` and ``last``.

    places : Places
        The paths of the system.
    address : str
        Of the account.
    protocols : tuple
        Those that count, ``smtp``, ``imap`` and ``pop3``: the first one with which something is the matter.
    """
    try:
        told = json.loads(read_if_there(os.path.join(places.oauth_dir, "state.json")) or "{}")
    except ValueError:
        return {}
    about = told.get(address, {})
    return next((about[protocol] for protocol in protocols if protocol in about), {})


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


def not_authorized(address: str) -> str:
    """
    Say what to do where there are no tokens yet.

    address : str
        Of the account.
    """
    return f"not authorized yet: run postfix-smarthost authorize {address} in this qube"
