# SPDX-License-Identifier: Apache-2.0
"""
Keep the tokens of accounts: each account's in a file that root alone reads, below what lasts.

A provider may replace the refresh token at each use, and take the old one no more: the new one is on the disk before
the access token that came with it is used.

Sources: RFC 6749 5.1 and 6; rename(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from typing import Any, NamedTuple

from smarthost_files import locked, remove, sync
from smarthost_oauth_endpoint import NoAnswer, ask
from smarthost_places import Places

# In seconds: an access token that lasts no longer than that is replaced; how long a refusal of the provider holds.
_LEFT = 300
_REFUSED = 900
_LOCK_TIMEOUT = 60
_USUAL_LIFE, _LONGEST_LIFE = 3600, 86400
# RFC 6750 2.1, and nothing that ends a field of XOAUTH2.
_TOKEN = re.compile(r"[!-~]{1,16384}")
# What a new file may take.
_ROOM = 65536


class Tokens(NamedTuple):
    """
    The tokens of an account.

    refresh
        What brings a new access token.
    access
        What the servers take.
    expires
        When it is of no use any more, in seconds since the epoch.
    """

    refresh: str
    access: str
    expires: int


class NotAuthorized(Exception):  # noqa: N818 - it is for the user to do it
    """There are no tokens yet."""


def path(places: Places, about: dict[str, Any]) -> str:
    """Return the file of an account's tokens, from what the proxy knows of it."""
    return os.path.join(places.tokens_dir, f"{about['tokens']}.json")


def load(file: str) -> Tokens | None:
    """Return the tokens in a file, None where there are none."""
    try:
        with open(file, encoding="ascii") as opened:
            told = json.load(opened)
        return Tokens(str(told["refresh"]), str(told["access"]), int(told["expires"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def needed(places: Places, about: dict[str, Any]) -> bool:
    """Tell whether the access token of an account is to be replaced before it is used."""
    tokens = load(path(places, about))
    return tokens is not None and not _lasts(tokens)


def _lasts(tokens: Tokens) -> bool:
    return tokens.expires - time.time() > _LEFT


def taken(answer: dict[str, Any], host: str, refresh: str = "") -> Tokens:
    """
    Return the tokens in the answer of an endpoint.

    answer : dict
        It.
    host : str
        Who gave it.
    refresh : str
        The refresh token that holds if there is no other.

    Raises NoAnswer when there are none.
    """
    access, new = answer.get("access_token"), answer.get("refresh_token", refresh)
    for token, name in ((access, "access token"), (new, "refresh token")):
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise NoAnswer("trouble", f"{host} gives no {name} that can be used")
    try:
        life = int(answer.get("expires_in", _USUAL_LIFE))
    except (TypeError, ValueError):
        life = _USUAL_LIFE
    return Tokens(str(new), str(access), int(time.time()) + min(max(life, 1), _LONGEST_LIFE))


class Room:
    """
    Room for the tokens that are about to come, so that no full disk loses them.

    file : str
        Where they will be.

    Raises OSError when there is none.
    """

    def __init__(self, file: str) -> None:  # noqa: D107 - the class says it
        self._file = file
        directory = os.path.dirname(file)
        if not os.path.isdir(directory):
            os.makedirs(directory, mode=0o700)
            sync(os.path.dirname(directory))
        self._made = f"{file}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._made)
        descriptor = os.open(self._made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.write(descriptor, b" " * _ROOM)
            os.fsync(descriptor)
        except OSError:
            os.unlink(self._made)
            raise
        finally:
            os.close(descriptor)

    def fill(self, tokens: Tokens) -> None:
        """Put tokens into it, and it into its place; they are on the disk then."""
        data = json.dumps(tokens._asdict()).encode("ascii")
        descriptor = os.open(self._made, os.O_WRONLY)
        try:
            # JSON takes white space behind it: what is there already is only written over.
            os.pwrite(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(self._made, self._file)
        sync(os.path.dirname(self._file))

    def leave(self) -> None:
        """Give it up, if it is still empty."""
        with contextlib.suppress(OSError):
            os.unlink(self._made)


@contextlib.contextmanager
def alone(places: Places, about: dict[str, Any]) -> Any:  # noqa: ANN401 - a context
    """Keep others from changing the tokens of an account; raise CommandExecutionError when that takes too long."""
    with locked(
        os.path.join(places.oauth_dir, f"{about['tokens']}.lock"),
        _LOCK_TIMEOUT,
        "another login is still waiting for a token",
    ):
        yield


def forget(places: Places, wanted: list[str], test: bool) -> list[str]:
    """
    Remove the tokens of accounts that are not there any more.

    places : Places
        The paths of the system.
    wanted : list
        The names of those that stay, by ``smarthost_oauth.tokens_name``.
    test : bool
        Only tell what would be removed.

    Returns the paths of the files.
    """
    there = sorted(os.listdir(places.tokens_dir)) if os.path.isdir(places.tokens_dir) else []
    gone = [name for name in there if name.partition(".")[0] not in wanted]
    if not test:
        remove(places.tokens_dir, *gone)
        if not wanted:
            with contextlib.suppress(OSError):
                os.rmdir(places.tokens_dir)
    return [os.path.join(places.tokens_dir, name) for name in gone]


class Keeper:
    """
    Who gives the proxy the access tokens, and has them replaced in time.

    places : Places
        The paths of the system.
    """

    def __init__(self, places: Places) -> None:  # noqa: D107 - the class says it
        self._places = places
        # What a provider has refused, by the file, its time, and until when: it is not asked again at each message.
        self._refused: dict[str, tuple[int, float, NoAnswer]] = {}

    def access(self, about: dict[str, Any], ca_file: str, *, ipv4: bool, stale: str = "") -> str:
        """
        Return an access token of an account.

        about : dict
            What the proxy knows of it.
        ca_file : str
            The system's CA certificates.
        ipv4 : bool
            Whether IPv6 is not to be tried.
        stale : str
            One that the server does not take.

        Raises NotAuthorized, NoAnswer; OSError when a new one cannot be written; CommandExecutionError when another
        one takes too long.
        """
        file = path(self._places, about)
        with alone(self._places, about):
            tokens = load(file)
            if tokens is None:
                raise NotAuthorized
            if tokens.access != stale and _lasts(tokens):
                return tokens.access
            changed = os.stat(file).st_mtime_ns
            before, until, why = self._refused.get(file, (0, 0.0, None))
            if why and before == changed and time.monotonic() < until:
                raise why
            try:
                return self._replace(file, tokens, about, ca_file, ipv4=ipv4)
            except NoAnswer as problem:
                if problem.kind in ("withdrawn", "refused"):
                    self._refused[file] = (changed, time.monotonic() + _REFUSED, problem)
                raise

    def _replace(self, file: str, tokens: Tokens, about: dict[str, Any], ca_file: str, *, ipv4: bool) -> str:
        room = Room(file)
        try:
            answer = ask(
                about["token_endpoint"],
                {
                    "grant_type": "refresh_token",
                    "client_id": about["client_id"],
                    "client_secret": about["client_secret"],
                    "refresh_token": tokens.refresh,
                    "scope": about["scope"],
                },
                ca_file,
                ipv4=ipv4,
            )
            new = taken(answer, about["token_endpoint"].split("/")[2], tokens.refresh)
            room.fill(new)
            return new.access
        finally:
            room.leave()
