# SPDX-License-Identifier: Apache-2.0
"""
Connections with mail servers and with those that give tokens: reached, verified, limited in time, and passed on.

Sources: RFC 3501 6.2.1 and RFC 2595 4 on STARTTLS and STLS; TLS_README of Postfix on what vouches for a server.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from smarthost_certificate import fingerprints
from smarthost_errors import CommandExecutionError

# In seconds, for one address, and for one answer.
ANSWER = 10.0
_LONGEST_LINE = 8192
_BEGIN_TLS = {"imap": (b"* OK", b"S1 STARTTLS\r\n", b"S1 OK"), "pop3": (b"+OK", b"STLS\r\n", b"+OK")}


def reach(host: str, port: int, *, ipv4: bool = False, most: float = ANSWER) -> socket.socket:
    """
    Connect with a host, over IPv4 if that is possible.

    host : str
        Its name or address.
    port : int
        TCP port.
    ipv4 : bool
        Whether IPv6 is not to be tried at all.
    most : float
        How long one address may take, in seconds.

    Raises OSError when none of its addresses is reached.
    """
    found = socket.getaddrinfo(host, port, socket.AF_INET if ipv4 else socket.AF_UNSPEC, socket.SOCK_STREAM)
    problem = OSError()
    # A network may have names and addresses of IPv6 and yet not carry it.
    for family, kind, protocol, _, address in sorted(found, key=lambda one: one[0] != socket.AF_INET)[:4]:
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(most)
            made.connect(address)
        except OSError as failed:
            made.close()
            problem = failed
        else:
            return made
    raise problem


@contextlib.contextmanager
def limited(connection: socket.socket, seconds: float) -> Iterator[None]:
    """
    End a connection after a time, however slowly the other side sends.

    connection : socket.socket
        It.
    seconds : float
        How long it may last as long as this context does.
    """
    # Its own descriptor: what encrypts the connection takes the other one over.
    guard = socket.socket(fileno=os.dup(connection.fileno()))

    def end() -> None:
        with contextlib.suppress(OSError):
            guard.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, seconds), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        guard.close()


def client_context(*, pinned: bool = False, ca_file: str = "", ca: str = "") -> ssl.SSLContext:
    """
    Return how a server is verified: as Postfix does it here.

    pinned : bool
        Whether its fingerprint decides, which the caller compares.
    ca_file : str
        The file of CA certificates that vouch for it.
    ca : str
        A CA of its own (PEM), which alone vouches for it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if pinned:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif ca:
        context.load_verify_locations(cadata=ca)
        # As Postfix takes a tafile: what is in it needs nobody to vouch for it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context.load_verify_locations(ca_file)
    return context


def encrypted(plain: socket.socket, about: dict[str, Any], ca_file: str = "") -> ssl.SSLSocket:
    """
    Begin TLS with a server, and make sure that it is the one that is meant.

    plain : socket.socket
        The connection.
    about : dict
        Its ``server``, and the ``fingerprints`` or the ``ca`` (PEM) that it is known by, each empty if it is not.
    ca_file : str
        The system's CA certificates, for a server that is known by neither.

    Raises CommandExecutionError if it is another one, ssl.SSLError if TLS does not come about.
    """
    pins = {*about["fingerprints"]}
    context = client_context(pinned=bool(pins), ca_file=ca_file, ca=about["ca"])
    secure = context.wrap_socket(plain, server_hostname=about["server"])
    if pins and not pins & fingerprints(secure.getpeercert(binary_form=True) or b""):
        secure.close()
        raise CommandExecutionError(f"The certificate of {about['server']} is none of the pinned ones.")
    return secure


def begin_tls(plain: socket.socket, protocol: str) -> bytes:
    """
    Ask an IMAP or POP3 server for TLS.

    plain : socket.socket
        The connection.
    protocol : str
        ``imap`` or ``pop3``.

    Returns the greeting that it began with.

    Raises CommandExecutionError if it does not agree.
    """
    hello, command, agreed = _BEGIN_TLS[protocol]
    greeting = line(plain)
    if greeting.startswith(hello):
        plain.sendall(command)
        # What a server says besides, as IMAP allows, comes before it.
        for _ in range(10):
            answer = line(plain)
            if answer.startswith(agreed):
                return greeting
            if not answer.startswith(b"* "):
                break
    raise CommandExecutionError("The server does not begin TLS, so no password was sent.")


def line(connection: socket.socket) -> bytes:
    """Read a line, and not a byte behind it: what comes before TLS does not count after it."""
    read = b""
    while not read.endswith(b"\n") and len(read) < _LONGEST_LINE:
        byte = connection.recv(1)
        if not byte:
            break
        read += byte
    return read


def pump(secure: ssl.SSLSocket, reading: int, writing: int, idle: float | None = None) -> None:
    """
    Pass on what either side says, until one of them has ended.

    secure : ssl.SSLSocket
        The server.
    reading, writing : int
        Descriptors of the other side.
    idle : float or None
        How long both may say nothing, in seconds; None for any time.
    """
    # What arrives may be TLS's own business, such as a session ticket, and nothing to wait behind.
    secure.setblocking(False)
    os.set_blocking(writing, True)
    while True:
        readable = [secure] if secure.pending() else select.select([reading, secure], [], [], idle)[0]
        if not readable:
            return
        if secure in readable:
            with contextlib.suppress(ssl.SSLWantReadError):
                data = secure.recv(65536)
                if not data:
                    return
                write(writing, data)
        if reading in readable:
            data = os.read(reading, 65536)
            if not data:
                return
            _send(secure, data, idle)


def write(descriptor: int, data: bytes) -> None:
    """Write all of some bytes to a descriptor."""
    while data:
        data = data[os.write(descriptor, data) :]


def _send(secure: ssl.SSLSocket, data: bytes, idle: float | None) -> None:
    deadline = None if idle is None else time.monotonic() + idle
    while data:
        try:
            data = data[secure.send(data) :]
        except ssl.SSLWantWriteError:
            select.select([], [secure], [], idle)
        except ssl.SSLWantReadError:
            select.select([secure], [], [], idle)
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
