# SPDX-License-Identifier: Apache-2.0
"""Qubes' own qubesctl, qubessalt, topd and qubes.SaltLinuxVM, unmodified, on the lab's templates and qubes.

dom0 and each management disposable are this machine with an overlay of their own over its root file system. The sources
are in the directory that QUBES_SOURCES names: checkouts of qubes-mgmt-salt, qubes-mgmt-salt-base and
qubes-mgmt-salt-base-topd.
"""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.checkout import ROOT

if TYPE_CHECKING:
    from ..lab import Lab
    from ..qube import Machine

SOURCES = Path(os.environ.get("QUBES_SOURCES", "/nonexistent"))
_HERE = Path(__file__).parent
_VENV = Path(sys.executable).parent
_KLASS = {"template": "TemplateVM", "standalone": "StandaloneVM", "app": "AppVM"}
_POLICY = "etc/qubes/policy.d/30-qubesctl-salt.policy"
# A root file system of its own for a program: overlay, and what is mounted in the one below.
_ENTER = """\
place=$1 shared=$2
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work,index=off" "$place/root" || exit 1
for path in /proc /dev /sys $shared; do
    mkdir -p "$place/root$path" && mount --rbind "$path" "$place/root$path" || exit 1
done
shift 2
exec chroot "$place/root" "$@"
"""


