# SPDX-License-Identifier: Apache-2.0
"""Ask the server of an account whether its mail can be fetched: fetchmail(1) itself looks, and fetches nothing."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
import time
from typing import NamedTuple

from smarthost_fetch_state import known, way_out
from smarthost_fetchmail import Said, by_proxy, cannot, command
from smarthost_in_use import manifest, tables_in_use
from smarthost_places import Places


class Look(NamedTuple):
    """
    What was found out.

    works
        Whether mail can be fetched.
    text
        What works, or what does not.
    way_out
        What to do, "" if there is nothing.
    """

    works: bool
    text: str
    way_out: str = ""


def look(places: Places, address: str, timeout: float) -> Look:
    """
    Look for mail of an account, as the user who reads it.

    places : Places
        The paths of the system.
    address : str
        That of an account whose mail is fetched.
    timeout : float
        How long it may take, in seconds.
    """
    about = known(places)[address]
    where = f"{about['server']} port {about['port']}"
    kind, reason = cannot(about)
    if not reason:
        used = manifest(places.config_dir, tables_in_use(places.config_dir))
        user = pwd.getpwnam(used.fetches if used else "")
        with tempfile.TemporaryDirectory() as directory:
            os.chown(directory, user.pw_uid, user.pw_gid)
            fetchmail = [
                *command(places, address, directory, os.path.join(user.pw_dir, places.fetch_ids)),
                "--check",
            ]
            as_user = ("runuser", "-u", user.pw_name, "--", "env", "LC_ALL=C", f"HOME={user.pw_dir}")
            begun = time.time()
            try:
                ended = subprocess.run(
                    [*as_user, *fetchmail],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    errors="replace",
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Look(False, f"{where} does not answer in time")
        said = Said(about)
        for line in ended.stdout.splitlines():
            said.take(line)
        kind, reason = said.outcome(ended.returncode)
        if reason and (told := by_proxy(places, address, about, begun))[1]:
            kind, reason = told
    if reason:
        return Look(False, reason, way_out(kind, address, about))
    return Look(True, f"its mail is fetched from {where}")
