# SPDX-License-Identifier: Apache-2.0
"""postmap.stale: whether a table is what Postfix would make of its source now."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from tests.functional.tables import SECRET, Table


def break_missing(table: Table) -> None:
    table.file.unlink()


def break_truncated(table: Table) -> None:
    table.file.write_bytes(b"")


def break_cut(table: Table) -> None:
    size = table.source.stat().st_mtime_ns
    os.truncate(table.file, 100)
    os.utime(table.file, ns=(size, size))


def break_older(table: Table) -> None:
    then = table.file.stat().st_mtime_ns
    os.utime(table.source, ns=(then + 1, then + 1))


def break_mode(table: Table) -> None:
    table.file.chmod(0o640)


def break_owner(table: Table) -> None:
    os.chown(table.file, 12345, -1)


def break_link(table: Table) -> None:
    elsewhere = table.file.rename(table.file.parent / "elsewhere")
    table.file.symlink_to(elsewhere)


def break_pipe(table: Table) -> None:
    table.file.unlink()
    os.mkfifo(table.file, 0o600)


def break_type(table: Table) -> None:
    """A btree in place of a hash, and so on; lmdb and cdb differ in their names anyway."""
    other = {"hash": "btree", "btree": "hash", "lmdb": "hash", "cdb": "hash"}[table.kind]
    table.file.unlink()
    subprocess.run(["/usr/sbin/postmap", "-c", table.config_dir, f"{other}:{table.source}"], check=True)
    if table.kind in ("lmdb", "cdb"):
        Path(f"{table.source}.db").rename(table.file)


def break_empty(table: Table) -> None:
    rows = table.source.read_bytes()
    when = table.source.stat().st_mtime_ns
    table.source.write_bytes(b"# nothing\n")
    table.build()
    table.source.write_bytes(rows)
    os.utime(table.source, ns=(when, when))


@pytest.mark.parametrize(
    "damage",
    [
        break_missing,
        break_truncated,
        break_cut,
        break_older,
        break_mode,
        break_owner,
        break_link,
        break_pipe,
        break_type,
        break_empty,
    ],
)
def test_stale(table: Table, damage: Callable[[Table], None]) -> None:
    table.write()
    table.build()
    assert table.stale() is False
    damage(table)
    assert table.stale() is True
    table.build()
    assert table.stale() is False
    assert table.query("alice@example.com") == f"alice:{SECRET}"


@pytest.mark.parametrize("rows", ["", "# comment\n", "\n   \n#\n"])
def test_a_source_without_rows_has_an_empty_table(table: Table, rows: str) -> None:
    table.write(rows)
    table.build()
    assert table.stale() is False
    assert table.keys() == []
    os.truncate(table.file, 0)
    assert table.stale() is True


def test_stale_runs_no_program(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that changes nothing is not to cost a process for each table."""
    table.write()
    table.build()
    monkeypatch.setattr(subprocess, "Popen", None)
    assert table.stale() is False
    table.file.unlink()
    assert table.stale() is True


def test_stale_without_a_source(table: Table) -> None:
    with pytest.raises(CommandExecutionError, match="source of a table, cannot be read: No such file"):
        table.stale()


@pytest.mark.parametrize("rows", [1, 2, 7, 3000])
def test_rows_are_seen_in_tables_of_any_size(table: Table, rows: int) -> None:
    """Overflow pages, inner pages of trees, tables that were split: the format is read here, not by Postfix."""
    table.write("".join(f"user{n}@example.com  {'x' * (n % 5000)}{n}\n" for n in range(rows)))
    table.build()
    assert table.stale() is False
    assert len(table.keys()) == rows
    table.write("one@example.com  x\n")
    table.build()
    assert table.stale() is False


def test_a_change_during_the_build_leaves_a_stale_table(
    make_table: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_table("hash")
    table.write()
    run = subprocess.run

    def write_meanwhile(*args: object, **kwargs: object) -> object:
        table.write("new@example.com  x\n")
        return run(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", write_meanwhile)
    table.build()
    assert table.stale() is True
