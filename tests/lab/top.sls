#!py
# SPDX-License-Identifier: Apache-2.0
"""Merges the top files that are enabled, as the top.sls of Qubes does with those below _tops."""

from pathlib import Path

import yaml


def run():  # noqa: ANN201
    """Return the merged top."""
    top = {}
    for path in sorted(Path(__file__).parent.glob("_tops/base/*.top")):
        for saltenv, targets in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            for target, items in targets.items():
                top.setdefault(saltenv, {}).setdefault(target, []).extend(items)
    return top
