# SPDX-License-Identifier: Apache-2.0
"""A mailbox at a mail provider, for fetchmail(1) to empty: Dovecot's IMAP on a mail host of the lab, in clear text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from .container import wait_for

if TYPE_CHECKING:
    import subprocess

    from .qube import Qube
    from .relay import MailHost

_PLACE = "/var/lib/lab-mailbox"
_CONF = f"""\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = /run/dovecot-mailbox
state_dir = /run/dovecot-mailbox
log_path = /run/dovecot-mailbox.log
protocols = imap
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = plain
mail_driver = maildir
mail_path = {_PLACE}/%{{user}}
first_valid_uid = 1
passdb static {{
  passdb_static_password = fetched
}}
userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = {_PLACE}/%{{user}}
  }}
}}
"""
_PUT = """
import base64, os, shutil, sys
path = sys.argv[1]
with open(path, "wb") as file:
    file.write(base64.b64decode(sys.stdin.read()))
shutil.chown(path, "mail", "mail")
os.rename(path, path.replace("/tmp/", "/new/"))
"""


class Mailbox:
    """A mailbox.

    Args:
        host: where; it runs.
        name: its user.

    """

    def __init__(self, host: MailHost, name: str) -> None:
        self._host = host
        self._name = name
        self._directory = f"{_PLACE}/{name}"
        host.write("/etc/dovecot-mailbox.conf", _CONF)
        parts = " ".join(f"{self._directory}/{part}" for part in ("new", "cur", "tmp"))
        host.run("sh", "-c", f"mkdir -p {parts} && chown -R mail:mail {_PLACE}")
        if host.run("systemctl", "is-active", "lab-mailbox", check=False).returncode:
            command = ("dovecot", "-F", "-c", "/etc/dovecot-mailbox.conf")
            host.run("systemd-run", "--collect", "--unit=lab-mailbox", *command)
            wait_for(lambda: host.run("ss", "-Htln", "sport = :143").stdout, f"{host.name}: IMAP", 30)

    def put(self, name: str, message: bytes) -> None:
        """Put a message into it, as its provider got it.

        Args:
            name: of its file.
            message: the message.

        """
        text = base64.b64encode(message).decode()
        self._host.run("python3", "-c", _PUT, f"{self._directory}/tmp/{name}", stdin=text)

    def names(self) -> list[str]:
        """Return the names of the files of the messages that are there."""
        parts = (f"{self._directory}/new", f"{self._directory}/cur")
        found = self._host.run("find", *parts, "-type", "f").stdout
        return sorted(path.rpartition("/")[2].partition(":")[0] for path in found.split())

    def fetch(self, qube: Qube) -> subprocess.CompletedProcess[str]:
        """Let the user of a qube fetch what is new, with fetchmail(1) as it comes.

        Args:
            qube: where fetchmail is installed.

        """
        control = (
            f'poll {self._host.name} protocol imap auth password username "{self._name}" password "fetched"'
            ' is "user" here sslproto ""\n'
        )
        qube.write("/home/user/.fetchmailrc", control)
        qube.run("sh", "-c", "cd /home/user && chown user:user .fetchmailrc && chmod 0600 .fetchmailrc")
        return qube.run("fetchmail", user="user", check=False, timeout=120)
