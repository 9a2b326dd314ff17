# SPDX-License-Identifier: Apache-2.0
"""A lab: templates, qubes, the mail providers that they send through, and a network for all of them."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from . import accounts, rootfs
from .certificates import Authority
from .container import Cgroup, Container, LabError
from .network import Network
from .qube import Machine, Qube, Standalone, Template
from .qubesctl import Qubesctl
from .relay import MX, MailHost, Relay, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

    from .rootfs import Rootfs

log = logging.getLogger(__name__)

_Machine = TypeVar("_Machine", bound=Machine)
_INOTIFY_INSTANCES = 1024
_MEMORY = Path("/dev/shm")
# That a lab's files are kept in memory needs so much of it to be free, in bytes.
_MUCH_MEMORY = 6 * 2**30
_Host = TypeVar("_Host", bound=MailHost)

# Ends what is left when the lab itself was killed: it waits for the end of the pipe that the lab holds.
_REAPER = """\
trap '' INT TERM HUP
read -r _ || :
[ -e "$0" ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    find "$0" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r pid; do kill -9 "$pid"; done
    find "$0" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
done
rm -rf --one-file-system "$1"
"""


class Lab:
    """A lab. Use it as a context manager: at its end nothing of it is left.

    Args:
        progress: called with a line for each long step; by default it goes to the log.

    Raises:
        LabError: this machine cannot hold a lab; the message says why.

    """

    def __init__(self, progress: Callable[[str], None] | None = None) -> None:
        self.progress = progress or log.info
        self._signals = contextlib.ExitStack()
        self._exit = contextlib.ExitStack()
        self._containers: list[Container] = []
        self._machines: dict[str, Machine] = {}
        self._agents: dict[Path, Path] = {}
        self._agents_lock = threading.Lock()
        #: The hosts of the outside world, by name.
        self.relays: dict[str, MailHost] = {}

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise LabError("the lab boots containers: run it as root")
        missing = rootfs.missing_programs()
        if missing:
            raise LabError(f"programs that the lab needs are missing: {', '.join(missing)}")
        _allow_containers()
        self._signals.enter_context(_terminable())
        # Directories here become those that users in a qube see.
        self._exit.callback(os.umask, os.umask(0o022))
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self) -> None:
        #: When the lab began, in seconds since the epoch.
        self.began = time.time()
        self._relay_root = rootfs.relay().root
        #: Directory of all of the lab's files; nobody but root sees into it.
        self.place = Path(tempfile.mkdtemp(prefix="lab-", dir=_directory()))
        self._exit.callback(_remove, self.place)
        self.cgroup = Cgroup.of_lab(self.place.name)
        self._exit.callback(self.cgroup.remove)
        self._exit.callback(self._reap)
        self._start_reaper()
        (self.place / "machines").mkdir(mode=0o755)
        #: The certificate authority that the templates trust.
        self.authority = Authority()
        self.network = Network(self.place / "sys-net", self.cgroup, self._relay_root)
        self._containers.append(self.network)
        self.network.boot()
        self.qubesctl = Qubesctl(self)

    def close(self) -> None:
        """Stop and remove everything. Ctrl-C does not keep it from its end."""
        with _uninterrupted():
            self._exit.close()
        self._signals.close()

    def _start_reaper(self) -> None:
        reaper = subprocess.Popen(
            ["/bin/sh", "-c", _REAPER, str(self.cgroup.path), str(self.place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._exit.callback(reaper.wait)
        assert reaper.stdin is not None
        self._exit.callback(reaper.stdin.close)

    def _reap(self) -> None:
        for container in self._containers:
            container.reap()

    def agent(self, base: Rootfs) -> Path:
        """Return the overlay layer that makes a Debian a Debian of Qubes, and lets it trust the lab's CA.

        Args:
            base: the root filesystem that it is laid on.

        """
        with self._agents_lock:
            if base.root not in self._agents:
                self._agents[base.root] = self._lay_out_agent(
                    base.root, self.place / f"agent{len(self._agents)}"
                )
            return self._agents[base.root]

    def _lay_out_agent(self, base: Path, agent: Path) -> Path:
        shutil.copytree(Path(__file__).with_name("guest"), agent)
        # As update-ca-certificates(8) leaves it, and keeps it when it runs again.
        conf, bundle, own = "etc/ca-certificates.conf", "etc/ssl/certs/ca-certificates.crt", "lab/lab-ca.crt"
        for path, text in (
            (conf, (base / conf).read_text() + own + "\n"),
            (bundle, (base / bundle).read_text() + self.authority.certificate),
            (f"usr/share/ca-certificates/{own}", self.authority.certificate),
        ):
            (agent / path).parent.mkdir(parents=True, exist_ok=True)
            (agent / path).write_text(text)
        for path in (agent, *agent.rglob("*")):
            program = path.suffix == ".sh" or path.parent.name == "bin"
            path.chmod(0o755 if path.is_dir() or program else 0o644)
            os.chown(path, 0, 0)
        units = agent / "usr/lib/systemd/system"
        for unit in list(units.glob("*.service")):
            for line in unit.read_text().splitlines():
                if line.startswith("WantedBy="):
                    wants = units / f"{line.removeprefix('WantedBy=')}.wants"
                    wants.mkdir(exist_ok=True)
                    (wants / unit.name).symlink_to(f"../{unit.name}")
        # As old as can be: a /usr that changed makes systemd update what depends on it, at each boot.
        os.utime(agent / "usr", (0, 0))
        return agent

    # What there is in the lab.

    def adopt(self, machine: _Machine) -> _Machine:
        """Take a machine into the lab, and return it."""
        if machine.name in self._machines:
            raise LabError(f"there is a machine {machine.name} already")
        self._machines[machine.name] = machine
        self._containers.append(machine)
        return machine

    def template(self, name: str, *, suite: str = "trixie") -> Template:
        """Return a new template, halted: an untouched Debian.

        Args:
            name: its name.
            suite: Debian's code name for the release.

        """
        return self.adopt(Template(self, name, rootfs.template(suite), []))

    def qube(
        self,
        name: str,
        *,
        template: Template,
        type: str = "app",  # noqa: A002
        pillar: Mapping[str, Any] | str | None = None,
        start: bool = True,
        **options: Any,  # noqa: ANN401
    ) -> Qube | Standalone:
        """Return a new qube, started.

        Args:
            name: its name.
            template: what it is based on.
            type: ``app``, ``standalone`` (a copy of the template), ``disposable``, or ``admin`` (what
                the pillar of dom0 says of its type).
            pillar: what its pillar in dom0 says: a mapping, or the text of an SLS.
            start: whether to start it.
            options: ``netvm``, ``services`` and ``tags`` of :class:`.qube.Machine`.

        """
        kind = Standalone if type in ("standalone", "admin") else Qube
        qube = self.adopt(kind(self, name, template, type, pillar=pillar, **options))
        if start:
            qube.start()
        return qube

    # The outside world.

    @cached_property
    def mx(self) -> MX:
        """The host that receives mail for :data:`.accounts.RECIPIENTS` and for the providers' domains.

        It takes whatever reaches it. Nothing of a qube ever should.
        """
        domains = (accounts.RECIPIENTS, *(name.partition(".")[2] for name in accounts.PROVIDERS))
        return self._host(MX, f"mx.{accounts.RECIPIENTS}", mx_for=domains)

    def relay(
        self,
        name: str,
        *,
        users: Mapping[str, str] | None = None,
        senders: Mapping[str, str] | None = None,
        certificate: str = "valid",
        settings: Mapping[str, str] | None = None,
        mechanisms: tuple[str, ...] = ("plain", "login", "scram-sha-256"),
    ) -> Relay:
        """Return a mail provider's submission server, started; the one that is there already, if it is.

        Args:
            name: its host name.
            users: login -> password; by default those of the accounts in :mod:`.accounts`.
            senders: sender address -> login that may use it, besides each login its own.
            certificate: what it shows; one of :data:`.certificates.KINDS`.
            settings: parameters for its main.cf, over its own.
            mechanisms: SASL mechanisms that it offers.

        """
        there = self.relays.get(name)
        if there is not None:
            assert isinstance(there, Relay)
            return there
        assert self.mx.running
        if users is None:
            users = {account.login: account.password for account in accounts.PROVIDERS[name]}
            senders = {account.address: account.login for account in accounts.PROVIDERS[name]}
        return self._host(
            *(Relay, name, certificate),
            users=users,
            senders=senders,
            settings=settings,
            mechanisms=mechanisms,
        )

    def server(self, name: str, script: str, *, certificate: str = "valid") -> Server:
        """Return a host that runs a program in the place of a mail server, started.

        Args:
            name: its host name.
            script: the program, in Python.
            certificate: what it finds in /etc/postfix; one of :data:`.certificates.KINDS`.

        """
        return self._host(Server, name, certificate, script=script)

    def forget_mail(self) -> None:
        """Let all mail hosts forget what they got and logged so far."""
        for host in self.relays.values():
            host.forget()

    def _host(self, kind: type[_Host], name: str, certificate: str = "valid", **options: Any) -> _Host:  # noqa: ANN401
        self.progress(f"starting {name}")
        place = self.place / "machines" / name
        issued = self.authority.issue(name, certificate)
        host = kind(name, place, self.cgroup, self.network, self._relay_root, issued, **options)
        self.relays[name] = host
        self._containers.append(host)
        host.start()
        return host

    def tidy(self, keep: Iterable[str]) -> None:
        """Kill and delete the machines, and stop the mail hosts, that are not to be kept.

        Args:
            keep: names of machines and of mail hosts; halted templates stay anyway, others may be made of them.

        """
        names = {*keep}
        for machine in [machine for machine in self._machines.values() if machine.name not in names]:
            if machine.running or machine.type != "template":
                self.remove(machine)
        for host in self.relays.values():
            if host.running and host.name not in names:
                host.stop()

    def remove(self, machine: Machine) -> None:
        """Kill a machine and delete what is left of it, to save memory and disk space during long runs."""
        machine.halt(force=True)
        self._machines.pop(machine.name, None)
        self._containers.remove(machine)
        _remove(machine.place)


def _allow_containers() -> None:
    """Let root have as many inotify(7) instances as two labs need: a systemd takes about eight, and 128 are usual.

    It holds until the machine is rebooted.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < _INOTIFY_INSTANCES:
        with contextlib.suppress(OSError):
            limit.write_text(str(_INOTIFY_INSTANCES))


def _remove(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


def _directory() -> str | None:
    """Return where a lab's files go: into memory if there is much, since its machines write and sync all the time."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        free = shutil.disk_usage(_MEMORY).free if _MEMORY.is_mount() else 0
        if "TMPDIR" not in os.environ and min(available, free) > _MUCH_MEMORY:
            return str(_MEMORY)
    return None


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the program as SIGINT does, and end it when all is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    old = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        if came:
            os.kill(os.getpid(), came[0])


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep SIGINT, SIGTERM and SIGHUP from interrupting what is inside."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
