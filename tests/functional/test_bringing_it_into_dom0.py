# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/package.md that bring the formula into dom0; where a fetch fails, the old version stays."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.checkout import ROOT

NAMES = ("_modules", "_states", "_utils", "dom0", "postfix_smarthost", "pillar", "LICENSE")


def commands(srv: Path) -> str:
    """The first block of step 1, below another directory than /srv."""
    page = (ROOT / "docs/package.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"1\. Bring the formula into dom0.*?```\n(.*?)```", page, re.DOTALL)
    assert "archive HEAD " + " ".join(NAMES) in block
    return block.replace("/srv/", f"{srv}/")


def paste(place: Path, fetched: str) -> int:
    """Run them, with what qvm-run gives; return how they end."""
    programs = place / "bin"
    programs.mkdir(exist_ok=True)
    for name, script in (("qvm-run", fetched), ("sudo", 'exec "$@"')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    script = commands(place / "srv")
    done = subprocess.run(
        ["bash", "-c", script], cwd=place, env=environment, capture_output=True, check=False
    )
    return done.returncode


def tree(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


WHOLE = f"exec tar -cf - -C {ROOT} --exclude=__pycache__ {' '.join(NAMES)}"


def test_it_arrives_beside_what_the_user_has_written(tmp_path: Path) -> None:
    pillar = tmp_path / "srv/pillar/base/postfix_smarthost"
    for _ in range(2):
        assert paste(tmp_path, WHOLE) == 0
        assert (tmp_path / "srv/formulas/base/postfix_smarthost-formula/postfix_smarthost/init.sls").is_file()
        assert (pillar / "init.sls").is_file()
        (pillar / "qubes.yaml").write_text("mail: {}\n")
    assert (pillar / "qubes.yaml").read_text() == "mail: {}\n"
    assert sorted(path.name for path in (tmp_path / "srv/formulas/base").iterdir()) == [
        "postfix_smarthost-formula"
    ]


@pytest.mark.parametrize(
    "fetched",
    ["exit 1", "exit 0", "echo no tar", f"tar -cf - -C {ROOT} LICENSE", f"{WHOLE[5:]} | head -c 100000"],
    ids=["fails", "empty", "no archive", "another archive", "cut off"],
)
def test_what_does_not_arrive_whole_changes_nothing(tmp_path: Path, fetched: str) -> None:
    assert paste(tmp_path, WHOLE) == 0
    before = tree(tmp_path / "srv/formulas/base/postfix_smarthost-formula")
    assert paste(tmp_path, fetched) != 0
    assert tree(tmp_path / "srv/formulas/base/postfix_smarthost-formula") == before
