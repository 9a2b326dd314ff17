#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Check qubes.yaml in dom0, before any qube is started for it: all problems at once, with the line of each.

It reads the file as the pillar does, and each entry as the qube will. No value is printed, and no
password_command is run.

Usage: sudo /srv/formulas/base/postfix_smarthost-formula/dom0/postfix_smarthost_check.py
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

_HERE = Path(__file__).resolve().parent
# Where README.md puts them; the second is that of the repository.
_UTILS = _HERE.parent / "_utils"
_PILLARS = (
    Path("/srv/pillar/base/postfix_smarthost/init.sls"),
    _HERE.parent / "pillar/postfix_smarthost/init.sls",
)
_ACCOUNT = re.compile(r"Account (\d+)\b")


def check(pillar: ModuleType) -> list[str]:
    """
    Return what is wrong with qubes.yaml, in sentences.

    pillar : module
        The pillar for dom0, which reads the file.
    """
    return _read(pillar)[1]


def _read(pillar: ModuleType) -> tuple[dict[str, Any], list[str]]:
    """Return the record of each qube in its regular shape, and what is wrong."""
    import smarthost_pillar  # noqa: PLC0415 - from a directory that is known by now

    if not pillar.QUBES_YAML.exists():
        return {}, [
            f"{pillar.QUBES_YAML} is missing: copy qubes.yaml.example there, and write an entry for each qube."
        ]
    try:
        entries = pillar._entries()
    except pillar.QubesYamlError as error:
        return {}, [f"{pillar.QUBES_YAML}: {error}"]
    text = pillar.QUBES_YAML.read_text(encoding="utf-8-sig")
    records, found = {}, []
    for qube in entries:
        if qube == pillar.DEFAULTS:
            continue
        if smarthost_pillar.is_templates(entries[qube]):
            sentences = smarthost_pillar.templates_problems(entries[qube])
            found += [f"{_place(text, qube, sentence)}{qube}: {sentence}" for sentence in sentences]
            continue
        try:
            record = pillar._encode_passwords(pillar.with_defaults(entries, qube), lambda _: "not asked for")
            records[qube], sentences = smarthost_pillar.check(record)
        except pillar.QubesYamlError as error:
            sentences = [str(error)]
        found += [f"{_place(text, qube, sentence)}{qube}: {sentence}" for sentence in sentences]
    return records, found


def check_states() -> dict[str, Any]:
    """Return the state of postfix_smarthost/check.sls."""
    found = check(load())
    return _told("check", "\n".join(found) or "qubes.yaml is good.", result=not found)


def qubes_states(test: bool) -> dict[str, Any]:
    """
    Return the states of postfix_smarthost/qubes.sls.

    test : bool
        Whether they are only to tell what would be done.
    """
    pillar = load()
    import postfix_smarthost_qubes as dom0  # noqa: PLC0415 - from directories that are known by now

    import smarthost_qubes  # noqa: PLC0415
    from smarthost_schema import QUBE  # noqa: PLC0415

    records, found = _read(pillar)
    if not found:
        asked = {
            qube: {**record, "qube": record["qube"] or smarthost_qubes.read({}, QUBE)}
            for qube, record in records.items()
        }
        there = dom0.Qubes()
        found = dom0.problems(asked, there)
        if not found and asked:
            return dom0.states(asked, there, test)
    told = "\n".join(found) or "qubes.yaml has no entry, so there is nothing to do."
    return _told("qubes", told, result=not found)


def _told(about: str, comment: str, result: bool) -> dict[str, Any]:
    """Return a state that changes nothing, with a result and a comment."""
    told = {"result": result, "changes": False, "comment": comment}
    return {
        f"postfix_smarthost-{about}": {"test.configurable_test_state": [{key: told[key]} for key in told]}
    }


def _place(text: str, qube: str, sentence: str) -> str:
    """Return where the account or the entry begins that a sentence is about, unless it names its line."""
    if sentence.startswith("line "):
        return ""
    entry = _value(yaml.compose(text, yaml.SafeLoader), qube)
    account = _ACCOUNT.match(sentence)
    accounts = _value(entry, "accounts")
    if account and isinstance(accounts, yaml.SequenceNode) and int(account[1]) <= len(accounts.value):
        entry = accounts.value[int(account[1]) - 1]
    return f"line {entry.start_mark.line + 1}, column {entry.start_mark.column + 1}: " if entry else ""


def _value(node: Any, key: str) -> Any:  # noqa: ANN401 - nodes of PyYAML
    """Return the node below a key, None if there is none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def load() -> ModuleType:
    """Return the pillar for dom0 as a module."""
    path = next(path for path in _PILLARS if path.exists())
    loader = importlib.machinery.SourceFileLoader("postfix_smarthost_in_dom0", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    if spec is None:
        raise ImportError(str(path))
    made = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(made)
    sys.path[:0] = [str(_UTILS), str(_HERE)]
    return made


def main() -> int:
    """Print what is wrong, and return the exit code: 1 if there is something."""
    try:
        pillar = load()
        found = check(pillar)
    except RecursionError:
        found = ["qubes.yaml is nested too deeply, or holds itself by an alias."]
    except PermissionError:
        found = ["qubes.yaml can be read by root only: run this with sudo."]
    for sentence in found:
        print(sentence)
    if not found:
        print("qubes.yaml is good.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
