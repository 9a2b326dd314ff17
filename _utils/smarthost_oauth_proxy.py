# SPDX-License-Identifier: Apache-2.0
"""
Log in with a token where Postfix and fetchmail(1) would with a password: ``postfix-smarthost oauth``.

Each account has an address of loopback of its own. Whoever may use it gets a connection with the server of this
account, logged in, and from then on each byte as it is; who it is, the kernel says. A login that fails is told in the
greeting, so that the mail waits and its reason is in the queue.

Sources: RFC 5321 4.2 and 4.3.2 on what may greet; RFC 3501 7.1.4 on PREAUTH; RFC 1939 on USER and PASS.
"""

from __future__ import annotations

import contextlib
import pwd
import selectors
import signal
import socket
import ssl
import threading
import time
from typing import NamedTuple

from smarthost_files import to_ascii
from smarthost_in_use import AGAIN, DONE, as_seen, seen
from smarthost_oauth import PORTS, SUBMISSION
from smarthost_oauth_access import Keeper, access_token, needed
from smarthost_oauth_endpoint import reachable, reason
from smarthost_oauth_login import LoggedIn, Refused, answers, log_in
from smarthost_oauth_state import Board, Used, used
from smarthost_places import Places
from smarthost_submit_policy import owners
from smarthost_wire import line, pump, write

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# In seconds: between two looks for a change; how long both sides may say nothing, more than IDLE (RFC 2177) takes.
_LOOK = 2.0
_IDLE = 1900.0
_CLIENT = 30.0
# How long what is under way may go on: when the service ends, and when it is to be another one.
_END = 10.0
_LONGEST_END = 60.0
# Postfix has 100 at most (default_process_limit); each account that is fetched by IMAP has one all the time.
_MOST_CONNECTIONS = 1000
_MOST_LINES = 20
# By what is the matter (RFC 3463); smarthost_reasons and the boot script know them.
_CODES = {"unreached": "4.4.1", "authorize": "4.7.0", "login": "4.7.8"}
# Which the greeting is led by, so that the reason of a message shows whose words they are.
MARK = "XOAUTH2: "


class _Door(NamedTuple):
    """Where one account is served in one protocol."""

    address: str
    protocol: str
    allowed: str


class Proxy:
    """
    The service.

    places : Places
        The paths of the system.
    """

    def __init__(self, places: Places) -> None:  # noqa: D107 - the class says it
        self._places = places
        self._keeper = Keeper(places)
        self._board = Board(places)
        self._selector = selectors.DefaultSelector()
        self._doors: dict[tuple[str, int], tuple[socket.socket, _Door]] = {}
        self._not_opened: set[tuple[str, int]] = set()
        self._served = 0
        self._lock = threading.Lock()
        self._before, self._used = as_seen(places, used)

    def serve(self) -> int:
        """Serve until no account logs in so any more, or this program is another one; return the exit code."""
        stop = threading.Event()
        for number in _SIGNALS:
            signal.signal(number, lambda *_: stop.set())
        program = seen(self._places)[1]
        latest = 0.0
        while not stop.is_set():
            self._follow()
            if not self._used.accounts:
                break
            if seen(self._places)[1] != program:
                # What is under way would be sent once more.
                latest = latest or time.monotonic() + _LONGEST_END
                if not self._served or time.monotonic() > latest:
                    return AGAIN
            for key, _ in self._selector.select(_LOOK):
                self._accept(key.fileobj, key.data)  # type: ignore[arg-type] - it is a socket
        for listener, _ in self._doors.values():
            listener.close()
        latest = time.monotonic() + _END
        while self._served and time.monotonic() < latest:
            time.sleep(0.1)
        return DONE

    def _follow(self) -> None:
        """Read the configuration again if it has changed, and open and close what follows from it."""
        if not self._doors or seen(self._places) != self._before:
            self._before, self._used = as_seen(self._places, used)
        wanted = _doors(self._used)
        for place in {*self._doors} - {*wanted}:
            made, _ = self._doors.pop(place)
            self._selector.unregister(made)
            made.close()
        for place, door in wanted.items():
            there = self._doors.get(place)
            if there and there[1] == door:
                continue
            made = there[0] if there else self._listen(place)
            if made is None:
                continue
            if there:
                self._selector.unregister(made)
            self._selector.register(made, selectors.EVENT_READ, door)
            self._doors[place] = (made, door)

    def _listen(self, place: tuple[str, int]) -> socket.socket | None:
        made = socket.socket()
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(place)
            made.listen(64)
            made.setblocking(False)
        except OSError as problem:
            made.close()
            # It is tried again at each look.
            if place not in self._not_opened:
                print(f"{place[0]} port {place[1]} cannot be used: {reason(problem)}", flush=True)
                self._not_opened.add(place)
            return None
        self._not_opened.discard(place)
        return made

    def _accept(self, listener: socket.socket, door: _Door) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        # What has been switched in this moment counts for this connection already.
        self._follow()
        if self._served >= _MOST_CONNECTIONS:
            _greet(client, door.protocol, "4.3.2", f"{MARK}too many connections at once")
            client.close()
            return
        with self._lock:
            self._served += 1
        threading.Thread(target=self._serve, args=(client, door, self._used), daemon=True).start()

    def _serve(self, client: socket.socket, door: _Door, known: Used) -> None:
        try:
            with client, contextlib.suppress(OSError, ssl.SSLError):
                client.settimeout(_CLIENT)
                self._talk(client, door, known)
        finally:
            with self._lock:
                self._served -= 1

    def _talk(self, client: socket.socket, door: _Door, known: Used) -> None:
        if not _is(client, door.allowed):
            _greet(client, door.protocol, "", f"Only {door.allowed} may use this")
            return
        try:
            there = self._log_in(door, known)
        except Refused as refused:
            code = _CODES.get(refused.kind, "4.3.0")
            self._board.fails(door.address, door.protocol, refused.kind, refused.text)
            _greet(client, door.protocol, code, MARK + refused.text)
            return
        self._board.works(door.address, door.protocol)
        with there.connection:
            if _welcome(client, door.protocol, there):
                client.settimeout(None)
                pump(there.connection, client.fileno(), client.fileno(), _IDLE)

    def _log_in(self, door: _Door, known: Used) -> LoggedIn:
        about = known.accounts.get(door.address)
        server = about["servers"].get(door.protocol) if about else None
        if about is None or server is None:
            raise Refused("server", "this account is not there any more")
        token = ""
        for attempt in (1, 2):
            token = access_token(self._keeper, door.address, about, known, stale=token)
            try:
                how = (door.protocol, server, about["username"], token, known.ca_file)
                return log_in(*how, ipv4=known.ipv4)
            except Refused as refused:
                # It may have been withdrawn before its time.
                if refused.kind != "login" or attempt == 2:
                    raise
        raise AssertionError


