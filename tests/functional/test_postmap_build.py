# SPDX-License-Identifier: Apache-2.0
"""postmap.build against the machine's own Postfix: what is on disk afterwards, whatever went wrong."""

import contextlib
import functools
import os
import resource
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

from tests.functional.tables import ROWS, SECRET, Table


@pytest.fixture
def file_size_limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], contextlib.AbstractContextManager]:
    """Stop the programs that are run, and not this process, when a file grows over a page: a full disk, or a kill."""

    @contextlib.contextmanager
    def limited() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", functools.partial(subprocess.run, preexec_fn=limit))
            yield

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    return limited


def test_what_is_built_can_be_read(table: Table) -> None:
    table.write()
    assert table.stale() is True
    assert table.build() is True
    assert table.stale() is False
    assert table.query("alice@example.com") == f"alice:{SECRET}"
    assert table.query("Bob@Example.COM") == "bob:pass word: #1"
    assert table.query("carol@example.com") is None
    assert table.keys() == ["alice@example.com", "bob@example.com"]
    assert sorted(table.world()) == ["table", table.file.name]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_mode_owner_and_time_are_the_source_s(table: Table, mode: int) -> None:
    table.write(mode=mode)
    if os.getuid() == 0:
        os.chown(table.source, 12345, 54321)
    os.utime(table.source, ns=(10**18, 10**18 + 7))
    table.build()
    source, file = table.source.stat(), table.file.stat()
    assert stat.S_IMODE(file.st_mode) == mode
    assert (file.st_uid, file.st_gid) == (source.st_uid, source.st_gid)
    assert file.st_mtime_ns == source.st_mtime_ns
    assert table.stale() is False


def test_mode_of_an_older_build_does_not_stay(table: Table) -> None:
    """Trap: postmap(1) sets the mode of a hash or lmdb table once; chmod of the source leaves it world-readable."""
    table.write(mode=0o644)
    table.build()
    table.source.chmod(0o600)
    assert table.stale() is True
    table.build()
    assert stat.S_IMODE(table.file.stat().st_mode) == 0o600
    assert table.stale() is False


def test_old_values_leave_the_disk(table: Table) -> None:
    """Trap: lmdb keeps what was deleted in its free pages."""
    table.write()
    table.build()
    assert SECRET.encode() in table.file.read_bytes()
    table.write(ROWS.replace(SECRET, "new"))
    table.build()
    assert table.query("alice@example.com") == "alice:new"
    left = [path.name for path in table.source.parent.rglob("*") if SECRET.encode() in path.read_bytes()]
    assert left == []


def test_lmdb_built_in_place_does_keep_old_values(make_table: Callable) -> None:
    """The trap itself, so that the test above is known to look in the right place."""
    table = make_table("lmdb")
    table.write()
    assert table.in_place() == 0
    table.write("alice@example.com  alice:new\n")
    assert table.in_place() == 0
    assert SECRET.encode() in table.file.read_bytes()


def test_a_build_that_is_stopped_leaves_the_old_table(
    make_table: Callable, file_size_limit: Callable
) -> None:
    """Trap: a hash table is without rows from the start of its build to the end of it.

    The same stop of a build in place leaves such a table, newer than its source and good for Postfix.
    """
    table = make_table("hash")
    table.write()
    table.build()
    before = table.world()
    with file_size_limit(), pytest.raises(CommandExecutionError, match=r"left as it was: File too large$"):
        table.build()
    assert table.world() == before
    with file_size_limit():
        assert table.in_place() != 0
    assert stat.S_IMODE(table.file.stat().st_mode) == 0o600
    assert table.query("alice@example.com") is None
    assert table.stale() is True
    table.build()
    assert table.query("alice@example.com") == f"alice:{SECRET}"


