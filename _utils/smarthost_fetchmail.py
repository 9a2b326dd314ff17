# SPDX-License-Identifier: Apache-2.0
"""
How fetchmail(1) is run for one account, and what it says: for the service that fetches, and for ``verify``.

Sources: fetchmail(1) of 6.4 and 6.6, EXIT CODES; its driver.c and sink.c on what it says in the C locale;
proc_net_tcp.txt of the kernel.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from typing import Any

from smarthost_fetchmailrc import FETCHMAILRC
from smarthost_files import acting_as, read_if_there, remove, to_ascii, which
from smarthost_in_use import tables_in_use
from smarthost_oauth_state import noted
from smarthost_places import SORTING, Places

# Exit codes.
_FETCHED, _NOTHING, _NO_CONNECTION, _REFUSED_LOGIN, _SMTP, _LIMIT = 0, 1, 2, 3, 10, 13
# What it says at each look.
_LOOKED = re.compile(r"(fetchmail: )?(No mail for |\d+ messages? |reading message )")
_TAKEN = re.compile(r"reading message .* flushed$")
_NOISE = re.compile(
    r"fetchmail: (WARNING: |Query status=|normal termination|terminated with signal|Connection errors)"
)
# A kind beside those that are wrong: there is more, and the session was cut into parts.
MORE = "more"


def cannot(about: dict[str, Any]) -> tuple[str, str]:
    """
    Return the kind of what is missing before mail can be fetched, and a sentence on it; each "" if nothing is.

    about : dict
        The facts of the account, from ``smarthost_fetch_state.known``.
    """
    if which("fetchmail") is None:
        return "program", "fetchmail is not installed in this qube"
    if not _listens():
        return "postfix", "Postfix does not take mail at port 25 of this qube"
    server = about["server"]
    try:
        socket.getaddrinfo(server, about["port"], type=socket.SOCK_STREAM)
    except socket.gaierror as problem:
        if problem.errno == socket.EAI_AGAIN:
            return "network", f"the name {server} cannot be looked up: no name server answers"
        return "server", f"the name {server} does not exist"
    return "", ""


def _listens() -> bool:
    """Tell whether something listens at port 25, from the kernel's tables: a connection would be in Postfix's log."""
    for name in ("tcp", "tcp6"):
        for line in read_if_there(f"/proc/net/{name}").splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == "0A" and local.endswith(":0019"):
                return True
    return False


def command(places: Places, address: str, directory: str, ids: str) -> list[str]:
    """
    Return the command that fetches the mail of an account once.

    places : Places
        The paths of the system.
    address : str
        That of the account.
    directory : str
        For the file by which fetchmail keeps a second one out.
    ids : str
        For the file of what it has fetched and not deleted.
    """
    rc = os.path.join(places.of(SORTING[tables_in_use(places.config_dir) or ""]), FETCHMAILRC)
    name = file_name(address)
    return [
        *("fetchmail", "--fetchmailrc", rc, "--nosyslog"),
        *("--pidfile", os.path.join(directory, f"{name}.pid"), "--idfile", os.path.join(ids, name)),
        address,
    ]


def file_name(address: str) -> str:
    """Return the name of a file for an account, whose address may hold a slash."""
    return re.sub(r"[^A-Za-z0-9@._-]", lambda part: f"%{ord(part[0]):02x}", address)


def forget(places: Places, user: pwd.struct_passwd, kept: list[str], test: bool = False) -> list[str]:
    """
    Remove what is noted of accounts whose mail is not fetched any more.

    places : Places
        The paths of the system.
    user : pwd.struct_passwd
        Whose files they are: it is done with his rights.
    kept : list
        The addresses of those that are fetched.
    test : bool
        Only tell what would be removed.

    Returns the paths.
    """
    directory = os.path.join(user.pw_dir, places.fetch_ids)
    with acting_as(user):
        there = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        wanted = {file_name(address) for address in kept}
        gone = [os.path.join(directory, name) for name in there if name not in wanted]
        if not kept and os.path.isdir(directory):
            gone = [directory]
        if not test:
            remove("/", *gone)
    return gone


def by_proxy(places: Places, address: str, about: dict[str, Any], since: float) -> tuple[str, str]:
    """
    Return the kind of what the proxy that logs in with a token has said of an account, and a sentence on it.

    places : Places
        The paths of the system.
    address : str
        Of the account.
    about : dict
        The facts of the account.
    since : float
        What counts, in seconds since the epoch.

    Each is "" where it has said nothing, or there is none: to fetchmail, a login that fails is a broken connection.
    """
    told = noted(places, address, (about["protocol"],)) if about.get("by_token") else {}
    if not told or told["last"] < since:
        return "", ""
    kinds = {"authorize": "login", "login": "login"}
    return kinds.get(told["kind"], "server"), told["reason"]


class Said:
    """
    What fetchmail says in one run.

    about : dict
        The facts of the account.
    """

    def __init__(self, about: dict[str, Any]) -> None:  # noqa: D107 - the class says it
        self._about = about
        # What follows it is of its consequences.
        self._first_word = ""
        self.looked = False
        self.refused = False

    def take(self, line: str) -> tuple[bool, bool]:
        """Take in a line, and return whether it tells of a look at the server, and of a message that Postfix has."""
        text = to_ascii(line)
        looked = bool(_LOOKED.match(text))
        self.looked |= looked
        # By Postfix: the message stays at the server.
        self.refused |= "SMTP error: " in text
        if text and not looked and not _NOISE.match(text):
            self._first_word = self._first_word or text.removeprefix("fetchmail: ").rstrip(".")
        return looked, bool(_TAKEN.match(text))

    def outcome(self, code: int) -> tuple[str, str]:
        """Return the kind of what is wrong, and a sentence on it, after the end of the run; each "" if nothing is."""
        server = self._about["server"]
        words = f" ({self._first_word[:300]})" if self._first_word else ""
        if code == _SMTP or self.refused:
            return "postfix", f"Postfix does not take what is fetched from {server}{words}"
        # The last one: a wait for new mail that the server, or the network, has ended.
        if code in (_FETCHED, _NOTHING) or (code == _NO_CONNECTION and self.looked):
            return "", ""
        return {
            _LIMIT: (MORE, ""),
            _REFUSED_LOGIN: ("login", f"{server} refuses the user name or the password"),
            _NO_CONNECTION: ("server", f"no connection to {server} port {self._about['port']}{words}"),
        }.get(code, ("other", f"fetchmail ended with exit code {code}{words}"))
