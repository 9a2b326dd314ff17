# SPDX-License-Identifier: Apache-2.0
"""
Log in to a server with an access token: by SMTP, IMAP and POP3.

Nothing is read behind the server's answer: what follows belongs to who is connected with it then.

Sources: developers.google.com/gmail/imap/xoauth2-protocol; learn.microsoft.com,
how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth; RFC 4954, RFC 3501 6.2.2, RFC 5034 on AUTH.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from typing import Any, NamedTuple

from smarthost_errors import CommandExecutionError
from smarthost_files import to_ascii
from smarthost_oauth_endpoint import reason
from smarthost_wire import ANSWER, begin_tls, encrypted, limited, line, reach

# In seconds, for all of a login.
TIMEOUT = 40.0
_MOST_LINES = 100
# RFC 4954 4: a longer initial response goes by itself.
_LONGEST_COMMAND = 510
_LONGEST_REASON = 300
_HELLO = "EHLO [127.0.0.1]"


class Refused(Exception):  # noqa: N818 - it is the server that refuses
    """
    Why a server is not logged in to.

    kind
        ``unreached`` (the network, or another server than the one meant), ``login`` (the token is not taken) or
        ``server`` (anything else that it says).
    text
        In words.
    """

    def __init__(self, kind: str, text: str) -> None:  # noqa: D107 - the class says it
        super().__init__(text)
        self.kind, self.text = kind, text


class LoggedIn(NamedTuple):
    """
    A connection with a server that has let a user in.

    connection
        It.
    offers
        What the server offers, by SMTP: the lines of its answer to EHLO without their code.
    """

    connection: ssl.SSLSocket
    offers: list[str]


def xoauth2(user: str, token: str) -> str:
    """Return what logs a user in, as it goes over the line."""
    text = f"user={user}\x01auth=Bearer {token}\x01\x01"
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


def log_in(
    protocol: str, server: dict[str, Any], user: str, token: str, ca_file: str, *, ipv4: bool = False
) -> LoggedIn:
    """
    Connect with a server over verified TLS, and log in.

    protocol : str
        ``smtp``, ``imap`` or ``pop3``.
    server : dict
        Its ``server``, ``port``, ``tls_mode``, ``fingerprints`` and ``ca``.
    user, token : str
        The login.
    ca_file : str
        The system's CA certificates.
    ipv4 : bool
        Whether IPv6 is not to be tried.

    Raises Refused; the token is in no text of it.
    """
    host = server["server"]
    try:
        plain = reach(host, server["port"], ipv4=ipv4)
    except (OSError, ValueError) as problem:
        raise Refused("unreached", f"{host}: {reason(problem)}") from None
    try:
        with limited(plain, TIMEOUT):
            plain.settimeout(ANSWER)
            talk = _smtp if protocol == "smtp" else _imap if protocol == "imap" else _pop3
            return talk(plain, server, xoauth2(user, token), ca_file)
    except Refused as refused:
        plain.close()
        for secret in (token, xoauth2(user, token)):
            refused.text = refused.text.replace(secret, "***")
        refused.text = refused.text[:_LONGEST_REASON]
        raise
    except ssl.SSLCertVerificationError as problem:
        plain.close()
        why = f"certificate not trusted: {to_ascii(problem.verify_message)}"
        raise Refused("unreached", f"{host}: {why}") from None
    except CommandExecutionError as problem:
        plain.close()
        raise Refused("unreached", str(problem).rstrip(".")) from None
    except (OSError, ValueError) as problem:
        plain.close()
        raise Refused("unreached", f"{host}: {reason(problem)}") from None


def answers(server: dict[str, Any], ca_file: str, *, ipv4: bool = False) -> bool:
    """
    Tell whether a relay is there, as itself; nobody logs in.

    server, ca_file, ipv4
        As for ``log_in``.
    """
    try:
        plain = reach(server["server"], server["port"], ipv4=ipv4)
        with plain, limited(plain, TIMEOUT):
            plain.settimeout(ANSWER)
            with _smtp_over_tls(plain, server, ca_file) as secure:
                secure.sendall(b"QUIT\r\n")
        return True
    except (Refused, CommandExecutionError, OSError, ValueError):
        return False


def _said(server: dict[str, Any], lines: list[bytes]) -> str:
    text = " ".join(
        " ".join(to_ascii(part.decode("utf-8", "replace")) for part in lines).replace("\x01", "").split()
    )
    return f"{server['server']} said: {''.join(x if ' ' <= x <= '~' else ' ' for x in text)}"


def _read(connection: socket.socket) -> bytes:
    read = line(connection)
    if not read.endswith(b"\n"):
        raise ConnectionError
    return read


# SMTP.


def _reply(connection: socket.socket) -> tuple[int, list[bytes]]:
    lines = []
    for _ in range(_MOST_LINES):
        read = _read(connection)
        found = re.match(rb"([2-5][0-9][0-9])([ -]?)(.*?)\r?\n\Z", read, re.DOTALL)
        if not found:
            break
        lines.append(found[3])
        if found[2] != b"-":
            return int(found[1]), lines
    raise Refused("server", "what answers is no mail server")


def _command(connection: socket.socket, text: str) -> tuple[int, list[bytes]]:
    connection.sendall(text.encode("ascii") + b"\r\n")
    return _reply(connection)


def _expect(code: int, answer: tuple[int, list[bytes]], server: dict[str, Any]) -> list[bytes]:
    if answer[0] != code:
        raise Refused("server", _said(server, [str(answer[0]).encode(), *answer[1]]))
    return answer[1]


def _smtp_over_tls(plain: socket.socket, server: dict[str, Any], ca_file: str) -> ssl.SSLSocket:
    if server["tls_mode"] == "implicit":
        secure = encrypted(plain, server, ca_file)
        _expect(220, _reply(secure), server)
    else:
        _expect(220, _reply(plain), server)
        offers = _expect(250, _command(plain, _HELLO), server)
        if b"STARTTLS" not in [offer.upper() for offer in offers]:
            raise Refused("unreached", f"{server['server']} does not offer TLS, so no token was sent")
        _expect(220, _command(plain, "STARTTLS"), server)
        secure = encrypted(plain, server, ca_file)
    return secure


def _smtp(plain: socket.socket, server: dict[str, Any], initial: str, ca_file: str) -> LoggedIn:
    secure = _smtp_over_tls(plain, server, ca_file)
    offers = _expect(250, _command(secure, _HELLO), server)
    ways = [offer.upper().split()[1:] for offer in offers if offer.upper().startswith(b"AUTH ")]
    if not any(b"XOAUTH2" in way for way in ways):
        raise Refused("server", f"{server['server']} offers no login by XOAUTH2")
    whole = f"AUTH XOAUTH2 {initial}"
    code, lines = _command(secure, whole if len(whole) <= _LONGEST_COMMAND else "AUTH XOAUTH2")
    if code == 334 and len(whole) > _LONGEST_COMMAND:
        code, lines = _command(secure, initial)
    if code == 334:
        # What is wrong, in JSON; what counts is the answer to an empty line.
        code, lines = _command(secure, "")
    if code != 235:
        kind = "login" if code >= 500 else "server"
        raise Refused(kind, _said(server, [str(code).encode(), *lines]))
    return LoggedIn(secure, [offer.decode("latin-1") for offer in offers])


# IMAP and POP3.


def _imap(plain: socket.socket, server: dict[str, Any], initial: str, ca_file: str) -> LoggedIn:
    return _with_lines(plain, server, initial, ca_file, "imap", b"L1 AUTHENTICATE XOAUTH2", b"L1 OK")


def _pop3(plain: socket.socket, server: dict[str, Any], initial: str, ca_file: str) -> LoggedIn:
    return _with_lines(plain, server, initial, ca_file, "pop3", b"AUTH XOAUTH2", b"+OK")


def _with_lines(
    plain: socket.socket,
    server: dict[str, Any],
    initial: str,
    ca_file: str,
    protocol: str,
    command: bytes,
    done: bytes,
) -> LoggedIn:
    """Log in where an answer is a line: the token goes after a line with a plus sign."""
    if server["tls_mode"] == "implicit":
        secure = encrypted(plain, server, ca_file)
        greeting = _read(secure)
        if not greeting.startswith((b"* OK", b"+OK")):
            raise Refused("server", _said(server, [greeting]))
    else:
        begin_tls(plain, protocol)
        secure = encrypted(plain, server, ca_file)
    secure.sendall(command + b"\r\n")
    sent = 0
    for _ in range(_MOST_LINES):
        answer = _read(secure)
        if answer.startswith(done):
            return LoggedIn(secure, [])
        if answer.rstrip(b"\r\n") == b"+" or answer.startswith(b"+ "):
            if sent > 1:
                break
            # The second one says what is wrong, in JSON; what counts is the answer to an empty line.
            secure.sendall(b"" if sent else initial.encode("ascii"))
            secure.sendall(b"\r\n")
            sent += 1
        elif not answer.startswith(b"* "):
            kind = "login" if sent else "server"
            raise Refused(kind, _said(server, [answer]))
    raise Refused("server", f"{server['server']} does not end the login")
