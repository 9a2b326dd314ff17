#!py
# SPDX-License-Identifier: Apache-2.0
"""Check qubes.yaml: sudo qubesctl state.apply postfix_smarthost.check, in dom0."""

import importlib.util
from pathlib import Path
from typing import Any

PROGRAM = "dom0/postfix_smarthost_check.py"


def run() -> dict[str, Any]:
    """Return one state, which fails with what is wrong as its comment; elsewhere than in dom0 it does nothing."""
    paths = [Path(root) / PROGRAM for roots in __opts__["file_roots"].values() for root in roots]
    path = next((path for path in paths if path.exists()), None)
    if __grains__["id"] != "dom0" or path is None:
        return {"postfix_smarthost-check": {"test.nop": []}}
    spec = importlib.util.spec_from_file_location("postfix_smarthost_check", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    found = program.check(program.load())
    told = {"result": not found, "changes": False, "comment": "\n".join(found) or "qubes.yaml is good."}
    return {"postfix_smarthost-check": {"test.configurable_test_state": [{key: told[key]} for key in told]}}
