# SPDX-License-Identifier: Apache-2.0
"""
Ask an endpoint of a provider: for tokens, or for a device code.

Sources: RFC 6749 5 and RFC 8628 3.5 on the answers; learn.microsoft.com, identity-platform/reference-error-codes.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.parse
from typing import Any

from smarthost_files import to_ascii
from smarthost_wire import client_context, limited, reach

# In seconds, for all of an answer; and in bytes.
TIMEOUT = 25.0
_MOST = 65536
# What the user has to agree to again. interaction_required and consent_required: OpenID Connect Core 3.1.2.6.
_WITHDRAWN = ("invalid_grant", "interaction_required", "consent_required", "login_required")

_TEMPORARY = ("temporarily_unavailable", "server_error", "slow_down")


class NoAnswer(Exception):  # noqa: N818 - it is the endpoint that may be in error
    """
    What an endpoint did not give.

    kind
        ``unreached``, ``withdrawn`` (the user has to agree again), ``refused`` (what the record says is wrong) or
        ``trouble`` (of its own).
    text
        A sentence without its full stop.

    Error:
        The word of the endpoint, "" without one.
    """

    def __init__(self, kind: str, text: str, error: str = "") -> None:  # noqa: D107 - the class says it
        super().__init__(text)
        self.kind, self.text, self.error = kind, text, error


def ask(url: str, fields: dict[str, str], ca_file: str, *, ipv4: bool = False) -> dict[str, Any]:
    """
    Post a form to an endpoint over verified TLS, and return its answer. No redirection is followed.

    url : str
        The endpoint.
    fields : dict
        The form; empty values are left out.
    ca_file : str
        The system's CA certificates.
    ipv4 : bool
        Whether IPv6 is not to be tried.

    Raises NoAnswer when there is none, or one that says no; no secret of the form is in it.
    """
    host, port, path = _parts(url)
    given = {name: value for name, value in fields.items() if value}
    try:
        # Name, connection and TLS have their own limits.
        plain = reach(host, port, ipv4=ipv4)
        with (
            limited(plain, TIMEOUT),
            client_context(ca_file=ca_file).wrap_socket(plain, server_hostname=host) as secure,
        ):
            status, body = _post(secure, host, port, path, urllib.parse.urlencode(given))
    except ssl.SSLCertVerificationError as problem:
        why = f"the certificate of {host} is not trusted: {to_ascii(problem.verify_message)}"
        raise NoAnswer("unreached", why) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise NoAnswer("unreached", f"{host} cannot be asked: {reason(problem)}") from None
    return _answer(host, status, body, [*given.values()])


def reachable(url: str, ca_file: str, *, ipv4: bool = False) -> bool:
    """
    Tell whether an endpoint is there, as itself; nothing is asked.

    url, ca_file, ipv4
        As for ``ask``.
    """
    host, port, _ = _parts(url)
    try:
        plain = reach(host, port, ipv4=ipv4)
        with (
            limited(plain, TIMEOUT),
            client_context(ca_file=ca_file).wrap_socket(plain, server_hostname=host),
        ):
            return True
    except (OSError, ValueError):
        return False


def reason(problem: BaseException) -> str:
    """Return why something was not reached, in words."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, socket.gaierror):
        return to_ascii(problem.strerror or "its name cannot be looked up")
    if isinstance(problem, ssl.SSLError):
        return f"TLS does not come about ({to_ascii(problem.reason or 'unknown reason')})"
    if isinstance(problem, OSError) and problem.strerror:
        return to_ascii(problem.strerror)
    return "the connection breaks off"


def _parts(url: str) -> tuple[str, int, str]:
    found = urllib.parse.urlsplit(url)
    return found.hostname or "", found.port or 443, found.path or "/"


def _post(secure: ssl.SSLSocket, host: str, port: int, path: str, form: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port)
    connection.sock = secure
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    started = time.monotonic()
    connection.request("POST", path, form.encode(), headers)
    answer = connection.getresponse()
    body = answer.read(_MOST + 1)
    if time.monotonic() - started >= TIMEOUT:
        raise TimeoutError
    return answer.status, body


def _answer(host: str, status: int, body: bytes, secrets: list[str]) -> dict[str, Any]:
    try:
        if len(body) > _MOST:
            raise ValueError
        told = json.loads(body)
        if not isinstance(told, dict):
            raise ValueError
    except (ValueError, RecursionError):
        why = f"{host} gives no token: HTTP status {status}, and no answer in JSON"
        raise NoAnswer("trouble", why) from None
    error = told.get("error")
    if status == http.client.OK and error is None:
        return told
    word = _clean(error, []) or f"HTTP status {status}"
    text = f"{host} gives no token ({word}"
    if said := _clean(told.get("error_description"), secrets):
        text += f": {said}"
    kind = "refused"
    if word in _WITHDRAWN:
        kind = "withdrawn"
    elif status >= http.client.INTERNAL_SERVER_ERROR or not error or word in _TEMPORARY:
        kind = "trouble"
    raise NoAnswer(kind, f"{text})", word)


def _clean(value: object, secrets: list[str]) -> str:
    """Return what an endpoint says of an error as one line, without what it was asked with."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        if len(secret) > 15:
            value = value.replace(secret, "***")
    words = "".join(letter if " " <= letter <= "~" else " " for letter in to_ascii(value)).split()
    # What Microsoft adds for its own support.
    return " ".join(words).partition(" Trace ID:")[0][:200]
