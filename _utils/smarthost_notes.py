# SPDX-License-Identifier: Apache-2.0
"""
Tell the user on the desktop that mail waits, or is not fetched, for something that he has to do, once for each reason.

Never a subject, a content or a secret. Sources: notify-send(1); systemd's pam_systemd(8) on the session bus;
delay_warning_time in postconf(5).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import time

import smarthost_queue
from smarthost_fetch_state import fetching
from smarthost_files import rewrite, run, which
from smarthost_in_use import accounts, manifest, parameter, tables_in_use, users
from smarthost_manifest import NOTIFICATIONS
from smarthost_places import Places

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "": 3600}


def notify(places: Places) -> list[str]:
    """
    Show what is not shown already.

    places : Places
        The paths of the system.

    Returns the texts that were shown. What nobody could be shown, as nobody is logged in, is shown the next time.

    Raises CommandExecutionError where there is no configuration.
    """
    known = manifest(places.config_dir, tables_in_use(places.config_dir))
    if known is None or NOTIFICATIONS not in known.allowed:
        return []
    late = time.time() - (_seconds(parameter(places, "delay_warning_time")) or float("inf"))
    groups: dict[str, list[smarthost_queue.Message]] = {}
    for message in smarthost_queue.messages(places, accounts(places)):
        if message.part == "deferred" and (message.kind in ("login", "password") or message.arrived < late):
            groups.setdefault(f"{message.account} {message.kind}", []).append(message)
    told = {name: _waits(group) for name, group in groups.items()}
    for address, about in fetching(places).items():
        if about.kind == "login" or 0 < about.since < late:
            told[f"{address} fetch {about.kind}"] = f"Mail of {address} is not fetched: {about.reason}."
    before = _shown(places)
    shown = [name for name in before if name in told]
    texts = []
    for name, words in told.items():
        if name in shown:
            continue
        text = f"{words} postfix-smarthost status says what to do."
        if _show(users(places), text):
            shown.append(name)
            texts.append(text)
    if sorted(shown) != sorted(before):
        rewrite(places.shown_notes, json.dumps(shown), 0o600)
    return texts


def _waits(group: list[smarthost_queue.Message]) -> str:
    count = f"{len(group)} message{' waits' if len(group) == 1 else 's wait'}"
    whose = f" of {group[0].account}" if group[0].account else ""
    return f"{count}{whose}: {group[0].reason}."


def _seconds(time_value: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw]?)", time_value)
    return int(found[1]) * _UNITS[found[2]] if found else 0


def _shown(places: Places) -> list[str]:
    try:
        with open(places.shown_notes, encoding="ascii") as file:
            return [str(name) for name in json.load(file)]
    except (OSError, ValueError):
        return []


def _show(users: list[pwd.struct_passwd], text: str) -> bool:
    """Show a text to each of the users who has a desktop session; tell whether there was one."""
    if which("notify-send") is None:
        return False
    reached = False
    for user in users:
        bus = f"/run/user/{user.pw_uid}/bus"
        if not os.path.exists(bus):
            continue
        session = ("env", f"DBUS_SESSION_BUS_ADDRESS=unix:path={bus}")
        ended = run(
            *("runuser", "-u", user.pw_name, "--", *session),
            *("timeout", "5", "notify-send", "--app-name=postfix-smarthost", "--", "Mail waits", text),
        )
        reached = reached or ended.returncode == 0
    return reached
