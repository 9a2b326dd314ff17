# SPDX-License-Identifier: Apache-2.0
"""README.md's quick start, line by line as it stands there, from a default R4.3 to the first mail.

Salt, rpm(8), Postfix and the relay are real; dom0, its qubes and what begins with qvm- are the lab's.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT
from tests.dom0.dom0 import Dom0
from tests.functional.test_package import CACHES, within

from . import profiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .lab import Lab
    from .qube import Machine, Qube

README = (ROOT / "README.md").read_text(encoding="utf-8")
(SECTION,) = re.findall(r"^## Quick start in dom0\n(.*?)^Other tasks", README, re.DOTALL | re.MULTILINE)
BLOCKS = [
    (kind, re.sub(r"^   ", "", text, flags=re.MULTILINE))
    for kind, text in re.findall(r"^   ```(\w*)\n(.*?)^   ```$", SECTION, re.DOTALL | re.MULTILINE)
]
LINES = [line for kind, text in BLOCKS if not kind for line in text.splitlines()]
(YAML,) = [text for kind, text in BLOCKS if kind == "yaml"]


class QuickStart:
    """Does what each line says."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self._lab = lab
        self.dev, self.home = place / "dev", place / "home"
        for path in (self.dev, self.home, place / "salt"):
            path.mkdir()
        self.dom0 = Dom0(place / "salt", srv=lab.qubesctl.srv)
        self.machines: dict[str, Machine] = {}
        self.said = ""

    def do(self, line: str) -> None:
        words = [word for word in shlex.split(line) if word != "sudo"]
        getattr(self, "_" + words[0].replace("-", "_"))(*words[1:])

    def _git(self, clone: str, address: str, name: str) -> None:
        assert (clone, address) == ("clone", "ADDRESS")
        shutil.copytree(ROOT, self.dev / name, ignore=CACHES)

    def _make(self, *words: str) -> None:
        subprocess.run(["make", *words], cwd=self.dev, check=True, capture_output=True)

    def _qvm_run(self, option: str, name: str, command: str, *to: str) -> None:
        assert option == "--pass-io"
        if name == "dev":
            said = subprocess.run(["sh", "-c", command], cwd=self.dev, check=True, capture_output=True).stdout
            assert to[0] == ">"
            (self.home / to[1]).write_bytes(said)
            return
        machine = self.machines[name]
        machine.start()
        machine.wait_for(lambda: machine.salt("postfix_smarthost.active"), "Postfix")
        self.said = machine.run("sh", "-c", command.replace("sudo ", "/usr/local/bin/")).stdout

    def _dnf(self, install: str, package: str) -> None:
        assert install == "install"
        srv = self._lab.qubesctl.srv
        for path in ("formulas/base/postfix_smarthost-formula", "pillar/base/postfix_smarthost"):
            shutil.rmtree(srv / path)
        within("mount --bind $srv /srv; install $package", srv=srv, package=self.home / package)
        assert "top.enable postfix_smarthost pillar=true" in (srv / "calls").read_text()

    def _nano(self, path: str) -> None:
        file = self._lab.qubesctl.srv / path.removeprefix("/srv/")
        file.write_text(file.read_text() + YAML)

    def _qubesctl(self, output: str, targets: str, function: str, sls: str) -> None:
        assert (output, function) == ("--show-output", "state.apply")
        states = self.dom0.apply(sls)
        assert {about["result"] for about in states.values()} == {True}
        world = self.dom0.world["qubes"]
        names = targets.removeprefix("--targets=").split(",")
        # Templates first, as qubesctl has it.
        for name in sorted(names, key=lambda name: world[name]["klass"] != "TemplateVM"):
            about = world[name]
            if about["klass"] == "TemplateVM":
                self.machines[name] = self._lab.template(name)
            else:
                template = self.machines[about["template"]]
                self.machines[name] = self._lab.qube(name, template=template, pillar=None, start=False)
            self.machines[name].apply(sls).check()


@pytest.fixture
def quick_start(lab: Lab, tmp_path: Path) -> Iterator[QuickStart]:
    """Give it, and leave dom0 as it was."""
    made = QuickStart(lab, tmp_path)
    yield made
    for machine in reversed(made.machines.values()):
        lab.remove(machine)
    shutil.rmtree(lab.qubesctl.srv / "pillar/base/postfix_smarthost")
    lab.qubesctl.install_formula()


def test_quick_start_leads_to_the_first_mail(lab: Lab, quick_start: QuickStart) -> None:
    relay = profiles.start(lab, "mx.quick.test")
    for line in LINES:
        quick_start.do(line)
    assert "you@gmail.com: a message to you@gmail.com was taken: 250" in quick_start.said
    mail: Qube = quick_start.machines["mail"]
    (login,) = {event.login for event in relay.events() if event.what == "login" and event.login}
    assert login == "you@gmail.com"
    assert mail.read("/usr/local/etc/postfix/main.cf")


def test_readme_counts_the_commands_and_the_lines() -> None:
    (told,) = re.findall(r"(\d+) commands and (\d+) lines\s+of YAML", SECTION)
    assert told == (str(len(LINES)), str(len(YAML.splitlines())))
    assert len(LINES) <= 10
