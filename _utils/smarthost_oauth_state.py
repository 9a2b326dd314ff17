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
    What is the matter with each account, in a file; no secret is in it.

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
            rewrite(self._path, json.dumps(self._told), 0o644)


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
