# SPDX-License-Identifier: Apache-2.0
"""A stand-in for qubesadmin: qubes in a JSON file, which the environment variable WORLD names.

What is changed is written to the file at once, and noted there under ``told``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import exc, firewall

__all__ = ["Qubes", "exc", "firewall"]


def load() -> dict[str, Any]:
    return json.loads(Path(os.environ["WORLD"]).read_text(encoding="utf-8"))


def save(world: dict[str, Any]) -> None:
    Path(os.environ["WORLD"]).write_text(json.dumps(world), encoding="utf-8")


class Label:
    def __init__(self, name: str) -> None:
        self.name = name


class VM:
    """A qube; each of its attributes is looked up in the file."""

    def __init__(self, app: Qubes, name: str) -> None:
        object.__setattr__(self, "app", app)
        object.__setattr__(self, "name", name)

    def _about(self) -> dict[str, Any]:
        return load()["qubes"][self.name]

    def change(self, key: str, value: Any, told: str) -> None:  # noqa: ANN401
        world = load()
        world["qubes"][self.name][key] = value
        world["told"].append(told)
        save(world)

    def __getattr__(self, key: str) -> Any:  # noqa: ANN401
        about = self._about()
        if key in ("template", "netvm"):
            return VM(self.app, about[key]) if about.get(key) else None
        if key in about:
            return about[key]
        raise AttributeError(key)

    def __setattr__(self, key: str, value: Any) -> None:  # noqa: ANN401
        self.change(key, value, f"qvm-prefs {self.name} {key} {value}")

    @property
    def tags(self) -> Tags:
        return Tags(self)

    @property
    def firewall(self) -> Firewall:
        return Firewall(self)

    def property_is_default(self, key: str) -> bool:
        return key not in self._about()

    def property_list(self) -> list[str]:
        return ["label", "netvm", "template"]

    def get_power_state(self) -> str:
        return self._about().get("power", "Halted")


class Tags:
    def __init__(self, vm: VM) -> None:
        self._vm = vm

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter(self._vm._about().get("tags", []))

    def add(self, tag: str) -> None:
        self._vm.change("tags", sorted({*self, tag}), f"qvm-tags {self._vm.name} add {tag}")


class Firewall:
    def __init__(self, vm: VM) -> None:
        self._vm = vm

    @property
    def rules(self) -> list[Any]:
        if self._vm.klass == "AdminVM":
            raise exc.QubesException("dom0 has no firewall")
        return [firewall.Rule(rule) for rule in self._vm._about().get("rules", ["action=accept"])]

    @rules.setter
    def rules(self, value: list[Any]) -> None:
        rules = [rule.rule for rule in value]
        self._vm.change("rules", rules, f"qvm-firewall {self._vm.name} " + "; ".join(rules))


class Domains:
    def __init__(self, app: Qubes) -> None:
        self._app = app

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter([VM(self._app, name) for name in load()["qubes"]])

    def __getitem__(self, name: str) -> VM:
        if name not in load()["qubes"]:
            raise KeyError(name)
        return VM(self._app, name)


class Qubes:
    @property
    def domains(self) -> Domains:
        return Domains(self)

    @property
    def labels(self) -> dict[str, Label]:
        return {name: Label(name) for name in load()["labels"]}
