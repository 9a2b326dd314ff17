# SPDX-License-Identifier: Apache-2.0
"""postmap against the machine's own Postfix: what is on disk afterwards, and what Postfix reads there."""

import contextlib
import functools
import os
import resource
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

COMPILED = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
SECRET = "0ld-s3cret"
ROWS = f"alice@example.com  alice:{SECRET}\nbob@example.com  bob:pass word: #1\n"


class Table:
    """A table in a directory of its own, built and read by the module."""

    def __init__(self, postmap: object, kind: str, directory: Path, config_dir: Path) -> None:
        self.postmap = postmap
        self.source = directory / "table"
        self.name = f"{kind}:{self.source}"
        self.file = directory / f"table{COMPILED.get(kind, '')}"
        self.kind = kind
        self.config_dir = str(config_dir)

    def write(self, rows: str | bytes = ROWS, mode: int = 0o600) -> None:
        self.source.write_bytes(rows if isinstance(rows, bytes) else rows.encode())
        self.source.chmod(mode)

    def build(self, **kwargs: bool) -> bool:
        return self.postmap.build(self.name, config_dir=self.config_dir, **kwargs)

    def query(self, key: str) -> str | None:
        return self.postmap.query(key, self.name, config_dir=self.config_dir)

    def keys(self) -> list[str]:
        return self.postmap.keys(self.name, config_dir=self.config_dir)

    def stale(self) -> bool:
        return self.postmap.stale(self.name)

    def in_place(self, **kwargs: object) -> int:
        """Compile by hand, as the module does not."""
        command = ["/usr/sbin/postmap", "-c", self.config_dir, self.name]
        return subprocess.run(command, check=False, capture_output=True, **kwargs).returncode

    def world(self) -> dict:
        """What is in the directory: names, modes, times and contents."""
        state = {}
        for path in sorted(self.source.parent.iterdir()):
            info = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            state[path.name] = (info.st_mode, info.st_uid, info.st_mtime_ns, content)
        return state


@pytest.fixture
def make(loaders: object, tmp_path: Path, config_dir: Path) -> Callable[[str], Table]:
    directory = tmp_path / "tables"
    directory.mkdir()
    return lambda kind: Table(loaders.modules.postmap, kind, directory, config_dir)


@pytest.fixture(params=COMPILED)
def table(request: pytest.FixtureRequest, make: Callable) -> Table:
    return make(request.param)


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


def test_lmdb_built_in_place_does_keep_old_values(make: Callable) -> None:
    """The trap itself, so that the test above is known to look in the right place."""
    table = make("lmdb")
    table.write()
    assert table.in_place() == 0
    table.write("alice@example.com  alice:new\n")
    assert table.in_place() == 0
    assert SECRET.encode() in table.file.read_bytes()


def test_a_build_that_is_stopped_leaves_the_old_table(make: Callable, file_size_limit: Callable) -> None:
    """Trap: a hash table is without rows from the start of its build to the end of it.

    The same stop of a build in place leaves such a table, newer than its source and good for Postfix.
    """
    table = make("hash")
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
def test_a_kill_leaves_the_old_table_and_the_next_build_clears_up(make: Callable, step: str) -> None:
    table = make("hash")
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
    make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make("hash")
    table.write()
    run = subprocess.run

    def write_meanwhile(*args: object, **kwargs: object) -> object:
        table.write("new@example.com  x\n")
        return run(*args, **kwargs)

    monkeypatch.setattr(subprocess, "run", write_meanwhile)
    table.build()
    assert table.stale() is True


@pytest.mark.parametrize("kind", ["texthash", "regexp", "static"])
def test_types_that_are_not_compiled(make: Callable, kind: str) -> None:
    table = make(kind)
    table.write("/x/  y\n")
    before = table.world()
    assert table.build() is False
    assert table.stale() is False
    assert table.world() == before


