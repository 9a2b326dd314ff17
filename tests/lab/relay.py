# SPDX-License-Identifier: Apache-2.0
"""Mail providers: hosts of the outside world with Postfix and Dovecot, that keep what they accept.

What is here is what a submission server of a provider does: TLS before any login, a login before any
mail, and each login may use its own sender addresses only. The source is Postfix's SASL_README and
Dovecot's "Postfix and Dovecot SASL".
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import container
from .container import Container
from .kept_mail import KEEP, Mail
from .mail_host_files import DOVECOT_CONF, MAIN_CF, MASTER_CF
from .network import WORLD, in_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from .certificates import Certificate
    from .network import Network
    from .processes import Cgroup


@dataclass(frozen=True)
class Login:
    """An attempt to log in.

    Args:
        user: who.
        ok: whether it succeeded.
        mechanism: SASL mechanism.

    """

    user: str
    ok: bool
    mechanism: str


class MailHost(Container):
    """A host that accepts mail and keeps it.

    Args:
        name: its host name, known to DNS.
        place: directory for its files.
        cgroup: the lab's control group.
        network: the lab's network.
        root: root filesystem with Postfix and Dovecot.
        certificate: what it shows.
        settings: parameters for its main.cf, over its own.
        mx_for: mail domains that it is the MX of.

    """

    services = ""
    tls = "may"
    sasl = "no"
    senders = ""
    relays = "permit_mynetworks, reject"
    networks = "0.0.0.0/0"
    masked = ("dnsmasq", "dovecot")

    def __init__(
        self,
        name: str,
        place: Path,
        cgroup: Cgroup,
        network: Network,
        root: Path,
        certificate: Certificate,
        mx_for: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, place, cgroup)
        self._settings = dict(settings or {})
        self._network = network
        self._root = root
        self.certificate = certificate
        self.address = network.new_address("world")
        network.add_name(name, self.address, mx_for)
        self._kept = place / "kept"
        self._kept.mkdir(mode=0o777)
        self._kept.chmod(0o777)
        self._mails: dict[str, Mail] = {}
        self._mail_lock = threading.Lock()
        self._since: str | None = None
        self._unreachable = False
        for path, (content, mode) in self.files().items():
            file = place / "upper" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
            file.chmod(mode)
            # Postfix waits for a main.cf of these seconds to "cool down" (src/util/dict.c).
            os.utime(file, (time.time() - 60,) * 2)
        wants = place / "upper/etc/systemd/system"
        wants.mkdir(parents=True, exist_ok=True)
        for unit in self.masked:
            (wants / f"{unit}.service").symlink_to("/dev/null")

    def files(self) -> dict[str, tuple[str, int]]:
        """Return path -> content and mode of the host's configuration."""
        main = MAIN_CF.format(
            name=self.name,
            networks=self.networks,
            tls=self.tls,
            sasl=self.sasl,
            senders=self.senders,
            relays=self.relays,
        )
        main += "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        return {
            "etc/postfix/main.cf": (main, 0o644),
            "etc/postfix/master.cf": (MASTER_CF.format(services=self.services), 0o644),
            "etc/postfix/certificate.pem": (self.certificate.certificate, 0o644),
            "etc/postfix/key.pem": (self.certificate.key, 0o600),
            "etc/postfix/logins": ("", 0o644),
            "usr/local/bin/keep": (KEEP, 0o755),
            "etc/dovecot/dovecot.conf": (DOVECOT_CONF.format(mechanisms=self.mechanisms()), 0o644),
            "etc/dovecot/users": ("", 0o644),
            "etc/hostname": (self.name + "\n", 0o644),
            "etc/resolv.conf": ("nameserver 10.139.1.1\n", 0o644),
            # What a test looks for has to be there, also after a restart of the host.
            "etc/systemd/journald.conf.d/lab.conf": (
                "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n",
                0o644,
            ),
        }

    def mechanisms(self) -> str:
        """Return the SASL mechanisms that are offered."""
        return "plain"

    def layers(self) -> list[Path]:
        return [self.place / "upper", self._root]

    def binds(self) -> dict[str, tuple[Path, str]]:
        return {"/var/lib/kept": (self._kept, "rw")}

    def wire(self, process: int) -> None:
        self._network.plug(process)
        in_namespace(process, "ip", "address", "add", f"{self.address}/{WORLD.prefixlen}", "dev", "eth0")
        in_namespace(process, "ip", "link", "set", "eth0", "up")
        in_namespace(process, "ip", "route", "add", "default", "via", str(WORLD[1]))

    def start(self) -> None:
        """Start the host."""
        if self._unreachable:
            self._network.set_reachable(self.address, reachable=True)
            self._unreachable = False
        self.boot()

    def stop(self, *, silent: bool = False) -> None:
        """Stop the host.

        Args:
            silent: let clients wait in vain, instead of telling them at once that there is no such host.

        """
        self.halt()
        if not silent and not self._unreachable:
            self._network.set_reachable(self.address, reachable=False)
            self._unreachable = True

    # What tests look at.

    def received(self, subject: str | None = None, timeout: float = 0) -> list[Mail]:
        """Return the messages accepted so far, oldest first.

        Args:
            subject: only those with this subject.
            timeout: seconds to wait for the first one, if there is none.

        """
        if timeout:
            self.wait_for_mail(
                lambda mail: subject is None or mail.subject == subject, f"a mail {subject!r}", timeout
            )
        return [mail for mail in self._all() if subject is None or mail.subject == subject]

    def wait_for(self, subject: str, timeout: float = 30, diagnosis: Callable[[], str] = str) -> Mail:
        """Wait for the message with a subject, and return it.

        Args:
            subject: its subject.
            timeout: seconds to wait.
            diagnosis: gives text for the message when it does not come, as ``qube.diagnosis``.

        """
        return self.wait_for_mail(
            lambda mail: mail.subject == subject, f"the mail {subject!r}", timeout, diagnosis
        )

    def wait_for_mail(
        self,
        wanted: Callable[[Mail], bool],
        what: str,
        timeout: float = 30,
        diagnosis: Callable[[], str] = str,
    ) -> Mail:
        """Wait for a message that fits, and return the first one.

        Args:
            wanted: tells whether a message is it.
            what: said in the message when it does not come.
            timeout: seconds to wait.
            diagnosis: gives more text for that message.

        """

        def explain() -> str:
            return f"{diagnosis()}\n{self.diagnosis()}"

        def look() -> Mail | None:
            return next(filter(wanted, self._all()), None)

        found = container.wait_for(look, f"{self.name}: {what}", timeout, diagnosis=explain)
        assert isinstance(found, Mail)
        return found

    def _all(self) -> list[Mail]:
        with self._mail_lock:
            for path in sorted(self._kept.glob("*.json")):
                if path.name not in self._mails:
                    kept = json.loads(path.read_text())
                    kept["raw"] = base64.b64decode(kept["raw"])
                    self._mails[path.name] = Mail(**kept)
            return list(self._mails.values())

    def forget(self) -> None:
        """Forget all that was received and logged so far."""
        with self._mail_lock:
            for path in self._kept.glob("*.json"):
                path.unlink()
            self._mails.clear()
        self._since = f"@{time.time():.6f}"

    def log(self) -> str:
        """Return what the host's services logged, over all its starts."""
        return self.journal(since=self._since)

    def connections(self) -> list[str]:
        """Return the addresses of all clients that ever connected, oldest first."""
        return re.findall(r"smtpd\[\d+\]: connect from \S*\[([0-9.]+)\]", self.log())


