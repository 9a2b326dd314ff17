# SPDX-License-Identifier: Apache-2.0
"""Templates and qubes: what of them lasts, and what a test does with them.

A template's root is a pile of overlay layers. Each start adds a layer, each stop freezes it; an app
qube's root is a throw-away layer on those that were frozen when it started. So an app qube sees its
template as of the template's last shutdown, as in Qubes, and nothing is ever copied.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import network as net
from .container import Container, wait_for
from .errors import LabError
from .mailer import Mailer
from .rootfs import POOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .applied import Applied
    from .lab import Lab
    from .rootfs import Rootfs

_VM_TYPE = {
    "template": "TemplateVM",
    "app": "AppVM",
    "standalone": "AppVM",
    "disposable": "DispVM",
    "admin": "AppVM",
}
_PERSISTENCE = {
    "template": "full",
    "app": "rw-only",
    "standalone": "full",
    "disposable": "none",
    "admin": "full",
}


class Entry(NamedTuple):
    """What there is at a path: enough to see any change to it."""

    type: str
    mode: str
    uid: int
    gid: int
    content: str
    """SHA-256 of a file's content, or where a symbolic link points to."""


class Machine(Container):
    """What templates and qubes have in common.

    Args:
        lab: the lab that it is part of.
        name: its name in Qubes, its host name and its minion id.
        kind: as in the pillar ``qubes:type``; besides, ``disposable``.
        pillar: what its pillar in dom0 says; see :attr:`pillar`.
        netvm: whether it has a network.
        services: names of Qubes services that are on (``qvm-service``).
        tags: its tags in Qubes.

    """

    def __init__(
        self,
        lab: Lab,
        name: str,
        kind: str,
        *,
        pillar: Mapping[str, Any] | str | None = None,
        netvm: bool = True,
        services: Iterable[str] = (),
        tags: Iterable[str] = (),
    ) -> None:
        super().__init__(name, lab.place / "machines" / name, lab.cgroup)
        self.lab = lab
        self.type = kind
        #: The pillar that dom0 gives to this machine: a mapping, or the text of an SLS as a user writes it.
        self.pillar: Mapping[str, Any] | str = pillar if pillar is not None else {}
        self.services = set(services)
        self.tags = list(tags)
        self.address = lab.network.new_address("qube")
        self.rw = self.place / "rw"
        self.rw.mkdir()
        self._qubesdb = self.place / "qubesdb"
        self._qubesdb.mkdir()
        self._online = netvm
        self._port: str | None = None
        self._starts = itertools.count(1)

    # Starting and stopping.

    def binds(self) -> dict[str, tuple[Path, str]]:
        return {"/rw": (self.rw, "rw"), "/run/lab": (self._qubesdb, "ro"), POOL: (self.rootfs.pool, "ro")}

    @property
    def rootfs(self) -> Rootfs:
        """The root filesystem at the bottom."""
        raise NotImplementedError

    def wire(self, process: int) -> None:
        self._port = self.lab.network.plug(process) if self._online else None

    def _write_qubesdb(self) -> None:
        content = {
            "name": self.name,
            "vm-type": _VM_TYPE[self.type],
            "persistence": _PERSISTENCE[self.type],
            "services": "\n".join(sorted(self.services)),
            "ip": self.address,
            "gateway": net.GATEWAY,
            "dns": "\n".join(net.DNS),
        }
        for key, value in content.items():
            (self._qubesdb / key).write_text(value + "\n" if value else "")

    def start(self) -> None:
        """Start the machine and wait until its boot has come to an end, rc.local included."""
        self.lab.progress(f"starting {self.name}")
        self._write_qubesdb()
        self.boot()

    def shutdown(self) -> None:
        """Shut the machine down in an orderly way."""
        self._stop(force=False)

    def kill(self) -> None:
        """Cut the machine's power."""
        self._stop(force=True)

    def restart(self) -> None:
        """Shut the machine down and start it."""
        self.shutdown()
        self.start()

    def _stop(self, *, force: bool) -> None:
        self.halt(force=force)
        self._port = None

    def network(self, state: str) -> None:
        """Attach the machine to the network, or take it off.

        Args:
            state: ``up`` or ``down``. It holds for the next start too.

        """
        if state not in ("up", "down"):
            raise ValueError(state)
        self._online = state == "up"
        if not self.running or self._online == (self._port is not None):
            return
        if self._online:
            self._port = self.lab.network.plug(self.leader)
            self.run("/usr/lib/qubes/init/network-uplink.sh")
        elif self._port:
            self.lab.network.unplug(self._port)
            self._port = None

    # Salt.

    def qubes_pillar(self) -> dict[str, Any]:
        """Return the pillar ``qubes`` as qubes-mgmt-salt-base makes it."""
        features = {f"service.{name}": "1" for name in sorted(self.services)}
        kind = "app" if self.type == "disposable" else self.type
        netvm = "sys-firewall" if self._online and kind != "template" else "None"
        return {"type": kind, "netvm": netvm, "tags": self.tags, "features": features}

    def apply(self, *sls: str, test: bool = False, trace: bool = False, timeout: float = 600) -> Applied:
        """Apply states, as ``qubesctl --skip-dom0 --targets=NAME state.apply ...`` in dom0 does.

        A machine that is not running is started for it and shut down afterwards, as qubesctl does.

        Args:
            sls: names of SLS files; none for what the enabled top files say.
            test: predict only.
            trace: record which programs ran, in :attr:`Applied.executed`.
            timeout: seconds that it may take.

        """
        return self.lab.qubesctl.apply(self, *sls, test=test, trace=trace, timeout=timeout)

    def salt(self, function: str, *args: str, timeout: float = 300, **kwargs: str) -> Any:  # noqa: ANN401
        """Call an execution module on the machine, as ``qubesctl --targets=NAME FUNCTION ...`` does.

        Args:
            function: ``module.function``.
            args: its arguments.
            timeout: seconds that it may take.
            kwargs: its named arguments.

        Returns:
            what the function returned.

        """
        return self.lab.qubesctl.call(self, function, *args, timeout=timeout, **kwargs)

    # Looking at it.

    def tree(self, *paths: str) -> dict[str, Entry]:
        """Return all that is below some paths, to be compared with another time's.

        Args:
            paths: directories of the running machine.

        Returns:
            path -> type, mode, owner, group and content.

        """
        text = self.run("python3", "-", *paths, stdin=_TREE).stdout
        return {path: Entry(*entry) for path, entry in json.loads(text).items()}

    def wait_for(
        self, predicate: Callable[[], Any], what: str, timeout: float = 30, pause: float = 0.1
    ) -> Any:  # noqa: ANN401
        """Wait until a predicate returns something true, and return that.

        Args:
            predicate: called again and again.
            what: said in the message when it does not come about.
            timeout: seconds to wait.
            pause: seconds between two calls.

        Raises:
            LabError: it did not come about; the message holds :meth:`diagnosis`.

        """
        return wait_for(predicate, f"{self.name}: {what}", timeout, pause, self.diagnosis)

    def diagnosis(self) -> str:
        text = super().diagnosis()
        if self.running:
            queue = self.run("postqueue", "-p", check=False)
            text += f"\n--- mail queue of {self.name}\n{queue.stdout}{queue.stderr}"
        return text


