# SPDX-License-Identifier: Apache-2.0
"""
Connect fetchmail(1) with a server that is known by a pin or a CA of its own: ``postfix-smarthost tunnel ADDRESS``.

fetchmail compares MD5 fingerprints only, and trusts the system's CAs beside one of its own. It writes here what the
server is to read, and reads what that writes; this program makes the connection, begins TLS, and verifies.

Sources: fetchmail(1) on plugin; RFC 3501 6.2.1 and RFC 2595 4 on STARTTLS and STLS.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from typing import Any

from smarthost_certificate import fingerprints
from smarthost_errors import CommandExecutionError
from smarthost_fetch_state import known
from smarthost_files import to_ascii
from smarthost_places import Places

# In seconds.
_TIMEOUT = 30
_LONGEST_LINE = 8192
_BEGIN_TLS = {"imap": (b"* OK", b"S1 STARTTLS\r\n", b"S1 OK"), "pop3": (b"+OK", b"STLS\r\n", b"+OK")}


def tunnel(places: Places, address: str) -> int:
    """
    Connect standard input and output with the server of an account, over TLS that is verified.

    places : Places
        The paths of the system.
    address : str
        That of the account.

    Returns 0 when either side has ended it.

    Raises CommandExecutionError where there is no such account, or the server is not known for what it is; OSError
    where it is not reached.
    """
    about = known(places).get(address)
    if about is None:
        raise CommandExecutionError(f"Mail of {to_ascii(address)} is not fetched here.")
    with socket.create_connection((about["server"], about["port"]), _TIMEOUT) as plain:
        greeting = b"" if about["tls_mode"] == "implicit" else _begin_tls(plain, about["protocol"])
        with encrypted(plain, about) as secure:
            _write(greeting)
            _pump(secure)
    return 0


def encrypted(plain: socket.socket, about: dict[str, Any]) -> ssl.SSLSocket:
    """
    Begin TLS with a server, and make sure that it is the one that is meant.

    plain : socket.socket
        The connection.
    about : dict
        Its ``server``, and the ``fingerprints`` or the ``ca`` (PEM) that it is known by.

    Raises CommandExecutionError if it is another one, ssl.SSLError if TLS does not come about.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    pins = {*about["fingerprints"]}
    if pins:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=about["ca"])
        # As Postfix takes a tafile: what is in it needs nobody to vouch for it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    secure = context.wrap_socket(plain, server_hostname=about["server"])
    if pins and not pins & fingerprints(secure.getpeercert(binary_form=True) or b""):
        secure.close()
        raise CommandExecutionError(f"The certificate of {about['server']} is none of the pinned ones.")
    return secure


def _begin_tls(plain: socket.socket, protocol: str) -> bytes:
    """Ask for TLS, and return the greeting that the server began with: fetchmail waits for it."""
    hello, command, agreed = _BEGIN_TLS[protocol]
    greeting = _line(plain)
    if greeting.startswith(hello):
        plain.sendall(command)
        # What a server says besides, as IMAP allows, comes before it.
        for _ in range(10):
            answer = _line(plain)
            if answer.startswith(agreed):
                return greeting
            if not answer.startswith(b"* "):
                break
    raise CommandExecutionError("The server does not begin TLS, so no password was sent.")


def _line(plain: socket.socket) -> bytes:
    """Read a line, and not a byte behind it: what comes before TLS does not count after it."""
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        byte = plain.recv(1)
        if not byte:
            break
        line += byte
    return line


def _pump(secure: ssl.SSLSocket) -> None:
    """Pass on what either side says, until one of them has ended."""
    # What arrives may be TLS's own business, such as a session ticket, and nothing to wait behind.
    secure.setblocking(False)
    while True:
        readable = [secure] if secure.pending() else select.select([0, secure], [], [])[0]
        if secure in readable:
            with contextlib.suppress(ssl.SSLWantReadError):
                data = secure.recv(65536)
                if not data:
                    return
                _write(data)
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                return
            _send(secure, data)


def _send(secure: ssl.SSLSocket, data: bytes) -> None:
    while data:
        try:
            data = data[secure.send(data) :]
        except ssl.SSLWantWriteError:
            select.select([], [secure], [])
        except ssl.SSLWantReadError:
            select.select([secure], [], [])


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
