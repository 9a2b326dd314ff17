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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from . import rootfs
from .container import Cgroup, LabError
from .network import Network
from .qube import Machine, Qube, Standalone, Template
from .qubesctl import Qubesctl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

log = logging.getLogger(__name__)

_Machine = TypeVar("_Machine", bound=Machine)

# Ends what is left when the lab itself was killed: it waits for the end of the pipe that the lab holds.
_REAPER = """\
trap '' INT TERM HUP
read -r _ || :
[ -e "$0" ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
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
        self._exit = contextlib.ExitStack()
        self._machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise LabError("the lab boots containers: run it as root")
        missing = rootfs.missing_programs()
        if missing:
            raise LabError(f"programs that the lab needs are missing: {', '.join(missing)}")
        self._exit.enter_context(_terminable())
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_up(self) -> None:
        relay_root = rootfs.relay().root
        #: Directory of all of the lab's files; nobody but root sees into it.
        self.place = Path(tempfile.mkdtemp(prefix="lab-"))
        self._exit.callback(_remove, self.place)
        self.cgroup = Cgroup.of_lab(self.place.name)
        self._exit.callback(self.cgroup.remove)
        self._start_reaper()
        (self.place / "machines").mkdir(mode=0o755)
        #: The overlay layer with what Qubes' agent does in a qube.
        self.agent = self._lay_out_agent()
        self.network = Network(self.place / "sys-net", self.cgroup, relay_root)
        self.network.boot()
        self.qubesctl = Qubesctl(self)

    def close(self) -> None:
        """Stop and remove everything. Ctrl-C does not keep it from its end."""
        with _uninterrupted():
            self._exit.close()

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

    def _lay_out_agent(self) -> Path:
        agent = self.place / "agent"
        shutil.copytree(Path(__file__).with_name("guest"), agent)
        for path in (agent, *agent.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)
            os.chown(path, 0, 0)
        units = agent / "usr/lib/systemd/system"
        for unit in list(units.glob("*.service")):
            for line in unit.read_text().splitlines():
                if line.startswith("WantedBy="):
                    wants = units / f"{line.removeprefix('WantedBy=')}.wants"
                    wants.mkdir(exist_ok=True)
                    (wants / unit.name).symlink_to(f"../{unit.name}")
        return agent

    # What there is in the lab.

    def adopt(self, machine: _Machine) -> _Machine:
        """Take a machine into the lab, and return it."""
        if machine.name in self._machines:
            raise LabError(f"there is a machine {machine.name} already")
        self._machines[machine.name] = machine
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

    def remove(self, machine: Machine) -> None:
        """Kill a machine and delete what is left of it, to save memory and disk space during long runs."""
        machine.halt(force=True)
        self._machines.pop(machine.name, None)
        _remove(machine.place)


def _remove(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


@contextlib.contextmanager
def _terminable() -> Any:  # noqa: ANN401
    """Let SIGTERM and SIGHUP end the program as SIGINT does: with its exit handlers."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _uninterrupted() -> Any:  # noqa: ANN401
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
