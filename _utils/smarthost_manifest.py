# SPDX-License-Identifier: Apache-2.0
"""
What there is in a directory of tables: a line a fact, for the boot script and for the next apply.

It is as private as the tables: from the digest of a login, a weak password could be guessed.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Container
from typing import Any, NamedTuple

from smarthost_relays import without_zeros

NAME = "manifest"
# What the boot script may do besides, as ``allowed`` has it.
DISPOSABLES, NOTIFICATIONS = "disposables", "notifications"


class Switch(enum.Enum):
    """What a change of the configuration needs of a Postfix that runs."""

    RELOAD = "reload"
    RESTART = "restart"


class Sender(NamedTuple):
    """
    How the mail of one sender leaves.

    way
        The transport and its nexthop, as in ``sender_dependent_default_transport_maps``.
    account
        A digest of all that the account says, the login included.
    """

    way: str
    account: str


class Manifest(NamedTuple):
    """
    What a configuration consists of.

    type
        The type of its tables, ``auto`` for what the installed Postfix prefers.
    tables
        The names of the lookup tables that are compiled.
    relays
        Host name and port of each relay.
    senders
        How the mail of each leaves.
    allowed
        What the boot script may do besides: ``DISPOSABLES``, ``NOTIFICATIONS``, and ``XOAUTH2``,
        for which it starts the proxy that logs in with tokens.
    named
        The files whose lists of the qube's own names the boot script keeps.
    folders
        The address from which one writes in a folder, by its path below ``~/.maildir``.
    fetches
        The user whose mail is fetched, "" if none is.
    restart
        Parameters of main.cf that a reload does not bring into effect, as ``name=value`` without white space.
    """

    type: str
    tables: tuple[str, ...]
    relays: tuple[tuple[str, int], ...]
    senders: dict[str, Sender]
    allowed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    fetches: str = ""

    def text(self) -> str:
        """Return it as lines: a kind of fact, and its words."""
        lines = [
            f"type {self.type}",
            *(f"table {name}" for name in self.tables),
            *(f"named {name}" for name in self.named),
            *(f"relay {host} {port}" for host, port in self.relays),
            *(f"allow {what}" for what in self.allowed),
            *([f"fetch {self.fetches}"] if self.fetches else []),
            *(f"folder {folder} {sender}" for folder, sender in self.folders),
            *(f"restart {parameter}" for parameter in self.restart),
            *(f"sender {address} {sender.way} {sender.account}" for address, sender in self.senders.items()),
        ]
        return "".join(f"{line}\n" for line in lines)

    def differences(self, old: Manifest | None) -> dict[str, list[str]]:
        """Name the senders that come, go, or whose account says something else than before."""
        # One that another account at its relay comes before, or no more, is the same.
        after, before = (
            {sender: (without_zeros(how.way), how.account) for sender, how in senders.items()}
            for senders in (self.senders, old.senders if old else {})
        )
        return {
            "added": sorted({*after} - {*before}),
            "removed": sorted({*before} - {*after}),
            "changed": sorted(sender for sender, how in after.items() if before.get(sender, how) != how),
        }

    def switch(self, old: Manifest | None) -> Switch:
        """
        Tell what the change from another configuration needs.

        Until a reload is through, a message already routed could meet the new password table: when a sender moves to
        another relay, the old relay must not be offered the new password; and a next hop that is gone has no TLS policy
        any more. Where nothing is known of the old configuration, it is the same.
        """
        if old is None or self.restart != old.restart:
            return Switch.RESTART
        for sender in {*self.senders, *old.senders}:
            before, after = old.way(sender), self.way(sender)
            if before and after and before != after:
                return Switch.RESTART
        return Switch.RELOAD

    def way(self, sender: str) -> str:
        """Return the way of a sender, as Postfix looks it up; "" for none."""
        key = claim(sender, self.senders)
        return self.senders[key].way if key else ""


def claim(sender: str, known: Container[str]) -> str:
    """
    Return which of the known senders one counts as, as Postfix looks it up; "" for none.

    sender : str
        An address, in lower case.
    known : Container
        Addresses, and domains with an at sign before them. An extension belongs to the address before it.
    """
    local, _, domain = sender.rpartition("@")
    keys = (sender, f"{local.partition('+')[0]}@{domain}", f"@{domain}")
    return next((key for key in keys if key in known), "")


def parse(text: str) -> Manifest | None:
    """Return a manifest from its lines, None where there is none, or one that says too little."""
    facts: dict[str, list[list[str]]] = {}
    for line in text.split("\n"):
        kind, *words = line.split(" ")
        facts.setdefault(kind, []).append(words)
    try:
        ((table_type,),) = facts["type"]
        return Manifest(
            type=table_type,
            tables=tuple(name for (name,) in facts.get("table", [])),
            relays=tuple((host, int(port)) for host, port in facts.get("relay", [])),
            senders={address: Sender(way, account) for address, way, account in facts.get("sender", [])},
            allowed=tuple(what for (what,) in facts.get("allow", [])),
            restart=tuple(parameter for (parameter,) in facts.get("restart", [])),
            named=tuple(name for (name,) in facts.get("named", [])),
            folders=tuple((folder, sender) for folder, sender in facts.get("folder", [])),
            fetches="".join(user for (user,) in facts.get("fetch", [])),
        )
    except (KeyError, ValueError):
        return None


def digest(account: dict[str, Any]) -> str:
    """Return a digest of all that an account says but for its senders, and where its incoming mail goes."""
    says = {key: value for key, value in account.items() if key not in ("senders", "folder")}
    text = json.dumps(says, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
