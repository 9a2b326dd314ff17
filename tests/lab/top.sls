#!py
# SPDX-License-Identifier: Apache-2.0
"""Merges the top files that are enabled below @ROOT@, as the top.sls of Qubes does with those below _tops."""

from pathlib import Path

import yaml


def run():  # noqa: ANN201
    """Return the merged top."""
    top = {}
    for path in sorted(Path("@ROOT@/_tops/base").glob("*.top")):
        for saltenv, targets in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            for target, items in targets.items():
                top.setdefault(saltenv, {}).setdefault(target, []).extend(items)
    return top
