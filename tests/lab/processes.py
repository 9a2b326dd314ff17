# SPDX-License-Identifier: Apache-2.0
"""The processes that the lab starts: none of them is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cgroup:
    """A control group that holds all processes which the lab starts, so that none is left behind.

    Args:
        path: its directory, not there yet.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    @classmethod
    def of_lab(cls, name: str) -> Cgroup:
        """Make the control group of a lab below the one that this process is in."""
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, mounted, kind, *_ = line.split()
            if kind == "cgroup2":
                break
        else:
            raise LabError("no cgroup2 file system is mounted on this machine; the containers need one")
        own = next(
            line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
        )
        return cls(Path(mounted + own.rstrip("/")) / name)

    def child(self, name: str) -> Cgroup:
        """Make a control group inside this one."""
        return Cgroup(self.path / name)

    def entering(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs ``command`` in this control group."""
        script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return ["/bin/sh", "-c", script, str(self.path), *command]

    def pids(self) -> list[int]:
        """Return the processes in this control group and those inside it."""
        return [int(pid) for procs in self.path.rglob("cgroup.procs") for pid in words_of(procs)]

    def remove(self) -> None:
        """End what is still running here, and remove the control group."""
        deadline = time.monotonic() + 10
        while self.path.exists():
            for pid in self.pids():
                send_signal(pid, signal.SIGKILL)
            for directory, _, _ in os.walk(self.path, topdown=False):
                try:
                    Path(directory).rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.02)


def words_of(path: Path) -> list[str]:
    """Return the words of a file below /proc or of a control group; none when what it tells of has ended."""
    try:
        return path.read_text().split()
    except OSError:  # the group, or the process, ended meanwhile
        return []


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process, if there still is one."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def call(
    command: Sequence[str],
    *,
    timeout: float,
    stdin: str = "",
    **options: Any,  # noqa: ANN401
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own, of which nothing goes on when it takes too long.

    Args:
        command: program and its arguments.
        timeout: seconds that it may take.
        stdin: what it reads.
        options: further ones of subprocess.Popen.

    Returns:
        what subprocess.run returns, output as text.

    Raises:
        subprocess.TimeoutExpired: it took too long.

    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,
        **options,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