@pytest.mark.parametrize("step", ["replace", "fchmod", "fsync"])
def test_a_kill_leaves_the_old_table_and_the_next_build_clears_up(make_table: Callable, step: str) -> None:
    table = make_table("hash")
    table.write()
    table.build()
    old = table.file.read_bytes()
    table.write(ROWS.replace(SECRET, "new"))
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            setattr(os, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
            table.build()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert table.file.read_bytes() == old
    left = [path for path in table.source.parent.iterdir() if path.is_dir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in left] == [0o700]
    assert table.stale() is True
    table.build()
    assert sorted(table.world()) == ["table", "table.db"]
    assert table.query("alice@example.com") == "alice:new"


def test_builds_of_one_table_wait_for_each_other(table: Table) -> None:
    table.write()
    failures = []

    def build() -> None:
        try:
            table.build()
        except CommandExecutionError as err:
            failures.append(err)

    threads = [threading.Thread(target=build) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert table.stale() is False
    assert sorted(table.world()) == ["table", table.file.name]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (f"a  x\nb  {SECRET}\nA  {SECRET}\n", "line 3: duplicate key, as in line 1"),
        (f"a  x\n{SECRET}\n", "line 2: a key, white space and a value are needed"),
        (f'a  x\n"{SECRET}  y\n', "line 2: unbalanced quote"),
        (f"a  x\n\n{SECRET}:  y\n", "line 3: written as for aliases"),
        (b"a  x\nb  " + SECRET.encode() + b"\xe9\n", "line 2: not UTF-8"),
        (b"a  x\nb\xff  " + SECRET.encode() + b"\n", "line 2: not UTF-8"),
        (b"a  x\nb  " + SECRET.encode() + b"\0y\n", "line 2: a NUL byte"),
        (
            b"a\nb  x\nb  y\nc  \xff\n",
            "line 1: a key, white space and a value are needed; line 3: duplicate key, as in line 2; line 4: not",
        ),
    ],
)
def test_bad_rows_change_nothing(table: Table, rows: str | bytes, sentence: str) -> None:
    """Trap: postmap(1) drops such rows with a warning, or without one, and exits 0."""
    table.write()
    table.build()
    table.write(rows)
    before = table.world()
    with pytest.raises(CommandExecutionError) as caught:
        table.build()
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value)
    assert table.world() == before


@pytest.mark.parametrize("exit_code", [0, 1])
def test_words_of_postmap_that_nobody_knows_are_not_repeated(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int
) -> None:
    """A Postfix to come may quote a row in any words."""
    table.write()
    before = table.world()
    program = tmp_path / "programs/postmap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncat "${{3#*:}}" >&2\nexit {exit_code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(CommandExecutionError, match="a problem that is not told here") as caught:
        table.build()
    assert SECRET not in str(caught.value)
    assert table.world() == before


def test_secrets_are_not_logged(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    table.write()
    table.build()
    assert table.query("alice@example.com") == f"alice:{SECRET}"
    assert table.keys()
    table.write(ROWS + ROWS)
    with pytest.raises(CommandExecutionError, match="duplicate"):
        table.build()
    assert SECRET not in caplog.text


def test_aliases(table: Table) -> None:
    table.write('postmaster: root\nroot: user, "|/bin/true"\n', mode=0o644)
    assert table.build(alias=True) is True
    assert table.query("root") == 'user, "|/bin/true"'
    assert set(table.keys()) >= {"postmaster", "root", "@"}
    assert table.stale() is False
    table.write("root user\n")
    with pytest.raises(CommandExecutionError, match='line 1: not in the form "name: value"'):
        table.build(alias=True)
    assert table.query("postmaster") == "root"


def test_the_selinux_label_is_the_source_s(make_table: Callable) -> None:
    """Fedora's policy knows /etc/aliases.db by the label of /etc/aliases; a new directory would give another one."""
    table = make_table("hash")
    table.write()
    os.setxattr(table.source, "security.selinux", b"system_u:object_r:etc_aliases_t:s0\0")
    table.build()
    assert os.getxattr(table.file, "security.selinux") == b"system_u:object_r:etc_aliases_t:s0\0"