class MX(MailHost):
    """The host that receives the mail of the recipients' domains: whatever comes, from anybody."""

    services = "smtp      inet  n       -       n       -       -       smtpd"


class Relay(MailHost):
    """A mail provider's submission server.

    Args:
        users: login -> password.
        senders: sender address -> login that may use it; without it each login is its own address.
        mechanisms: SASL mechanisms that it offers.

    The rest is as for :class:`MailHost`.

    """

    services = """\
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
submissions inet n      -       n       -       -       smtpd
  -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes"""
    tls = "encrypt"
    sasl = "yes"
    senders = "reject_sender_login_mismatch"
    relays = "permit_sasl_authenticated, reject"
    networks = "127.0.0.0/8"
    masked = ("dnsmasq",)

    def __init__(
        self,
        *where: object,
        users: Mapping[str, str],
        senders: Mapping[str, str] | None = None,
        mechanisms: Iterable[str] = ("plain", "login", "scram-sha-256"),
        **options: object,
    ) -> None:
        self._users = dict(users)
        self._senders = dict(senders or {})
        self._mechanisms = " ".join(mechanisms)
        super().__init__(*where, **options)

    def mechanisms(self) -> str:
        return self._mechanisms

    def files(self) -> dict[str, tuple[str, int]]:
        return super().files() | {
            "etc/postfix/logins": (self._logins_text(), 0o644),
            "etc/dovecot/users": (self._users_text(), 0o644),
        }

    def _logins_text(self) -> str:
        own = {user: user for user in self._users if "@" in user}
        return "".join(f"{sender} {login}\n" for sender, login in (own | self._senders).items())

    def _users_text(self) -> str:
        return "".join(
            f"{user}:{{PLAIN.b64}}{base64.b64encode(password.encode()).decode()}\n"
            for user, password in self._users.items()
        )

    def set_user(self, user: str, password: str | None, senders: Iterable[str] = ()) -> None:
        """Add a user, or change or remove one, while the relay runs.

        Args:
            user: login.
            password: the password; None removes the user.
            senders: sender addresses that the user may use besides the login itself.

        """
        self._senders = {sender: login for sender, login in self._senders.items() if login != user}
        if password is None:
            self._users.pop(user, None)
        else:
            self._users[user] = password
            self._senders |= dict.fromkeys(senders, user)
        files = {"/etc/postfix/logins": self._logins_text(), "/etc/dovecot/users": self._users_text()}
        for path, content in files.items():
            self.write(path + ".new", content)
            self.run("mv", path + ".new", path)
        self.run("postfix", "reload")

    def logins(self) -> list[Login]:
        """Return the attempts to log in, oldest first."""
        mechanisms: dict[tuple[str, str], str] = {}
        found = []
        for line in self.log().splitlines():
            asked = re.search(r"(conn unix:.*\]): client in: AUTH\s+(\d+)\s+(\S+)", line)
            if asked:
                mechanisms[asked[1], asked[2]] = asked[3]
            told = re.search(
                r"(conn unix:.*\]): client passdb out: (OK|FAIL)\s+(\d+)\s+(?:user=([^\t]*))?", line
            )
            if told:
                user = (told[4] or "").rstrip()
                found.append(Login(user, told[2] == "OK", mechanisms.get((told[1], told[3]), "")))
        return found


class Server(MailHost):
    """A host that runs a program of a test in the place of a mail server.

    What the program prints is in :meth:`log`; a certificate and its key are in
    ``/etc/postfix/certificate.pem`` and ``/etc/postfix/key.pem``.

    Args:
        script: the program, in Python; it runs as root.

    The rest is as for :class:`MailHost`.

    """

    masked = ("dnsmasq", "dovecot", "postfix")

    def __init__(self, *where: object, script: str, **options: object) -> None:
        self._script = script
        super().__init__(*where, **options)
        wants = self.place / "upper/etc/systemd/system/multi-user.target.wants"
        wants.mkdir()
        (wants / "lab-server.service").symlink_to("../lab-server.service")

    def files(self) -> dict[str, tuple[str, int]]:
        unit = "[Service]\nExecStart=/usr/bin/python3 -u /usr/local/bin/lab-server\n"
        return super().files() | {
            "usr/local/bin/lab-server": (self._script, 0o755),
            "etc/systemd/system/lab-server.service": (unit, 0o644),
        }
