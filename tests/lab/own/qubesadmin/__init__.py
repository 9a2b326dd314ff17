# SPDX-License-Identifier: Apache-2.0
"""A stand-in for qubesadmin in the lab's dom0: what it is told, it asks of the lab, over a socket.

Source: qubes-core-admin-client, qubesadmin/app.py and vm/__init__.py.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
from typing import Any

from . import exc, vm

__all__ = ["Qubes", "ask", "exc", "vm"]


def ask(action: str, name: str = "") -> Any:  # noqa: ANN401
    """Ask the lab to do something with a qube, and return what it says."""
    with socket.socket(socket.AF_UNIX) as lab:
        lab.connect(os.environ["LAB_QUBESD"])
        lab.sendall(json.dumps([action, name]).encode() + b"\n")
        answer = json.loads(lab.makefile().read())
    if "error" in answer:
        raise exc.QubesException(answer["error"])
    return answer["result"]


class VM(vm.QubesVM):
    """A qube."""

    def __init__(self, app: Qubes, name: str) -> None:
        self.app, self.name = app, name
        self.features: dict[str, Any] = {}
        self.netvm, self.label = "sys-firewall", "red"
        self.auto_cleanup = False
        about = ask("about", name)
        self.klass, self.tags, self.qid = about["klass"], about["tags"], about["qid"]
        if about["template"]:
            self.template = VM(app, about["template"])

    def __str__(self) -> str:
        return self.name

    @property
    def management_dispvm(self) -> VM:
        return self

    def is_running(self) -> bool:
        return ask("is_running", self.name)

    def start(self) -> None:
        ask("start", self.name)

    def shutdown(self) -> None:
        ask("shutdown", self.name)

    def kill(self) -> None:
        ask("kill", self.name)

    def run_service(self, service: str, localcmd: str = "", user: str = "user") -> subprocess.Popen[bytes]:
        """Call a service in a disposable; qubes.Filecopy is tar here, which the real agent needs no more than."""
        assert user in ("root", "user")
        command = [*ask("enter", self.name), f"/etc/qubes-rpc/{service}"]
        if not localcmd:
            pipe = subprocess.PIPE
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        agent, path = shlex.split(localcmd)
        assert (service, agent) == ("qubes.Filecopy", "/usr/lib/qubes/qfile-dom0-agent")
        packed = subprocess.Popen(
            ["tar", "-c", "-C", os.path.dirname(path), os.path.basename(path)], stdout=subprocess.PIPE
        )
        return subprocess.Popen(command, stdin=packed.stdout)


class Domains:
    """The qubes by their names."""

    def __init__(self, app: Qubes) -> None:
        self._app = app

    def __getitem__(self, name: str) -> VM:
        if name not in ask("names"):
            raise KeyError(name)
        return VM(self._app, name)

    def values(self) -> list[VM]:
        return [VM(self._app, name) for name in ask("names")]

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter(self.values())


class Qubes:
    """qubesd."""

    @property
    def domains(self) -> Domains:
        return Domains(self)

    def add_new_vm(self, klass: str, template: VM, label: str, name: str) -> VM:
        assert (klass, bool(template), bool(label)) == ("DispVM", True, True)
        ask("add", name)
        return VM(self, name)
