# SPDX-License-Identifier: Apache-2.0
"""A compiled table of aliases that others cannot lock: local(8) locks one of the type hash to read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kind", "mode"), [("hash", 0o600), ("cdb", 0o644), ("lmdb", 0o644)])
def test_aliases_of_the_type_hash_are_root_s_alone(
    loaders: object, tmp_path: Path, kind: str, mode: int
) -> None:
    """The others are read without a lock that somebody else's could keep out."""
    suffix = {"hash": "db"}.get(kind, kind)
    source = tmp_path / "aliases"
    source.write_text("root: user\n")
    source.chmod(0o644)
    assert loaders.modules.postmap.build(f"{kind}:{source}", alias=True) is True
    assert stat.S_IMODE((tmp_path / f"aliases.{suffix}").stat().st_mode) == mode
    assert loaders.modules.postmap.query("root", f"{kind}:{source}") == "user"
