# SPDX-License-Identifier: Apache-2.0
"""dom0 in a directory: the formula as README.md puts it there, Salt without a master, and a world of qubes.

With QUBES_SOURCES, a directory that holds checkouts of qubes-mgmt-salt-base, qubes-mgmt-salt-dom0-qvm and
qubes-core-admin-client, Qubes' own states and rules take the place of the stand-ins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.checkout import ROOT

HERE = ROOT / "tests/dom0"
SOURCES = os.environ.get("QUBES_SOURCES", "")
PROGRAMS = ("qvm-check", "qvm-clone", "qvm-create")
WORLD: dict[str, Any] = {
    "labels": ["red", "orange", "yellow", "green", "gray", "blue", "purple", "black"],
    "qubes": {
        "dom0": {"klass": "AdminVM"},
        "debian-13-xfce": {"klass": "TemplateVM", "label": "black"},
        "fedora-42-xfce": {"klass": "TemplateVM", "label": "black"},
        "sys-firewall": {"klass": "AppVM", "template": "fedora-42-xfce", "provides_network": True},
        "sys-whonix": {"klass": "AppVM", "template": "fedora-42-xfce", "provides_network": True},
        "personal": {"klass": "AppVM", "template": "fedora-42-xfce", "netvm": "sys-firewall"},
    },
    "told": [],
}


def install(place: Path) -> Path:
    """Copy into a directory what README.md puts into dom0; return where its qubes.yaml belongs."""
    for name in ("_utils", "dom0", "pillar", "postfix_smarthost"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place / "pillar/postfix_smarthost/qubes.yaml"


class Dom0:
    """The directory, and what is done in it."""

    def __init__(self, place: Path, real: bool = False, srv: Path | None = None) -> None:
        """Make it; with real, of Qubes' own code as far as there is any; with srv, on the formula that is there."""
        self.place, self.real = place, real
        self._srv = srv
        self._formula = Path("/srv/formulas/base/postfix_smarthost-formula") if srv else place
        if not srv:
            self.qubes_yaml = install(place)
        self._bin = place / "bin"
        self._bin.mkdir()
        for name in PROGRAMS:
            program = self._bin / name
            program.write_text(f"#!{sys.executable}\n" + (HERE / "programs.py").read_text(encoding="utf-8"))
            program.chmod(0o755)
        self._world = place / "world.json"
        shutil.copytree(HERE / "qubesadmin", place / "python/qubesadmin")
        self._states, self._modules = [HERE / "_states"], []
        self._path = [place / "python"]
        if real:
            self._use_sources(Path(SOURCES))
        self.is_world(WORLD)

    def _use_sources(self, sources: Path) -> None:
        base, qvm = sources / "qubes-mgmt-salt-base", sources / "qubes-mgmt-salt-dom0-qvm"
        self._states, self._modules = [qvm / "_states"], [base / "_modules", qvm / "_modules"]
        self._path += [base / "_utils", base / "_modules"]
        rules = sources / "qubes-core-admin-client/qubesadmin/firewall.py"
        shutil.copy(rules, self.place / "python/qubesadmin/firewall.py")

    def is_world(self, world: dict[str, Any]) -> None:
        """Let there be these qubes."""
        self._world.write_text(json.dumps(world), encoding="utf-8")

    @property
    def world(self) -> dict[str, Any]:
        """The qubes that there are."""
        return json.loads(self._world.read_text(encoding="utf-8"))

    def told(self) -> list[str]:
        """Return what Qubes was told since the last call, in its order."""
        world = self.world
        told, world["told"] = world["told"], []
        self.is_world(world)
        return told

    def says(self, text: str) -> None:
        """Write qubes.yaml."""
        self.qubes_yaml.write_text(text, encoding="utf-8")
        self.qubes_yaml.chmod(0o600)

    def apply(self, sls: str, test: bool = False) -> dict[str, dict[str, Any]]:
        """Apply an SLS in dom0, and return its states by their IDs; AssertionError with what Salt says otherwise."""
        config = self.place / "etc"
        config.mkdir(exist_ok=True)
        (config / "minion").write_text(
            json.dumps(
                {
                    "id": "dom0",
                    "root_dir": str(self.place),
                    "file_client": "local",
                    "file_roots": {"base": [str(self._formula)]},
                    "pillar_roots": {"base": ["/srv/pillar", "/srv/pillar/base"] if self._srv else []},
                    "states_dirs": [str(path) for path in self._states],
                    "module_dirs": [str(path) for path in self._modules],
                    "grains_dirs": [],
                    "fileserver_ignoresymlinks": True,
                }
            )
        )
        command = ["salt-call", f"--config-dir={config}", "--local", "--out=json", "--log-level=error"]
        command += ["state.apply", sls, f"test={test}"]
        if self._srv:
            bound = f'mount --bind {self._srv} /srv && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", bound, "sh", *command]
        if self.real:
            # Qubes' modules call its programs by their paths, as the first of the group qubes.
            group = self.place / "group"
            group.write_text(Path("/etc/group").read_text(encoding="utf-8") + "qubes:x:98:root\n")
            over = (
                f"mount -t overlay -o lowerdir={self._bin}:/usr/bin overlay /usr/bin &&"
                f' mount --bind {group} /etc/group && exec "$@"'
            )
            command = ["unshare", "--mount", "sh", "-c", over, "sh", *command]
        environment = {
            **os.environ,
            "PATH": f"{self._bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(str(path) for path in self._path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WORLD": str(self._world),
        }
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        try:
            states = json.loads(ended.stdout)["local"]
        except (ValueError, KeyError):
            raise AssertionError(ended.stdout + ended.stderr) from None
        assert isinstance(states, dict), ended.stdout + ended.stderr
        self.output = ended.stdout + ended.stderr
        in_order = sorted(states.items(), key=lambda item: item[1]["__run_num__"])
        # MODULE_|-ID_|-NAME_|-FUNCTION
        return {key.split("_|-")[1]: about for key, about in in_order}
