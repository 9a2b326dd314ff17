# SPDX-License-Identifier: Apache-2.0
"""Containers of the lab: systemd(1) booted by systemd-nspawn(1) on an overlay, in namespaces of their own.

A container's root is mounted in a mount namespace that only the container lives in, and its network
namespace has no name; both end with its last process. So nothing of a container outlives the lab, not
even when the lab is killed.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import LabError
from .processes import Cgroup, call, send_signal, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

log = logging.getLogger(__name__)

# Where systemd-nspawn keeps things by the container's name, which is not unique among labs.
_NSPAWN = "/run/systemd/nspawn"

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Container:
    """A host of the lab.

    Args:
        name: its host name, unique in the lab.
        place: directory for its files; made here.
        cgroup: the lab's control group.

    """

    def __init__(self, name: str, place: Path, cgroup: Cgroup) -> None:
        self.name = name
        self.place = place
        self._lab_cgroup = cgroup
        self._cgroup: Cgroup | None = None
        self._process: subprocess.Popen[str] | None = None
        self._leader: int | None = None
        self._lock = threading.RLock()
        place.mkdir(mode=0o755)

    # What differs from one kind of host to another.

    def layers(self) -> list[Path]:
        """Return the directories of the root's overlay, the writable one first."""
        raise NotImplementedError

    def binds(self) -> dict[str, tuple[Path, str]]:
        """Return what is bound into the container: place there -> (directory here, ``rw`` or ``ro``)."""
        return {}

    def wire(self, process: int) -> None:
        """Give the network namespace of a process the interfaces of this host."""

    # Starting and stopping.

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def leader(self) -> int:
        """The process that is PID 1 in the container, as seen from outside."""
        if self._leader is None or not self.running:
            raise LabError(f"{self.name} is not running")
        return self._leader

    def boot(self, timeout: float = 60) -> None:
        """Boot the container and wait until its start-up has come to an end.

        Args:
            timeout: seconds to wait.

        """
        with self._lock:
            if self.running:
                raise LabError(f"{self.name} is running already")
            began = time.monotonic()
            self._spawn()
            self._await_boot(began + timeout)
            log.debug("%s booted in %.1f s", self.name, time.monotonic() - began)

    def _spawn(self) -> None:
        work, root = self.place / "work", self.place / "root"
        for path in (work, root):
            path.mkdir(exist_ok=True)
        upper, *lower = self.layers()
        shutil.rmtree(work / "work", ignore_errors=True)
        options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work},index=off"
        if len(options) > 3900:
            raise LabError(f"{self.name} has too many layers; clone the template anew")
        nspawn = [
            "systemd-nspawn",
            f"--directory={root}",
            f"--machine={self.name}",
            f"--hostname={self.name}",
            "--register=no",
            "--keep-unit",
            "--quiet",
            "--console=pipe",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            # Nothing here is meant to outlive the machine that it runs on.
            "--suppress-sync=yes",
            # systemd-nspawn keeps it by itself only where it makes the network namespace.
            "--capability=CAP_NET_ADMIN",
            "--network-namespace-path=/proc/self/ns/net",
        ]
        for there, (here, access) in self.binds().items():
            nspawn.append(f"--bind{'-ro' if access == 'ro' else ''}={here}:{there}")
        # It waits for a line: by then its network is there.
        script = (
            f"mount -t overlay overlay -o {shlex.quote(options)} {shlex.quote(str(root))} && "
            f"mkdir -p {_NSPAWN} && mount -t tmpfs tmpfs {_NSPAWN} && echo ready && read -r _ && "
            "exec 0</dev/null && exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 "
            + shlex.join([*nspawn, "--boot"])
        )
        self._cgroup = self._lab_cgroup.child(self.name)
        command = ["unshare", "--mount", "--net", "--propagation=private", "/bin/sh", "-c", script]
        with self.console.open("w") as errors:
            self._process = subprocess.Popen(
                self._cgroup.entering(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self._fail_boot("its root could not be mounted")
        threading.Thread(target=self._drain, args=(self._process,), daemon=True).start()
        self.wire(self._process.pid)
        self._process.stdin.write("\n")
        self._process.stdin.close()

    def _drain(self, process: subprocess.Popen[str]) -> None:
        with self.console.open("a") as console:
            for line in process.stdout or ():
                console.write(line)
                console.flush()

    def _await_boot(self, deadline: float) -> None:
        state = ""
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                self._fail_boot(f"systemd-nspawn ended with {self._process.returncode}")
            self._leader = self._find_leader()
            if self._leader is not None:
                left = max(1.0, deadline - time.monotonic())
                try:
                    done = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=left)
                except subprocess.TimeoutExpired:
                    break
                state = done.stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.03)
        jobs = self.run("systemctl", "list-jobs", "--no-pager", check=False).stdout if self._leader else ""
        self._fail_boot(f"it did not come up in time (state: {state!r})\n{jobs}")

    def _find_leader(self) -> int | None:
        assert self._process is not None
        pid = self._process.pid
        for child in words_of(Path(f"/proc/{pid}/task/{pid}/children")):
            status = dict(
                line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines()
            )
            if status["NSpid"].split()[-1] == "1" and status["Name"].strip() == "systemd":
                return int(child)
        return None

    def _fail_boot(self, why: str) -> None:
        self.halt(force=True)
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        raise LabError(f"{self.name} did not boot: {why}\n" + "\n".join(text.splitlines()[-40:]))

    @property
    def console(self) -> Path:
        """The file with what the container wrote to its console."""
        return self.place / "console"

    def halt(self, *, force: bool = False, timeout: float = 30) -> None:
        """Stop the container.

        Args:
            force: cut the power instead of shutting down.
            timeout: seconds until the power is cut anyway.

        """
        with self._lock:
            process = self._process
            if process is None:
                return
            if process.poll() is None:
                leader = self._leader if self._leader is not None else self._find_leader()
                if leader is None:
                    process.kill()
                else:
                    # systemd(1): SIGRTMIN+4 starts poweroff.target.
                    send_signal(leader, signal.SIGKILL if force else signal.SIGRTMIN + 4)
                try:
                    process.wait(timeout)
                except subprocess.TimeoutExpired:
                    log.error("%s did not shut down in %.0f s; its power is cut", self.name, timeout)
                    self._cgroup_remove()
                    process.wait(10)
            self._process = self._leader = None
            self._cgroup_remove()

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """Stop all processes of the container, as when the machine is suspended, and let them go on afterwards."""
        assert self._cgroup is not None
        stopped = self._cgroup.pids()
        for pid in stopped:
            send_signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                send_signal(pid, signal.SIGCONT)

    def reap(self) -> None:
        """Take note that the container's processes were ended by somebody else."""
        if self._process is not None:
            self._process.wait(10)
            self._process = self._leader = None

    def _cgroup_remove(self) -> None:
        if self._cgroup is not None:
            self._cgroup.remove()

    # What a test does with a host.

    def entering(
        self, command: Sequence[str], user: str = "root", env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return a command that runs ``command`` in the container, with the environment of a login.

        Args:
            command: program and its arguments.
            user: who runs it.
            env: environment variables to add.

        """
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {
            "HOME": home,
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "PATH": PATH,
            "LANG": "C.UTF-8",
        }
        settings = [f"{key}={value}" for key, value in (variables | dict(env or {})).items()]
        group = "nogroup" if user == "nobody" else user
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--"]
        return [
            "nsenter",
            f"--target={self.leader}",
            "--all",
            *(become if user != "root" else ()),
            "env",
            "--chdir=/",
            "-i",
            *settings,
            *command,
        ]

    def run(
        self,
        *command: str,
        user: str = "root",
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the container.

        Args:
            command: program and its arguments.
            user: who runs it.
            stdin: what it reads.
            check: fail when it exits with anything but 0.
            timeout: seconds that it may take.
            env: environment variables to add.

        Returns:
            what subprocess.run returns, output as text.

        Raises:
            LabError: it failed and ``check`` is set; the message holds its output.
            subprocess.TimeoutExpired: it took too long.

        """
        assert self._cgroup is not None
        entered = self._cgroup.entering(self.entering(command, user, env))
        done = call(entered, timeout=timeout, stdin=stdin or "")
        if check and done.returncode:
            raise LabError(
                f"{self.name}: {shlex.join(command)} exited with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def read(self, path: str) -> str:
        """Return the content of a file of the running container."""
        return self.run("cat", "--", path).stdout

    def write(self, path: str, content: str, *, mode: str = "0644", owner: str = "root:root") -> None:
        """Write a file in the running container, and the directories above it.

        Args:
            path: where.
            content: what.
            mode: octal.
            owner: ``user:group``.

        """
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1" && chown "$3" "$1"'
        self.run("/bin/sh", "-c", script, "sh", path, mode, owner, stdin=content)

    def journal(self, unit: str | None = None, *, since: str | None = None) -> str:
        """Return the journal since the last start.

        Args:
            unit: of this unit only, as ``postfix.service``.
            since: from there on, as journalctl(1) takes it.

        """
        options = [f"--unit={unit}"] if unit else []
        options += [f"--since={since}"] if since else []
        return self.run("journalctl", "--no-pager", "--output=short-precise", "--quiet", *options).stdout

    def diagnosis(self) -> str:
        """Return what helps to see why something did not happen here."""
        if not self.running:
            return f"{self.name} is not running"
        # What systemd itself does when all goes well is of no interest.
        lines = [line for line in self.journal().splitlines() if " systemd" not in line or "ailed" in line]
        return f"--- journal of {self.name}\n" + "\n".join(lines[-60:])


def wait_for(
    predicate: Callable[[], Any],
    what: str,
    timeout: float = 30,
    pause: float = 0.1,
    diagnosis: Callable[[], str] = str,
) -> Any:  # noqa: ANN401
    """Wait until a predicate returns something true, and return that.

    Args:
        predicate: called again and again.
        what: said in the message when it does not come about.
        timeout: seconds to wait.
        pause: seconds between two calls.
        diagnosis: gives the rest of that message.

    Raises:
        LabError: it did not come about.

    """
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:.0f} s in vain for: {what}\n{diagnosis()}")
        time.sleep(pause)