def test_a_type_that_postfix_does_not_have(make: Callable) -> None:
    table = make("hsah")
    table.write()
    with pytest.raises(
        CommandExecutionError, match=r"^This Postfix has no table type hsah: use one of hash, btree"
    ):
        table.build()


@pytest.mark.parametrize(("default", "suffix"), [("hash", ".db"), ("lmdb", ".lmdb"), ("cdb", ".cdb")])
def test_auto_is_the_default_database_type(make: Callable, default: str, suffix: str) -> None:
    table = make("auto")
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


def test_without_main_cf_and_path(make: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's "No configuration" leaves no main.cf, without which nothing runs; salt-ssh has a short PATH."""
    table = make("hash")
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/etc/postfix/main.cf" and exists(path))
    monkeypatch.setenv("PATH", str(tmp_path))
    table.write("root: user\n", mode=0o644)
    postmap = table.postmap
    assert postmap.build(table.name, alias=True) is True
    assert postmap.query("root", table.name) == "user"
    assert "hash" in postmap.types()
    assert postmap.default_type() in postmap.types()


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


def test_the_selinux_label_is_the_source_s(make: Callable) -> None:
    """Fedora's policy knows /etc/aliases.db by the label of /etc/aliases; a new directory would give another one."""
    table = make("hash")
    table.write()
    os.setxattr(table.source, "security.selinux", b"system_u:object_r:etc_aliases_t:s0\0")
    table.build()
    assert os.getxattr(table.file, "security.selinux") == b"system_u:object_r:etc_aliases_t:s0\0"


def test_query_of_what_cannot_be_read(make: Callable) -> None:
    table = make("hash")
    table.write()
    with pytest.raises(CommandExecutionError, match=r"cannot be queried: No such file or directory$"):
        table.query("alice@example.com")
    with pytest.raises(CommandExecutionError, match=r"cannot be read: No such file or directory$"):
        table.postmap.keys(f"cdb:{table.source}")


@pytest.mark.parametrize("key", ["", "-", "a\0b"])
def test_keys_that_postmap_takes_for_something_else(table: Table, key: str) -> None:
    table.write()
    table.build()
    with pytest.raises(CommandExecutionError, match='A key can be neither empty nor "-" nor hold a NUL byte'):
        table.query(key)


def test_query_of_an_old_table(make: Callable) -> None:
    """Postfix warns of a table that is older than its source; that is not an error."""
    table = make("hash")
    table.write()
    table.build()
    now = table.file.stat().st_mtime - 1000
    os.utime(table.source, (now, now))
    os.utime(table.file, (now - 1000, now - 1000))
    assert table.query("alice@example.com") == f"alice:{SECRET}"
    assert table.query("carol@example.com") is None


keys = st.from_regex(r"[a-z0-9.@+][a-z0-9.@+-]{0,20}", fullmatch=True)
values = st.text(
    st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), min_size=1, max_size=255
)
# What C's isspace() takes for white space, which Postfix trims.
SPACE = " \t\v\f\r"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(COMPILED)), rows=st.dictionaries(keys, values, min_size=1, max_size=4))
def test_rows_come_back_or_the_build_fails(
    loaders: object, config_dir: Path, kind: str, rows: dict[str, str]
) -> None:
    """Whatever a value is, it is there afterwards as it was, or nothing was built: never something in between."""
    with tempfile.TemporaryDirectory() as directory:
        table = Table(loaders.modules.postmap, kind, Path(directory), config_dir)
        table.write("".join(f"{key} {value}\n" for key, value in rows.items()))
        if not all(value.strip(SPACE) for value in rows.values()):
            with pytest.raises(CommandExecutionError, match="a key, white space and a value are needed"):
                table.build()
            assert not table.file.exists()
            return
        table.build()
        assert table.keys() == sorted(rows)
        assert {key: table.query(key) for key in rows} == {k: v.strip(SPACE) for k, v in rows.items()}
