#!py
# SPDX-License-Identifier: Apache-2.0
"""Check qubes.yaml: sudo qubesctl state.apply postfix_smarthost.check, in dom0."""

import runpy
from pathlib import Path
from typing import Any

PROGRAM = "dom0/postfix_smarthost_check.py"


def run() -> dict[str, Any]:
    """Return one state, which fails with what is wrong as its comment; elsewhere than in dom0 it does nothing."""
    paths = [Path(root) / PROGRAM for roots in __opts__["file_roots"].values() for root in roots]
    path = next((path for path in paths if path.exists()), None)
    if __grains__["id"] != "dom0" or path is None:
        return {"postfix_smarthost-check": {"test.nop": []}}
    return runpy.run_path(str(path))["check_states"]()
