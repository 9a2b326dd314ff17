# SPDX-License-Identifier: Apache-2.0
"""
Run fetchmail(1) for each account, as the user who reads the mail: the service behind ``postfix-smarthost fetch``.

Each account has a process of its own: with IDLE it stays with its server. What is the matter with it is in a file, for
``status`` and for the desktop note, and in the journal when it changes.

Sources: fetchmail(1) of 6.4 and 6.6.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from typing import Any

from smarthost_fetch_state import known
from smarthost_fetchmail import MORE, Said, by_proxy, cannot, command
from smarthost_files import rewrite
from smarthost_in_use import AGAIN, DONE, as_seen, seen
from smarthost_places import Places

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# In seconds. Logins that are refused come later and later: a provider may shut out who insists.
_PAUSES = {"login": (300, 900, 3600), "other": (20, 40, 80, 160, 300)}
_LOOK = 2
_QUIET = 3
_LONG_QUIET = 20
# A wait for new mail that ends sooner is no such wait.
_SHORT = 60
_AFTER_SHORT = 30


def serve(places: Places) -> int:
    """
    Fetch until nothing is to be fetched any more, or something else is to be.

    places : Places
        The paths of the system.

    Returns the exit code.
    """
    stop, ended = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        ended.set()
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    before, accounts = as_seen(places, known)
    board = _Board(places, accounts)
    fetchers = [_Fetcher(address, about, places, board, stop) for address, about in accounts.items()]
    for fetcher in fetchers:
        fetcher.start()
    while accounts and not stop.wait(_LOOK) and seen(places) == before:
        pass
    stop.set()
    for fetcher in fetchers:
        fetcher.join()
    # One that comes from here on waits for the service that is started again in this process.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    return DONE if ended.is_set() or not accounts else AGAIN


class _Board:
    """What is the matter with each account, in a file."""

    def __init__(self, places: Places, accounts: dict[str, Any]) -> None:
        self._path = places.fetching
        self._told: dict[str, dict[str, Any]] = {address: {} for address in accounts}
        self._lock = threading.Lock()

    def works(self, address: str, *, taken: bool = False) -> None:
        """Note that the server of an account has let it look, and whether there was a message."""
        now = int(time.time())
        with self._lock:
            before = self._told[address]
            if "reason" in before:
                print(f"{address}: mail is fetched again", flush=True)
            fetched = now if taken else before.get("fetched", 0)
            self._write(address, {"looked": now, "fetched": fetched})

    def fails(self, address: str, kind: str, reason: str) -> None:
        """Note what is the matter with an account; what is new is logged, too."""
        with self._lock:
            before = self._told[address]
            if reason != before.get("reason"):
                print(f"{address}: {reason}", flush=True)
            since = before.get("since", int(time.time()))
            self._write(address, {**before, "kind": kind, "reason": reason, "since": since})

    def _write(self, address: str, about: dict[str, Any]) -> None:
        if about != self._told[address]:
            self._told[address] = about
            with contextlib.suppress(OSError):
                rewrite(self._path, json.dumps(self._told), 0o600)


class _Fetcher(threading.Thread):
    """The one of an account."""

    def __init__(
        self, address: str, about: dict[str, Any], places: Places, board: _Board, stop: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._places, self._address, self._about = places, address, about
        self._board, self._stop = board, stop
        home = os.path.expanduser("~")
        ids = os.path.join(home, places.fetch_ids)
        if about["protocol"] == "pop3":
            os.makedirs(ids, mode=0o700, exist_ok=True)
        self._command = command(places, address, os.path.dirname(places.fetching), ids)
        if about["idle"]:
            self._command.append("--idle")
        self._environment = {**os.environ, "LC_ALL": "C", "HOME": home}
        self._failures: dict[str, int] = {}
        self._last_word = 0.0

    def run(self) -> None:
        """Fetch, wait, and so on."""
        while not self._stop.is_set():
            begun = time.monotonic()
            kind, reason = self._try()
            self._failures = {kind: self._failures.get(kind, -1) + 1} if reason else {}
            # What is over with the next try, as at boot and when the network changes, is nobody's business.
            if reason and not self._stop.is_set() and (kind == "login" or self._failures[kind]):
                self._board.fails(self._address, kind, reason)
            self._stop.wait(self._pause(kind, time.monotonic() - begun))

    def _try(self) -> tuple[str, str]:
        """Fetch if that is possible; return the kind of what is wrong, and a sentence on it, each "" if nothing is."""
        try:
            kind, reason = cannot(self._about)
            return (kind, reason) if reason else self._fetch()
        except OSError as problem:
            # As with too little memory. An exception would end this thread, and all fetching of the account.
            return "other", f"fetchmail cannot be run ({problem.strerror})"

    def _pause(self, kind: str, lasted: float) -> float:
        if kind in self._failures:
            pauses = _PAUSES.get(kind, _PAUSES["other"])
            return pauses[min(self._failures[kind], len(pauses) - 1)]
        if kind == MORE:
            return 0
        if self._about["idle"]:
            # The server has ended the wait for new mail, as it does after some minutes.
            return _LOOK if lasted > _SHORT else _AFTER_SHORT
        return float(self._about["interval"])

    def _fetch(self) -> tuple[str, str]:
        """Run fetchmail once, and return the kind of what is wrong, and a sentence on it, each "" if nothing is."""
        said, begun = Said(self._about), time.time()
        self._last_word = time.monotonic()
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=self._environment,
        )
        reader = threading.Thread(target=self._read, args=(process, said), daemon=True)
        reader.start()
        while process.poll() is None:
            # What Postfix does not take is tried again later, by another run; this one goes on with the rest.
            if self._stop.wait(0.2) or (said.refused and self._is_quiet()):
                self._end(process)
        reader.join()
        kind, reason = said.outcome(process.returncode)
        told = by_proxy(self._places, self._address, self._about, begun) if reason else ("", "")
        return told if told[1] else (kind, reason)

    def _read(self, process: subprocess.Popen[str], said: Said) -> None:
        """Take in what fetchmail says, line by line."""
        for line in process.stdout or ():
            self._last_word = time.monotonic()
            looked, taken = said.take(line)
            if looked and not said.refused:
                self._board.works(self._address, taken=taken)

    def _is_quiet(self) -> bool:
        return time.monotonic() > self._last_word + _QUIET

    def _end(self, process: subprocess.Popen[str]) -> None:
        """End fetchmail when it is between two messages: one that Postfix has taken is to be deleted at the server."""
        latest = time.monotonic() + _LONG_QUIET
        while process.poll() is None and time.monotonic() < latest and not self._is_quiet():
            time.sleep(0.1)
        process.terminate()
        try:
            process.wait(_QUIET)
        except subprocess.TimeoutExpired:
            process.kill()
