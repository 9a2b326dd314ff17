# SPDX-License-Identifier: Apache-2.0
"""
The programs that run in the qube without Salt: their texts, and the boot script in its place.

They travel as Python files, which the boot script holds as a text. As files of the file server they would be compiled
as templates at each run, or not be found: salt-ssh sends none to a target on Python 3.13 (saltstack/salt#68421), and
Qubes lets it send none by scp.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile

import smarthost_boot_mail
import smarthost_boot_start
import smarthost_boot_uplink
from smarthost_files import make_public, read, rewrite
from smarthost_places import Places

_MODE = 0o755
# What postfix-smarthost consists of: smarthost_command, and what that imports.
COMMAND = (
    "smarthost_certificate",
    "smarthost_command",
    "smarthost_errors",
    "smarthost_files",
    "smarthost_in_use",
    "smarthost_log",
    "smarthost_manifest",
    "smarthost_names",
    "smarthost_places",
    "smarthost_privacy",
    "smarthost_provider_sheet",
    "smarthost_providers",
    "smarthost_queue",
    "smarthost_reasons",
    "smarthost_relay_check",
    "smarthost_relays",
    "smarthost_service",
    "smarthost_services",
    "smarthost_status",
    "smarthost_verify",
)
_SHEBANG = b"#!/usr/bin/python3 -I\n"
_MAIN = "import sys\n\nimport smarthost_command\n\nsys.exit(smarthost_command.main())\n"


def submit_policy() -> str:
    """Return the policy service that says who may submit mail by SMTP."""
    return _beside("smarthost_submit_policy.py")


def submit_milter() -> str:
    """Return the milter that says by which account a message leaves, and whether it is only passed on."""
    return _beside("smarthost_submit_milter.py")


def boot_script() -> str:
    """Return the boot script."""
    return smarthost_boot_start.TEXT + smarthost_boot_mail.TEXT + smarthost_boot_uplink.TEXT


def command() -> bytes:
    """
    Return the program ``postfix-smarthost``: an archive that Python runs as it is (zipapp).

    The same files make the same bytes.
    """
    made = io.BytesIO(_SHEBANG)
    made.seek(0, os.SEEK_END)
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for name in COMMAND:
            archive.writestr(zipfile.ZipInfo(f"{name}.py"), _beside(f"{name}.py"))
    return made.getvalue()


def put_boot_script(places: Places, test: bool = False) -> dict[str, str]:
    """
    Make sure that the boot script is in its place, root's and executable, and beside it the program for the user.

    places : Places
        The paths of the system.
    test : bool
        Only tell what would change.

    Returns what changed, by its path: ``added`` or ``changed``; empty when nothing did.

    Raises OSError when it cannot be written.
    """
    programs = {places.boot_script: boot_script().encode(), places.command: command()}
    return {path: how for path, data in programs.items() if (how := _put(path, data, test))}


def _put(path: str, data: bytes, test: bool) -> str:
    """Make sure that a program is in its place; return ``added``, ``changed`` or ""."""
    there = os.path.lexists(path)
    if there and not os.path.islink(path) and _bytes(path) == data:
        status = os.stat(path)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, _MODE):
            return ""
    if not test:
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            os.makedirs(directory)
            make_public(directory)
        if there and (os.path.islink(path) or not os.path.isfile(path)):
            os.unlink(path)
        rewrite(path, data, _MODE)
        os.chown(path, 0, 0)
        os.chmod(path, _MODE)
    return "changed" if there else "added"


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def renew_boot_script(places: Places, test: bool = False) -> dict[str, str]:
    """Do the same as ``put_boot_script``, but only where a boot script is in its place."""
    return put_boot_script(places, test) if os.path.lexists(places.boot_script) else {}


def _beside(name: str) -> str:
    return read(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))
