# SPDX-License-Identifier: Apache-2.0
"""The types of tables that postmap compiles, and those that it does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from tests.functional.tables import SECRET


@pytest.mark.parametrize("kind", ["texthash", "regexp", "static"])
def test_types_that_are_not_compiled(make_table: Callable, kind: str) -> None:
    table = make_table(kind)
    table.write("/x/  y\n")
    before = table.world()
    assert table.build() is False
    assert table.stale() is False
    assert table.world() == before


def test_a_type_that_postfix_does_not_have(make_table: Callable) -> None:
    table = make_table("hsah")
    table.write()
    with pytest.raises(
        CommandExecutionError, match=r"^This Postfix has no table type hsah: use one of hash, btree"
    ):
        table.build()


@pytest.mark.parametrize(("default", "suffix"), [("hash", ".db"), ("lmdb", ".lmdb"), ("cdb", ".cdb")])
def test_auto_is_the_default_database_type(make_table: Callable, default: str, suffix: str) -> None:
    table = make_table("auto")
    main_cf = Path(table.config_dir, "main.cf")
    main_cf.write_text(f"{main_cf.read_text()}default_database_type = {default}\n")
    os.utime(main_cf, (0, 0))
    table.write()
    assert table.postmap.default_type(config_dir=table.config_dir) == default
    assert table.build() is True
    assert sorted(table.world()) == ["table", f"table{suffix}"]
    assert table.query("alice@example.com") == f"alice:{SECRET}"
    assert table.postmap.stale(table.name, config_dir=table.config_dir) is False
    assert table.postmap.compiled(table.name, config_dir=table.config_dir) == f"{table.source}{suffix}"


def test_types(loaders: object, config_dir: Path) -> None:
    found = loaders.modules.postmap.types(config_dir=str(config_dir))
    assert {"hash", "btree", "lmdb", "cdb", "texthash", "regexp"} <= set(found)


def test_without_main_cf_and_path(
    make_table: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Debian's "No configuration" leaves no main.cf, without which nothing runs; salt-ssh has a short PATH."""
    table = make_table("hash")
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/etc/postfix/main.cf" and exists(path))
    monkeypatch.setenv("PATH", str(tmp_path))
    table.write("root: user\n", mode=0o644)
    postmap = table.postmap
    assert postmap.build(table.name, alias=True) is True
    assert postmap.query("root", table.name) == "user"
    assert "hash" in postmap.types()
    assert postmap.default_type() in postmap.types()