_TREE = """\
import hashlib, json, os, stat, sys
found = {}
def look(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    content = ""
    if kind == stat.S_IFREG:
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif kind == stat.S_IFLNK:
        content = os.readlink(path)
    name = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(kind, oct(kind))
    found[path] = [name, format(stat.S_IMODE(status.st_mode), "04o"), status.st_uid, status.st_gid, content]
for top in sys.argv[1:]:
    look(top)
    for where, directories, files in os.walk(top):
        for name in directories + files:
            look(os.path.join(where, name))
json.dump(found, sys.stdout)
"""


class Persistent(Machine):
    """A machine whose root lasts: a template or a standalone qube."""

    def __init__(
        self, lab: Lab, name: str, kind: str, rootfs: Rootfs, frozen: list[Path], **options: object
    ) -> None:
        super().__init__(lab, name, kind, **options)
        self._rootfs = rootfs
        self.frozen = list(frozen)
        self._upper: Path | None = None

    @property
    def rootfs(self) -> Rootfs:
        return self._rootfs

    def layers(self) -> list[Path]:
        self._upper = self.place / f"layer{next(self._starts)}"
        self._upper.mkdir(mode=0o755)
        return [self._upper, *self.frozen, self.lab.agent(self.rootfs), self._rootfs.root]

    def _stop(self, *, force: bool) -> None:
        super()._stop(force=force)
        if self._upper is not None:
            self.frozen.insert(0, self._upper)
            self._upper = None


class Template(Persistent):
    """A template: an untouched Debian until a test changes it, and then what the test made of it."""

    def __init__(self, lab: Lab, name: str, rootfs: Rootfs, frozen: list[Path], **options: object) -> None:
        super().__init__(lab, name, "template", rootfs, frozen, **options)

    def clone(self, name: str) -> Template:
        """Return a new template that is a copy of this one as of its last shutdown."""
        if self.running:
            raise LabError(f"shut {self.name} down before it is cloned")
        clone = Template(self.lab, name, self._rootfs, self.frozen)
        subprocess.run(["cp", "-a", f"{self.rw}/.", str(clone.rw)], check=True)
        return self.lab.adopt(clone)


class Qube(Machine, Mailer):
    """An app qube: its root is thrown away at each stop, its ``/rw`` lasts."""

    def __init__(self, lab: Lab, name: str, template: Template, kind: str = "app", **options: object) -> None:
        super().__init__(lab, name, kind, **options)
        #: May be set to another template while the qube is halted.
        self.template = template

    @property
    def rootfs(self) -> Rootfs:
        return self.template.rootfs

    def layers(self) -> list[Path]:
        upper = self.place / "volatile"
        shutil.rmtree(upper, ignore_errors=True)
        upper.mkdir(mode=0o755)
        return [upper, *self.template.frozen, self.lab.agent(self.rootfs), self.rootfs.root]

    def qubes_pillar(self) -> dict[str, Any]:
        return super().qubes_pillar() | {"template": self.template.name}

    def disposable(self, name: str) -> Qube:
        """Return a disposable qube made of this one, halted: with a throw-away copy of its ``/rw``."""
        return self._copy(name, "disposable")

    def clone(self, name: str) -> Qube:
        """Return a clone of this qube, halted: another name, and a copy of its ``/rw`` as it is now."""
        return self._copy(name, self.type)

    def _copy(self, name: str, kind: str) -> Qube:
        other = Qube(self.lab, name, self.template, kind, pillar=self.pillar, services=self.services)
        subprocess.run(["cp", "-a", f"{self.rw}/.", str(other.rw)], check=True)
        return self.lab.adopt(other)


class Standalone(Persistent, Mailer):
    """A standalone qube: all of it lasts. It starts as a copy of a template."""

    def __init__(
        self, lab: Lab, name: str, template: Template, kind: str = "standalone", **options: object
    ) -> None:
        super().__init__(lab, name, kind, template.rootfs, template.frozen, **options)
