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

import smarthost_boot_fetch
import smarthost_boot_mail
import smarthost_boot_oauth
import smarthost_boot_start
import smarthost_boot_uplink
import smarthost_service
from smarthost_files import make_public, read, rewrite
from smarthost_manual import COMPLETION, PAGE
from smarthost_places import Places

_PROGRAM, _TEXT = 0o755, 0o644
# What postfix-smarthost consists of: smarthost_command, and what that imports.
COMMAND = (
    "smarthost_certificate",
    "smarthost_command",
    "smarthost_errors",
    "smarthost_fetch",
    "smarthost_fetch_check",
    "smarthost_fetch_state",
    "smarthost_fetch_tunnel",
    "smarthost_fetchmail",
    "smarthost_fetchmailrc",
    "smarthost_files",
    "smarthost_in_use",
    "smarthost_log",
    "smarthost_manifest",
    "smarthost_muttrc",
    "smarthost_names",
    "smarthost_notes",
    "smarthost_oauth",
    "smarthost_oauth_access",
    "smarthost_oauth_authorize",
    "smarthost_oauth_endpoint",
    "smarthost_oauth_login",
    "smarthost_oauth_proxy",
    "smarthost_oauth_state",
    "smarthost_oauth_tokens",
    "smarthost_places",
    "smarthost_privacy",
    "smarthost_provider_sheet",
    "smarthost_providers",
    "smarthost_queue",
    "smarthost_reasons",
    "smarthost_relay_check",
    "smarthost_relay_login",
    "smarthost_relays",
    "smarthost_service",
    "smarthost_services",
    "smarthost_status",
    "smarthost_submit_policy",
    "smarthost_verify",
    "smarthost_wire",
)
UNIT = """# SPDX-License-Identifier: Apache-2.0
# Managed by the Salt formula postfix_smarthost, which puts it where there is no /rw/config/rc.local.d.
[Unit]
Description=Postfix as the smarthost client of the Salt formula postfix_smarthost
After=local-fs.target
Before=postfix.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/postfix-smarthost-start

[Install]
WantedBy=multi-user.target
"""
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
    return (
        smarthost_boot_start.TEXT
        + smarthost_boot_mail.TEXT
        + smarthost_boot_oauth.TEXT
        + smarthost_boot_fetch.TEXT
        + smarthost_boot_uplink.TEXT
    )


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
    Make sure that the boot script and the program for the user are in their places, root's and executable.

    With the program come its manual page and what bash(1) completes for it; on a machine that is no qube, the unit that
    runs the boot script, and both it and Postfix's enabled.

    places : Places
        The paths of the system.
    test : bool
        Only tell what would change.

    Returns what changed, by its path: ``added`` or ``changed``; empty when nothing did.

    Raises OSError when it cannot be written.
    """
    contents = (boot_script().encode(), command(), PAGE.encode(), COMPLETION.encode(), UNIT.encode())
    modes = (_PROGRAM, _PROGRAM, _TEXT, _TEXT, _TEXT)
    programs = zip(places.programs, contents, modes, strict=False)
    changes = {path: how for path, data, mode in programs if (how := _put(path, data, mode, test))}
    links = [link for link in places.enabled if not os.path.lexists(link)] if places.plain else []
    if (links or places.unit in changes) and not test:
        smarthost_service.enable(places)
    return changes | dict.fromkeys(links, "added")


def _put(path: str, data: bytes, mode: int, test: bool) -> str:
    """Make sure that a file is in its place; return ``added``, ``changed`` or ""."""
    there = os.path.lexists(path)
    if there and not os.path.islink(path) and _bytes(path) == data:
        status = os.stat(path)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, mode):
            return ""
    if not test:
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            os.makedirs(directory)
            make_public(directory)
        if there and (os.path.islink(path) or not os.path.isfile(path)):
            os.unlink(path)
        rewrite(path, data, mode)
        os.chown(path, 0, 0)
        os.chmod(path, mode)
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
