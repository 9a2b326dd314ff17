# SPDX-License-Identifier: Apache-2.0
"""A mailbox at a mail provider, for fetchmail(1) to empty: Dovecot's IMAP and POP3 on a mail host of the lab.

They are there over TLS with the certificate of the host, by STARTTLS, and in clear text.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from .container import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from .certificates import Certificate
    from .qube import Qube
    from .relay import MailHost

_PLACE = "/var/lib/lab-mailbox"
_USERS = "/etc/dovecot-mailbox.users"
_LOG = "/run/dovecot-mailbox.log"
PASSWORD = "fetched"
"""That of each mailbox."""
_CONF = f"""\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = /run/dovecot-mailbox
state_dir = /run/dovecot-mailbox
log_path = {_LOG}
protocols = imap pop3
ssl = yes
ssl_server_cert_file = /etc/postfix/certificate.pem
ssl_server_key_file = /etc/postfix/key.pem
!include_try /etc/dovecot-mailbox.names
auth_allow_cleartext = yes
auth_failure_delay = 0
auth_verbose = yes
auth_mechanisms = plain
mail_driver = maildir
mail_path = {_PLACE}/%{{user}}
first_valid_uid = 1
passdb passwd-file {{
  passwd_file_path = {_USERS}
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
import base64, json, os, shutil, sys
place = sys.argv[1]
for part in ("", "cur", "new", "tmp"):
    if not os.path.isdir(os.path.join(place, part)):
        os.mkdir(os.path.join(place, part))
        shutil.chown(os.path.join(place, part), "mail", "mail")
for name, text in json.load(sys.stdin).items():
    path = os.path.join(place, "tmp", name)
    with open(path, "wb") as file:
        file.write(base64.b64decode(text))
    shutil.chown(path, "mail", "mail")
    os.rename(path, os.path.join(place, "new", name))
"""


class Mailbox:
    """A mailbox.

    Args:
        host: where; it runs.
        name: its user.
        password: that of its user.

    """

    def __init__(self, host: MailHost, name: str, password: str = PASSWORD) -> None:
        self._host = host
        self.name = name
        self.password = password
        self._directory = f"{_PLACE}/{name}"
        host.write("/etc/dovecot-mailbox.conf", _CONF)
        parts = " ".join(f"{self._directory}/{part}" for part in ("new", "cur", "tmp"))
        host.run("sh", "-c", f"mkdir -p {parts} && chown -R mail:mail {_PLACE}")
        encoded = base64.b64encode(password.encode()).decode()
        host.run("sh", "-c", f"cat >>{_USERS}", stdin=f"{name}:{{PLAIN.b64}}{encoded}\n")
        if host.run("systemctl", "is-active", "lab-mailbox", check=False).returncode:
            command = ("dovecot", "-F", "-c", "/etc/dovecot-mailbox.conf")
            host.run("systemd-run", "--collect", "--unit=lab-mailbox", *command)
            wait_for(lambda: host.run("ss", "-Htln", "sport = :143").stdout, f"{host.name}: IMAP", 30)

    def put(self, name: str, message: bytes, folder: str = "") -> None:
        """Put a message into it, as its provider got it.

        Args:
            name: of its file.
            message: the message.
            folder: one beside the inbox.

        """
        self.put_all({name: message}, folder)

    def put_all(self, messages: Mapping[str, bytes], folder: str = "") -> None:
        """Put messages into it, by the names of their files.

        Args:
            messages: the messages.
            folder: one beside the inbox.

        """
        texts = {name: base64.b64encode(message).decode() for name, message in messages.items()}
        place = f"{self._directory}/.{folder}" if folder else self._directory
        self._host.run("python3", "-c", _PUT, place, stdin=json.dumps(texts))

    def names(self) -> list[str]:
        """Return the names of the files of the messages that are there, in whatever folder."""
        found = self._host.run("find", self._directory, "-type", "f", "-path", "*/[nc][eu][wr]/*").stdout
        return sorted(path.rpartition("/")[2].partition(":")[0] for path in found.split())

    def known_as(self, name: str, certificate: Certificate) -> None:
        """Let the server show another certificate to who asks for another name (SNI), from its start on.

        Args:
            name: that name.
            certificate: of that name.

        """
        files = {"pem": certificate.certificate, "key": certificate.key}
        for kind, text in files.items():
            self._host.write(f"/etc/dovecot-{name}.{kind}", text)
        section = (
            f"local_name {name} {{\n  ssl_server_cert_file = /etc/dovecot-{name}.pem\n"
            f"  ssl_server_key_file = /etc/dovecot-{name}.key\n}}\n"
        )
        self._host.write("/etc/dovecot-mailbox.names", section)
        self._host.run("doveadm", "-c", "/etc/dovecot-mailbox.conf", "reload")

    def keeps(self) -> list[str]:
        """Return the log's lines on this mailbox, oldest first: who logged in, how, and who was refused."""
        lines = self._host.run("cat", _LOG).stdout.splitlines()
        return [line for line in lines if f"user=<{self.name}>" in line or f"({self.name}," in line]

    def logins(self) -> list[str]:
        """Return the log's lines on who logged in to this mailbox, oldest first."""
        return [line for line in self.keeps() if " Login: " in line or "Logged in" in line]

    def fetch(self, qube: Qube) -> subprocess.CompletedProcess[str]:
        """Let the user of a qube fetch what is new, with fetchmail(1) as it comes.

        Args:
            qube: where fetchmail is installed.

        """
        control = (
            f'poll {self._host.name} protocol imap auth password username "{self.name}" password "{PASSWORD}"'
            ' is "user" here sslproto ""\n'
        )
        qube.write("/home/user/.fetchmailrc", control)
        qube.run("sh", "-c", "cd /home/user && chown user:user .fetchmailrc && chmod 0600 .fetchmailrc")
        return qube.run("fetchmail", user="user", check=False, timeout=120)
