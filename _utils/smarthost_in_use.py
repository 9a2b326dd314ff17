# SPDX-License-Identifier: Apache-2.0
"""
The configuration in use: its tables, its manifest, and the accounts that it has.

No program is run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from smarthost_errors import CommandExecutionError
from smarthost_files import read, read_if_there, to_ascii
from smarthost_manifest import NAME, Manifest, parse
from smarthost_oauth import FACTS
from smarthost_places import TABLES, TABLES_PARAMETER, Places
from smarthost_relays import without_zeros
from smarthost_services import PROXIED, logs_in, tls_mode

Value = TypeVar("Value")
# Exit codes of a service: it has nothing to do any more; it is to be started again, as it is another one now.
DONE, AGAIN = 0, 75


def tables_in_use(config_dir: str) -> str | None:
    """Return the directory of tables that main.cf names, None when this formula did not write it."""
    main_cf = read_if_there(os.path.join(config_dir, "main.cf"))
    # The second is that of version 0.1.
    for pattern in (
        rf"^{TABLES_PARAMETER} = .*/([^/\n]+)$",
        r"^smtp_tls_policy_maps = .*/([^/\n]+)/[^/\n]+$",
    ):
        found = re.search(pattern, main_cf, re.MULTILINE)
        if found and found[1] in TABLES:
            return found[1]
    return None


def manifest(config_dir: str, tables: str | None) -> Manifest | None:
    """Return what the configuration in use consists of, None where nothing says so."""
    return parse(read_if_there(os.path.join(config_dir, tables, NAME))) if tables else None


def seen(places: Places) -> list[tuple[int, int] | None]:
    """
    Return what changes with the configuration, and with this program.

    places : Places
        The paths of the system.
    """
    found: list[tuple[int, int] | None] = []
    for path in (os.path.join(places.config_dir, "main.cf"), places.command):
        try:
            status = os.stat(path)
            found.append((status.st_ino, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def as_seen(places: Places, read: Callable[[Places], Value]) -> tuple[list[tuple[int, int] | None], Value]:
    """
    Read something of the configuration in use that does not change meanwhile.

    places : Places
        The paths of the system.
    read : callable
        Reads it.

    Returns what ``seen`` says of it, and it.
    """
    while True:
        before, found = seen(places), read(places)
        # A main.cf that was just replaced names tables that are gone.
        if seen(places) == before:
            return before, found


class Account(NamedTuple):
    """
    An account of the configuration in use.

    senders
        The addresses that leave by it, its own first.
    relay
        Host name or address.
    port
        TCP port.
    tls_mode
        ``implicit``, ``starttls`` or ``none``.
    logs_in
        Whether it has a login.
    policy
        How the relay is verified: words of a row of ``tls_policy``.
    by_token
        Whether that login is a token.
    """

    senders: tuple[str, ...]
    relay: str
    port: int
    tls_mode: str
    logs_in: bool
    policy: tuple[str, ...]
    by_token: bool = False

    @property
    def address(self) -> str:
        """What the account is called by."""
        return self.senders[0]

    @property
    def way(self) -> str:
        """Where it leaves, for a reader."""
        return f"{self.relay} port {self.port}"


def accounts(places: Places) -> list[Account]:
    """
    Return the accounts of the configuration in use, in the order of the pillar.

    places : Places
        The paths of the system.

    Raises CommandExecutionError where there is no configuration, or none that this version has written.
    """
    tables = tables_in_use(places.config_dir)
    known = manifest(places.config_dir, tables)
    if tables is None or known is None:
        raise CommandExecutionError("There is no configuration: apply postfix_smarthost to this qube.")
    policies = rows(places, tables, "tls_policy")
    by_token = by_xoauth2(places)
    by_account: dict[str, list[str]] = {}
    for sender, how in known.senders.items():
        by_account.setdefault(how.account, []).append(sender)
    found = []
    for senders in by_account.values():
        transport, _, nexthop = known.senders[senders[0]].way.partition(":")
        host, _, port = without_zeros(nexthop).rpartition(":")
        mode = ""
        if transport == PROXIED:
            server = by_token.get(senders[0], {}).get("servers", {}).get("smtp", {})
            nexthop = f"[{server.get('server', host[1:-1])}]:{server.get('port', port)}"
            host, _, port = nexthop.rpartition(":")
            mode = server.get("tls_mode", "starttls")
        found.append(
            Account(
                senders=tuple(senders),
                relay=host[1:-1],
                port=int(port),
                tls_mode=mode or tls_mode(transport),
                logs_in=logs_in(transport),
                policy=tuple(policies.get(nexthop, "").split()),
                by_token=transport == PROXIED,
            )
        )
    return found


def by_xoauth2(places: Places) -> dict[str, dict[str, Any]]:
    """
    Return what is known of the accounts that log in by XOAUTH2, by their addresses; it holds the client secrets.

    places : Places
        The paths of the system.
    """
    tables = tables_in_use(places.config_dir)
    text = read_if_there(os.path.join(places.config_dir, tables, FACTS)) if tables else ""
    return json.loads(text or "{}")


def owners(known: list[Account]) -> dict[str, Account]:
    """
    Return the account of each sender.

    known : list
        The accounts of the configuration in use.
    """
    return {sender: account for account in known for sender in account.senders}


def no_account(address: str, known: list[Account]) -> CommandExecutionError:
    """
    Return the error for an address that is no account's.

    address : str
        What was given.
    known : list
        The accounts of the configuration in use.
    """
    has = ", ".join(account.address for account in known)
    return CommandExecutionError(f"{to_ascii(address)} is no account of this qube. It has: {has}.")


def login(account: Account, passwords: dict[str, str]) -> tuple[str, str]:
    """
    Return user name and password of an account.

    account : Account
        One that logs in.
    passwords : dict
        The rows of ``saslpass``, which only root can read.

    Raises CommandExecutionError where there is none.
    """
    found = passwords.get(account.address, "")
    if ":" not in found:
        raise CommandExecutionError(
            f"The password of {account.address} is missing: apply postfix_smarthost to this qube again."
        )
    user, _, password = found.partition(":")
    return user, password


def rows(places: Places, tables: str, name: str) -> dict[str, str]:
    """
    Return the rows of a lookup table's source, {} where it cannot be read.

    places : Places
        The paths of the system.
    tables : str
        The directory of tables.
    name : str
        The name of the table.
    """
    try:
        lines = read(os.path.join(places.config_dir, tables, name)).split("\n")
    except OSError:
        return {}
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def users(places: Places) -> list[pwd.struct_passwd]:
    """
    Return the local users who may submit mail, but for root.

    places : Places
        The paths of the system.
    """
    found = []
    for name in parameter(places, "authorized_submit_users").replace(",", " ").split():
        with contextlib.suppress(KeyError):
            found.append(pwd.getpwnam(name))
    return [user for user in found if user.pw_name != "root"]


def parameter(places: Places, name: str) -> str:
    """
    Return the value of a parameter of main.cf, as it stands there, "" where it does not.

    places : Places
        The paths of the system.
    name : str
        Its name, as in postconf(5).
    """
    text = read_if_there(os.path.join(places.config_dir, "main.cf"))
    found = re.search(rf"^{re.escape(name)} = (.*(\n[ \t]+.*)*)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""