class Root:
    """An overlay over the root file system of this machine."""

    def __init__(self, place: Path, shared: list[Path], environment: dict[str, str]) -> None:
        self.place, self.upper = place, place / "upper"
        for path in (self.upper, place / "work", place / "root"):
            path.mkdir(parents=True, mode=0o755)
        self._shared = " ".join(map(str, shared))
        self._environment = environment

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file."""
        file = self.upper / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def entering(self, *command: str) -> list[str]:
        """Return the command that runs another one there."""
        env = [f"{key}={value}" for key, value in self._environment.items()]
        inside = ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", _ENTER, "sh"]
        return [*inside, str(self.place), self._shared, "/usr/bin/env", "-i", "-C", "/", *env, *command]


class _Qubesd(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    dom0: Dom0


class _Answer(socketserver.StreamRequestHandler):
    server: _Qubesd

    def handle(self) -> None:
        action, name = json.loads(self.rfile.readline())
        try:
            answer = {"result": self.server.dom0.does(action, name)}
        except Exception as problem:  # told to who has asked
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        self.wfile.write(json.dumps(answer).encode())


class Dom0:
    """dom0, its qubesd, and its management disposables."""

    def __init__(self, lab: Lab, machines: list[Machine]) -> None:
        self._lab = lab
        self._machines = {machine.name: machine for machine in machines}
        self._disposables: dict[str, Root] = {}
        self._place = lab.place / "own"
        self._place.mkdir()
        self._socket = self._place / "qubesd"
        self._server = _Qubesd(str(self._socket), _Answer)
        self._server.dom0 = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.root = self._new_root("dom0")
        self._lay_out()

    def __getitem__(self, name: str) -> Machine:
        """Return a template or a qube."""
        return self._machines[name]

    def close(self) -> None:
        """End qubesd."""
        self._server.shutdown()
        self._server.server_close()

    def _new_root(self, name: str) -> Root:
        python = f"{SOURCES}/qubes-mgmt-salt:{_HERE}"
        environment = {
            "PATH": f"{_VENV}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PYTHONPATH": python,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LAB_QUBESD": str(self._socket),
        }
        return Root(self._place / name, [self._lab.place, ROOT, SOURCES], environment)

    def _lay_out(self) -> None:
        """Do what the packages' `make install` and %post do."""
        root, upper = self.root, self.root.upper
        salt, base, topd = (SOURCES / f"qubes-mgmt-salt{name}" for name in ("", "-base", "-base-topd"))
        for path in ("etc", "srv"):
            shutil.copytree(salt / path, upper / path, dirs_exist_ok=True)
        shutil.copytree(base / "etc", upper / "etc", dirs_exist_ok=True)
        for source, names in (
            (base, ("_modules", "_states", "_grains", "_utils", "_pillar")),
            (topd, ("topd", "_modules", "_utils")),
        ):
            for name in names:
                shutil.copytree(source / name, upper / "srv/salt" / name, dirs_exist_ok=True)
        shutil.copytree(topd / "pillar", upper / "srv/pillar", dirs_exist_ok=True)
        for root_of in ("salt", "pillar"):
            (upper / "srv" / root_of / "_tops").mkdir(exist_ok=True)
        root.put("etc/salt/minion_id", "dom0")
        (upper / "etc/salt/minion.d/minion.dom0.conf").symlink_to("../minion.dom0.conf")
        root.put("usr/bin/qubesctl", f'#!/bin/sh\nexec {_VENV}/python {salt}/qubesctl "$@"\n', 0o755)
        for path in ("etc/qubes/policy.d", "var/log/qubes", "var/log/salt", "etc/salt/pki"):
            (upper / path).mkdir(parents=True, exist_ok=True)
        subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={upper}"], check=True)
        for words in (
            ["saltutil.sync_all", "refresh=true"],
            ["top.enable", "topd", "saltenv=base"],
            ["top.enable", "topd.config", "saltenv=base", "pillar=true"],
            ["top.enable", "postfix_smarthost", "pillar=true"],
        ):
            self.run("qubesctl", "--dom0-only", *words, check=True)

    def run(self, *command: str, check: bool = False, timeout: float = 500) -> subprocess.CompletedProcess:
        """Run a program in dom0."""
        words = self._lab.cgroup.entering(self.root.entering(*command))
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def qubesctl(self, *words: str) -> subprocess.CompletedProcess:
        """Run qubesctl as the README has it."""
        return self.run("qubesctl", *words)

    def does(self, action: str, name: str) -> Any:  # noqa: ANN401
        """Answer the stand-ins of qubesadmin and qrexec."""
        if action == "names":
            return ["dom0", *self._machines, *self._disposables]
        if action == "add":
            self._disposables[name] = self._new_disposable(name)
            return None
        if action == "about":
            return self._about(name)
        if name in self._disposables:
            return self._does_with_disposable(action, name)
        machine = self._machines[name]
        if action.startswith("call "):
            return self._called(machine, action.removeprefix("call "))
        return {"is_running": lambda: machine.running, "shutdown": machine.shutdown}[action]()

    def _about(self, name: str) -> dict[str, Any]:
        machine = self._machines.get(name)
        template = getattr(machine, "template", None)
        return {
            "klass": _KLASS[machine.type] if machine else "AdminVM" if name == "dom0" else "DispVM",
            "tags": machine.tags if machine else [],
            "qid": 0 if name == "dom0" else 1,
            "template": template.name if template else "",
        }

    def _called(self, machine: Machine, service: str) -> list[str]:
        """Say how the service of a qube is called, if the policy allows it; the qube is started for it."""
        policy = self.root.upper / _POLICY
        rules = policy.read_text() if policy.exists() else ""
        allowed = f"{service} * disp-mgmt-{machine.name} {machine.name} allow user=root\n"
        if allowed not in rules:
            raise PermissionError(f"{service} is denied")
        if not machine.running:
            machine.start()
        return machine.entering([])

    def _new_disposable(self, name: str) -> Root:
        root = self._new_root(name)
        root.put("etc/passwd", Path("/etc/passwd").read_text() + "user:x:1000:1000::/home/user:/bin/sh\n")
        (root.upper / "home/user").mkdir(parents=True)
        root.put("usr/bin/qubesdb-read", "#!/bin/sh\necho user\n", 0o755)
        client = f'#!/bin/sh\nexec {_VENV}/python {_HERE}/qrexec_client_vm.py "$@"\n'
        root.put("usr/bin/qrexec-client-vm", client, 0o755)
        root.put("etc/qubes-rpc/qubes.VMRootShell", "#!/bin/sh\nexec /bin/bash\n", 0o755)
        incoming = "/home/user/QubesIncoming/dom0"
        root.put(
            "etc/qubes-rpc/qubes.Filecopy", f"#!/bin/sh\nmkdir -p {incoming} && tar -x -C {incoming}\n", 0o755
        )
        salt, connector = SOURCES / "qubes-mgmt-salt", root.upper / "usr/lib/qubes-vm-connector"
        root.put("etc/qubes-rpc/qubes.SaltLinuxVM", (salt / "qubes.SaltLinuxVM").read_text(), 0o755)
        wrapper = connector / "ssh-wrapper"
        wrapper.mkdir(parents=True)
        shutil.copy(salt / "ssh-wrapper", wrapper / "ssh")
        (wrapper / "ssh").chmod(0o755)
        (wrapper / "scp").symlink_to("ssh")
        (wrapper / "ssh-keygen").symlink_to("/bin/true")
        shutil.copytree(salt / "python-override", connector / "python-override")
        return root

    def _does_with_disposable(self, action: str, name: str) -> Any:  # noqa: ANN401
        if action == "kill":
            shutil.rmtree(self._disposables.pop(name).place)
            return None
        return {
            "start": lambda: None,
            "is_running": lambda: True,
            "enter": lambda: self._lab.cgroup.entering(self._disposables[name].entering()),
        }[action]()
