# SPDX-License-Identifier: Apache-2.0
"""
Get the first tokens of an account: the user agrees in a browser, in whatever qube that is.

By a device code, which is typed in there; or by a page whose answer comes to this qube, or is pasted here.

Sources: RFC 8628 (device code); RFC 6749 4.1, RFC 7636 and RFC 8252 7.3 (code, PKCE, loopback).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import select
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import smarthost_queue
import smarthost_service
from smarthost_errors import CommandExecutionError
from smarthost_files import to_ascii
from smarthost_oauth_access import taken
from smarthost_oauth_endpoint import NoAnswer, ask
from smarthost_oauth_login import Refused, log_in
from smarthost_oauth_state import Used, used
from smarthost_oauth_tokens import Room, Tokens, alone, path
from smarthost_places import Places
from smarthost_wire import limited

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# In seconds.
_INTERVAL, _LONGEST_INTERVAL = 5, 60
_LIFE, _LONGEST_LIFE = 900, 1800
_VISITOR = 5.0
_PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=us-ascii\r\nConnection: close\r\n\r\n"
    b"The qube has the answer. This page can be closed.\r\n"
)
_OTHER_PAGE = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"
_AGAIN = "run it again"


def authorize(places: Places, address: str, browser: bool, say: Callable[[str], None]) -> str:
    """
    Have the user agree, see that the tokens are for the user of the account, and store them.

    places : Places
        The paths of the system.
    address : str
        Of an account, or one of its senders.
    browser : bool
        Whether to go by a page even where there are device codes.
    say : callable
        Shows the user what to do.

    Returns what has become of it, in a sentence.

    Raises CommandExecutionError when there are no tokens; nothing is stored then. OSError when they cannot be written.
    """
    known = used(places)
    account = _account(places, known, address)
    about = known.accounts[account]
    with _kept(places, about):
        pass
    by_device = about["device_endpoint"] and not (browser and about["authorization_endpoint"])
    try:
        answer = (_by_device if by_device else _by_page)(about, known, say)
        tokens = taken(answer, about["token_endpoint"].split("/")[2])
    except NoAnswer as problem:
        out = "check oauth in qubes.yaml" if problem.kind == "refused" else _AGAIN
        raise CommandExecutionError(f"{problem.text}: {out}.") from None
    unseen = _of_user(about, known, tokens)
    with _kept(places, about) as room:
        room.fill(tokens)
    with contextlib.suppress(CommandExecutionError):
        # What failed before waits for long.
        smarthost_service.restart_fetching(places)
        smarthost_queue.flush(places, account)
    done = f"{account} is authorized, and its mail is on its way."
    return (
        f"{account} is authorized. Whether the server takes it is not known yet: {unseen}."
        if unseen
        else done
    )


@contextlib.contextmanager
def _kept(places: Places, about: dict[str, Any]) -> Any:  # noqa: ANN401 - a context
    """Have room for the tokens, with nobody else at them."""
    with alone(places, about):
        room = Room(path(places, about))
        try:
            yield room
        finally:
            room.leave()


def _account(places: Places, known: Used, address: str) -> str:
    if address.lower() in known.accounts:
        return address.lower()
    has = ", ".join(known.accounts) or "none"
    raise CommandExecutionError(
        f"{to_ascii(address)} is no account of this qube with auth: xoauth2. There are: {has}."
    )


def _of_user(about: dict[str, Any], known: Used, tokens: Tokens) -> str:
    """Log in wherever the tokens are for; return why that could not be seen, "" if it could."""
    unseen = ""
    for protocol, server in about["servers"].items():
        try:
            there = log_in(protocol, server, about["username"], tokens.access, known.ca_file, ipv4=known.ipv4)
        except Refused as refused:
            if refused.kind == "login":
                raise CommandExecutionError(
                    f"{refused.text}. Nothing is stored: agree as {about['username']}, who may send with this"
                    " application (docs/oauth.md)."
                ) from None
            unseen = refused.text
        else:
            there.connection.close()
    return unseen


# By a device code.


def _by_device(about: dict[str, Any], known: Used, say: Callable[[str], None]) -> dict[str, Any]:
    given = ask(
        about["device_endpoint"],
        {"client_id": about["client_id"], "scope": about["scope"]},
        known.ca_file,
        ipv4=known.ipv4,
    )
    # Google's word is verification_url.
    page = given.get("verification_uri", given.get("verification_url"))
    code, device = given.get("user_code"), given.get("device_code")
    if not (_shown(page, "https://") and _shown(code) and isinstance(device, str)):
        raise CommandExecutionError("What the provider gives is no device code: check oauth in qubes.yaml.")
    say(f"Open {page} in a browser of any qube, enter the code {code}, and agree as {about['username']}.")
    say("This waits until you have; Ctrl-C gives it up.")
    pause = _number(given.get("interval"), _INTERVAL, _LONGEST_INTERVAL)
    deadline = time.monotonic() + _number(given.get("expires_in"), _LIFE, _LONGEST_LIFE)
    fields = {
        "grant_type": _DEVICE_GRANT,
        "client_id": about["client_id"],
        "client_secret": about["client_secret"],
        "device_code": device,
    }
    while time.monotonic() + pause < deadline:
        time.sleep(pause)
        try:
            return ask(about["token_endpoint"], fields, known.ca_file, ipv4=known.ipv4)
        except NoAnswer as problem:
            if problem.error == "slow_down":
                pause = min(pause + 5, _LONGEST_INTERVAL)
            elif problem.error != "authorization_pending" and problem.kind not in ("unreached", "trouble"):
                raise
    raise CommandExecutionError(f"Nobody has agreed in time: {_AGAIN}.")


def _shown(value: object, begin: str = "") -> bool:
    return isinstance(value, str) and value.startswith(begin) and bool(re.fullmatch("[!-~]{1,500}", value))


def _number(value: object, otherwise: int, most: int) -> int:
    return min(max(value, 1), most) if isinstance(value, int) else otherwise


# By a page.


def _by_page(about: dict[str, Any], known: Used, say: Callable[[str], None]) -> dict[str, Any]:
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    digest = hashlib.sha256(verifier.encode()).digest()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Microsoft takes each port of this name, Google of the address, too.
        back = f"http://localhost:{listener.getsockname()[1]}/"
        asked = {
            "client_id": about["client_id"],
            "response_type": "code",
            "redirect_uri": back,
            "scope": about["scope"],
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "login_hint": about["username"],
            # Without these Google gives no refresh token.
            "access_type": "offline",
            "prompt": "consent",
        }
        say(f"Open this page in a browser, and agree as {about['username']}:")
        say(f"{about['authorization_endpoint']}?{urllib.parse.urlencode(asked)}")
        say(
            "In a browser of this qube that is all. In another one it then finds no page: copy the address that it"
            f" shows by then, which begins with {back}, paste it here, and press Enter."
        )
        code = _code(listener, back, state, say)
    return ask(
        about["token_endpoint"],
        {
            "grant_type": "authorization_code",
            "client_id": about["client_id"],
            "client_secret": about["client_secret"],
            "code": code,
            "redirect_uri": back,
            "code_verifier": verifier,
        },
        known.ca_file,
        ipv4=known.ipv4,
    )


def _code(listener: socket.socket, back: str, state: str, say: Callable[[str], None]) -> str:
    """Wait for the answer of the page, from the browser or pasted, and return the code in it."""
    deadline = time.monotonic() + _LIFE
    sources: list[Any] = [listener, sys.stdin]
    while sources and time.monotonic() < deadline:
        for source in select.select(sources, [], [], 1.0)[0]:
            if source is listener:
                url = _visited(listener, back)
            else:
                pasted = sys.stdin.readline()
                if not pasted:
                    sources.remove(source)
                    continue
                url = pasted.strip()
                if url and not url.startswith(back):
                    say(f"That is not the address: it begins with {back}.")
                    continue
            fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            if not secrets.compare_digest(fields.get("state", "").encode(), state.encode()):
                if url and source is not listener:
                    say("That address is of another attempt.")
                continue
            if "code" in fields:
                return fields["code"]
            word = to_ascii(fields.get("error", "no code"))[:100]
            raise CommandExecutionError(f"The provider says that there was no agreement ({word}): {_AGAIN}.")
    raise CommandExecutionError(f"Nobody has agreed in time: {_AGAIN}.")


def _visited(listener: socket.socket, back: str) -> str:
    """Return the address that a browser asks for, "" for anything else, such as an icon."""
    client, _ = listener.accept()
    with client, limited(client, _VISITOR), contextlib.suppress(OSError):
        client.settimeout(_VISITOR)
        read = b""
        while b"\r\n" not in read and len(read) < 16384:
            more = client.recv(4096)
            if not more:
                break
            read += more
        found = re.match(rb"GET /(\?[!-~]*) HTTP/", read)
        client.sendall(_PAGE if found else _OTHER_PAGE)
        return back + found[1].decode("ascii") if found else ""
    return ""
