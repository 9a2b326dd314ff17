# SPDX-License-Identifier: Apache-2.0
"""postalias.present and the module behind it, on files of this machine, compiled and read by its own Postfix."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

FILE = "# aliases(5)\npostmaster:    root\nroot: alice\n"


@pytest.fixture
def aliases(tmp_path: Path) -> Path:
    return tmp_path / "aliases"


def world(directory: Path) -> dict:
    """Names, modes, owners, times and contents."""
    return {
        path.name: (path.stat().st_mode, path.stat().st_uid, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(directory.iterdir())
    }


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        (None, {"root": {"old": None, "new": "user"}}, "root: user\n"),
        ("", {"root": {"old": None, "new": "user"}}, "root: user\n"),
        ("a: b", {"root": {"old": None, "new": "user"}}, "a: b\nroot: user\n"),
        (FILE, {"root": {"old": "alice", "new": "user"}}, FILE.replace("alice", "user")),
        (
            "Root :  alice,\n  bob\na: b\n",
            {"root": {"old": "alice, bob", "new": "user"}},
            "root: user\na: b\n",
        ),
        ("# root: user\n", {"root": {"old": None, "new": "user"}}, "# root: user\nroot: user\n"),
        ('"root": alice\n', {"root": {"old": "alice", "new": "user"}}, "root: user\n"),
        ("toor: root:user\n", {"root": {"old": None, "new": "user"}}, "toor: root:user\nroot: user\n"),
        ("root: user\n", {}, "root: user\n"),
        ("ROOT:user\na: b\n", {}, "ROOT:user\na: b\n"),
    ],
)
def test_present(
    loaders: object,
    run_state: Callable,
    aliases: Path,
    testmode: bool,
    before: str | None,
    changes: dict,
    after: str,
) -> None:
    if before is not None:
        aliases.write_text(before)
    there = world(aliases.parent)
    ret = run_state("postalias.present", "root", test=testmode, target="user", path=str(aliases))
    assert ret.result is (None if testmode else True)
    assert ret.changes == changes | {"compiled": str(aliases)}
    if testmode:
        assert world(aliases.parent) == there
        return
    assert aliases.read_text() == after
    assert stat.S_IMODE(aliases.stat().st_mode) == 0o644
    (compiled,) = [path for path in aliases.parent.iterdir() if path != aliases]
    kind = loaders.modules.postmap.default_type()
    assert compiled.name == f"aliases{ {'hash': '.db', 'lmdb': '.lmdb', 'cdb': '.cdb'}[kind] }"
    assert loaders.modules.postmap.query("root", f"{kind}:{aliases}") == "user"
    # A second run touches nothing.
    there = world(aliases.parent)
    again = run_state("postalias.present", "root", test=False, target="user", path=str(aliases))
    assert (again.result, again.changes) == (True, {})
    assert world(aliases.parent) == there


def test_the_rest_of_a_value_does_not_stay(loaders: object, aliases: Path) -> None:
    """A value goes on after a comment or a blank line: what was left of it joined the new one."""
    aliases.write_text("root: alice,\n# and\n\n\tbob\na: b\n")
    assert loaders.modules.postalias.get("root", str(aliases)) == "alice, bob"
    assert loaders.modules.postalias.put("root", "user", str(aliases)) is True
    assert aliases.read_text() == "root: user\n# and\n\na: b\n"
    assert loaders.modules.postalias.get("root", str(aliases)) == "user"


@pytest.mark.parametrize("damage", ["missing", "older", "empty"])
def test_a_table_is_compiled_again(
    loaders: object, run_state: Callable, aliases: Path, testmode: bool, damage: str
) -> None:
    aliases.write_text("root: user\n")
    run_state("postalias.present", "root", test=False, target="user", path=str(aliases))
    (compiled,) = [path for path in aliases.parent.iterdir() if path != aliases]
    if damage == "missing":
        compiled.unlink()
    elif damage == "older":
        os.utime(compiled, (0, 0))
    else:
        os.truncate(compiled, 0)
    there = world(aliases.parent)
    ret = run_state("postalias.present", "root", test=testmode, target="user", path=str(aliases))
    assert (ret.result, ret.changes) == (None if testmode else True, {"compiled": str(aliases)})
    if testmode:
        assert world(aliases.parent) == there
    else:
        kind = loaders.modules.postmap.default_type()
        assert loaders.modules.postmap.query("root", f"{kind}:{aliases}") == "user"


def test_owner_mode_and_bytes_stay(loaders: object, aliases: Path) -> None:
    """A file that is not UTF-8 was a traceback, and the new one belonged to root."""
    aliases.write_bytes(b"# caf\xe9\r\nroot: alice\n")
    aliases.chmod(0o640)
    os.chown(aliases, 12345, 54321)
    link = aliases.with_name("link")
    link.symlink_to(aliases)
    assert loaders.modules.postalias.put("root", "user", str(link)) is True
    assert link.is_symlink()
    assert aliases.read_bytes() == b"# caf\xe9\r\nroot: user\n"
    status = aliases.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 12345, 54321)
    assert sorted(path.name for path in aliases.parent.iterdir()) == ["aliases", "link"]


def test_without_postfix_a_change_is_predicted(
    loaders: object, run_state: Callable, aliases: Path, testmode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first test=True of a template, the packages are still to come."""
    aliases.write_text("root: user\n")
    there = world(aliases.parent)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ret = run_state("postalias.present", "root", test=testmode, target="user", path=str(aliases))
    if testmode:
        assert (ret.result, ret.changes) == (None, {"compiled": str(aliases)})
    else:
        assert (ret.result, ret.changes) == (False, {})
        assert "install the package postfix" in ret.comment
    assert world(aliases.parent) == there


def test_a_table_that_cannot_be_compiled(run_state: Callable, aliases: Path) -> None:
    """The alias is in the file all the same, and is told."""
    aliases.write_text("a: b\na: c\n")
    ret = run_state("postalias.present", "root", test=False, target="user", path=str(aliases))
    assert ret.result is False
    assert ret.changes == {"root": {"old": None, "new": "user"}}
    assert "line 2: duplicate key, as in line 1" in ret.comment
    assert aliases.read_text() == "a: b\na: c\nroot: user\n"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "cannot be read: Is a directory."),
        ("no/aliases", "cannot be written: No such file or directory."),
    ],
)
def test_a_file_that_cannot_be_used(run_state: Callable, aliases: Path, path: str, sentence: str) -> None:
    path = str(aliases.parent / path)
    ret = run_state("postalias.present", "root", test=False, target="user", path=path)
    assert (ret.result, ret.changes) == (False, {})
    assert ret.comment.endswith(sentence)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b", "user"),
        ("root", "user\nmallory: |sh"),
        ("root", ""),
        ("root:", "x"),
        ("#root", "x"),
        ("a@b.c", "x"),
    ],
)
def test_what_is_no_alias(loaders: object, aliases: Path, name: str, value: str) -> None:
    with pytest.raises(CommandExecutionError, match=r"^An alias needs a local name without white space, and"):
        loaders.modules.postalias.put(name, value, str(aliases))
    assert not aliases.exists()
