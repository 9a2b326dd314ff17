# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the states of qubes-mgmt-salt-dom0-qvm: what the formula uses of them."""

from __future__ import annotations

import subprocess
from typing import Any

import qubesadmin


def _run(name: str, *command: str) -> dict[str, Any]:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    return {"name": name, "result": ended.returncode == 0, "changes": {name: command[0]}, "comment": said}


def _done(name: str, told: str) -> dict[str, Any]:
    return {"name": name, "result": True, "changes": {name: told}, "comment": told}


def clone(name: str, source: str) -> dict[str, Any]:
    return _run(name, "qvm-clone", source, name)


def present(name: str, template: str, label: str) -> dict[str, Any]:
    return _run(name, "qvm-create", name, "--class=AppVM", f"--template={template}", f"--label={label}")


def prefs(name: str, netvm: str) -> dict[str, Any]:
    qubesadmin.Qubes().domains[name].netvm = netvm
    return _done(name, "netvm")


def tags(name: str, add: list[str]) -> dict[str, Any]:
    for tag in add:
        qubesadmin.Qubes().domains[name].tags.add(tag)
    return _done(name, "tags")


def firewall(name: str, set: list[str]) -> dict[str, Any]:  # noqa: A002 - its name there
    qubesadmin.Qubes().domains[name].firewall.rules = [qubesadmin.firewall.Rule(rule) for rule in set]
    return _done(name, "firewall")
