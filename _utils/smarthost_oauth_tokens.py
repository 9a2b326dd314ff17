# SPDX-License-Identifier: Apache-2.0
"""
Keep the tokens of accounts: each account's in a file that root alone reads, below what lasts.

A provider may replace the refresh token at each use, and take the old one no more: the new one is on the disk before
the access token that came with it is used.

Sources: rename(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

from smarthost_files import locked, remove, sync
from smarthost_places import Places

# In seconds.
_LOCK_TIMEOUT = 60
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
        if not wanted and os.path.isdir(places.tokens_dir):
            with contextlib.suppress(OSError):
                os.rmdir(places.tokens_dir)
    return [os.path.join(places.tokens_dir, name) for name in gone]