def answers_now(places: Places, listen: str) -> bool:
    """
    Tell whether the relay of an account is there, and who gives its tokens, if that is to be asked.

    places : Places
        The paths of the system.
    listen : str
        The account's address of loopback.
    """
    known = used(places)
    about = next((about for about in known.accounts.values() if about["listen"] == listen), None)
    if about is None or not answers(about["servers"]["smtp"], known.ca_file, ipv4=known.ipv4):
        return False
    return not needed(places, about) or reachable(about["token_endpoint"], known.ca_file, ipv4=known.ipv4)


def _doors(known: Used) -> dict[tuple[str, int], _Door]:
    found = {}
    for address, about in known.accounts.items():
        for protocol in about["servers"]:
            port = PORTS.get(protocol, SUBMISSION)
            allowed = known.reader if protocol in PORTS else "postfix"
            found[(about["listen"], port)] = _Door(address, protocol, allowed)
    return found


def _is(client: socket.socket, allowed: str) -> bool:
    """Tell whether the other end belongs to a user, as the kernel knows it."""
    ends = [(socket.inet_aton(host), port) for host, port in (client.getpeername(), client.getsockname())]
    try:
        return owners(ends[0], ends[1]) == {pwd.getpwnam(allowed).pw_uid}
    except KeyError:
        return False


def _greet(client: socket.socket, protocol: str, code: str, text: str) -> None:
    """Say why there is no connection; without a code, for good."""
    said = to_ascii(text)[:400]
    lines = {
        "smtp": f"421 {code} {said}" if code else f"554 5.7.1 {said}",
        "imap": f"* BYE {said}",
        "pop3": f"-ERR {said}",
    }
    with contextlib.suppress(OSError):
        client.sendall(f"{lines[protocol]}\r\n".encode("ascii"))


def _welcome(client: socket.socket, protocol: str, there: LoggedIn) -> bool:
    """Let the client think that it has to do with the server alone; tell whether it goes on."""
    if protocol == "imap":
        write(client.fileno(), b"* PREAUTH logged in\r\n")
        return True
    write(client.fileno(), b"220 localhost ESMTP\r\n" if protocol == "smtp" else b"+OK logged in\r\n")
    for _ in range(_MOST_LINES):
        read = line(client)
        verb = read.strip().partition(b" ")[0].upper()
        if not read.endswith(b"\n") or verb == b"QUIT":
            break
        if protocol == "smtp":
            if verb in (b"EHLO", b"HELO"):
                write(client.fileno(), _hello(there.offers))
                return True
            write(client.fileno(), b"503 5.5.1 EHLO first\r\n")
        elif verb == b"PASS":
            write(client.fileno(), b"+OK logged in\r\n")
            return True
        else:
            write(client.fileno(), b"+OK\r\n" if verb == b"USER" else b"-ERR not here\r\n")
    # The server is told, too: some count connections that are not ended.
    with contextlib.suppress(OSError, ssl.SSLError):
        there.connection.sendall(b"QUIT\r\n")
    return False


def _hello(offers: list[str]) -> bytes:
    """Return the server's own answer to EHLO without what is done already."""
    first, *rest = offers
    kept = [
        first,
        *(o for o in rest if o.upper().partition(" ")[0].partition("=")[0] not in ("AUTH", "STARTTLS")),
    ]
    lines = [f"250{' ' if number == len(kept) else '-'}{offer}\r\n" for number, offer in enumerate(kept, 1)]
    return "".join(lines).encode("latin-1")
