# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured with the programs of the machine's own Postfix, in a directory of its own.

What Postfix does with the configuration is in the lab; here it is what is on disk, before, after and on failure.
"""

import contextlib
import copy
import errno
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from salt.exceptions import CommandExecutionError

import smarthost_apply
import smarthost_pillar
import smarthost_plan
import smarthost_service
import smarthost_settings
from smarthost_places import TOP_FILES
from tests.malformed import MALFORMED
from tests.records import CASES, FACTS, password, randoms, record
from tests.samples import ALICE, BOB, FINGERPRINT

SUFFIXES = {"hash": ".db", "lmdb": ".lmdb", "cdb": ".cdb", "texthash": ""}
ALICES, BOBS = "alice-s3cret", "bob-s3cret"
RECORD = {
    "accounts": [
        ALICE | {"password": ALICES, "senders": ["me@alias.example"]},
        BOB | {"password": BOBS, "username": "bob"},
    ],
    "discard_senders": ["spam.example"],
    "table_type": "hash",
}
LISTS = [{"list_id": "users.example.com", "folder": "list/users"}]
TABLES = ["saslpass", "sender_access", "sender_relay", "tls_policy"]
# Its wait for another apply, in seconds.
LOCK_TIMEOUT = 0.3


class Qube:
    """A place for the configuration, and the apply of a pillar to it."""

    def __init__(self, run_state: Callable, modules: Any, root: Path, pillar: dict[str, Any]) -> None:  # noqa: ANN401
        self._run_state = run_state
        self._pillar = pillar
        self.modules = modules
        self.root = root
        self.config_dir = root / "usr/local/etc/postfix"
        self.home = root / "home/user"
        self.bin = root / "bin"
        self.arguments = {
            "ca_file": str(root / "ca-certificates.crt"),
            "procmail": str(root / "procmail"),
            "submit_policy": "#!/usr/bin/python3\n",
            "submit_milter": "#!/usr/bin/python3\n",
        }
        self.record: Any = copy.deepcopy(RECORD)

    def apply(self, test: bool = False) -> SimpleNamespace:
        self._pillar["postfix_smarthost"] = self.record
        return self._run_state(
            "postfix_smarthost.configured",
            str(self.config_dir),
            test=test,
            root=str(self.root),
            **self.arguments,
        )

    def applied(self) -> SimpleNamespace:
        ret = self.apply()
        assert ret.result is True, ret.comment
        return ret

    def world(self) -> dict[str, tuple]:
        """All that is below the root: kind and mode, owner, time and content."""
        return {
            str(path.relative_to(self.root)): (
                (status := path.lstat()).st_mode,
                (status.st_uid, status.st_gid),
                status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0,
                path.read_bytes() if stat.S_ISREG(status.st_mode) else b"",
            )
            for path in sorted(self.root.rglob("*"))
        }

    def holding(self, secret: str) -> list[str]:
        return [name for name, (*_, content) in self.world().items() if secret.encode() in content]

    @property
    def tables(self) -> Path:
        """The directory of tables that main.cf names."""
        named = {
            line.split("/")[-1] for line in self.lines("main.cf") if line.startswith("smarthost_tables = ")
        }
        assert len(named) == 1
        return self.config_dir / named.pop()

    def lines(self, name: str) -> list[str]:
        return (self.config_dir / name).read_text().split("\n")

    def query(self, key: str, name: str) -> str | None:
        """Look up a key as Postfix does, in the table as main.cf names it."""
        end = f"$smarthost_tables/{name}"
        words = (word.rstrip(",") for line in self.lines("main.cf") for word in line.split())
        (named,) = {word for word in words if word.endswith(end)}
        kind = named.partition(":")[0].replace(
            "${default_database_type}", self.modules.postmap.default_type()
        )
        return self.modules.postmap.query(
            key, f"{kind}:{self.tables}/{name}", config_dir=str(self.config_dir)
        )

    def program(self, name: str, script: str) -> None:
        """Put a program before the one of that name."""
        self.bin.mkdir(exist_ok=True)
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def is_good(self) -> None:
        """What any apply has to leave: one set of tables, root's, compiled, and nothing beside."""
        names = {*TOP_FILES, self.tables.name}
        assert {path.name for path in self.config_dir.iterdir()} <= names | {
            "dynamicmaps.cf",
            "postfix-files",
        }
        for path in [self.config_dir, *self.config_dir.rglob("*")]:
            status = path.lstat()
            assert (status.st_uid, status.st_gid) == (0, 0), path
            assert stat.S_IMODE(status.st_mode) & 0o022 == 0, path
        compiled = {path.suffix for path in self.tables.iterdir() if path.suffix}
        assert len(compiled) <= 1
        for name in TABLES:
            for file in (name, *(f"{name}{suffix}" for suffix in compiled)):
                assert stat.S_IMODE((self.tables / file).stat().st_mode) == 0o600, file
        assert self.query("bob@example.org", "sender_relay") == "smtp-implicit:[smtp.example.org]:465"


@pytest.fixture(scope="module")
def _places() -> Iterator[Path]:
    """Where the tests work, always in one place below it, and keep what they start from.

    In memory: each apply waits for the disk some forty times.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


def copy_tree(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


@pytest.fixture
def qube(
    request: pytest.FixtureRequest,
    loaders: object,
    run_state: Callable,
    _places: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Qube]:
    """A qube without a configuration."""
    modules = loaders.modules
    pillar: dict[str, Any] = {}
    monkeypatch.setitem(modules.pack, "__pillar__", pillar)
    qube = Qube(run_state, modules, _places / "place", pillar)
    empty = _places / "empty"
    if not empty.exists():
        (empty / "home/user").mkdir(parents=True)
        for name in ("etc/postfix", "usr/lib/sasl2", "usr/local/etc"):
            (empty / name).mkdir(parents=True)
        for path in Path("/etc/postfix").glob("dynamicmaps.cf*"):
            subprocess.run(["cp", "-a", path, empty / "etc/postfix"], check=True)
        os.chown(empty / "home/user", 12345, 54321)
        for name in ("ca-certificates.crt", "usr/lib/sasl2/libplain.so", "procmail"):
            (empty / name).touch(mode=0o755)
        (empty / "etc/aliases").write_text("root: user\n")
        modules.postmap.build(f"auto:{empty}/etc/aliases", alias=True)
        # `postfix check` takes longer than all the rest of an apply: see really_checked.
        Qube(run_state, modules, empty, pillar).program("postfix", "exit 0")
    if "configured" not in request.fixturenames or not (_places / "configured").exists():
        copy_tree(empty, qube.root)
    user = pwd.struct_passwd(("user", "x", 12345, 54321, "", str(qube.home), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"user": user}.__getitem__)
    monkeypatch.setattr(smarthost_apply, "LOCK_TIMEOUT", LOCK_TIMEOUT)
    monkeypatch.setenv("PATH", f"{qube.bin}:{os.environ['PATH']}")
    yield qube
    for secret in (ALICES, BOBS):
        assert not [name for name in qube.holding(secret) if "saslpass" not in name and "bin/" not in name]


@pytest.fixture
def configured(qube: Qube, _places: Path) -> Qube:
    """A qube with the configuration that RECORD asks for."""
    kept = _places / "configured"
    if kept.exists():
        copy_tree(kept, qube.root)
    else:
        qube.applied()
        copy_tree(qube.root, kept)
    return qube


@pytest.fixture
def really_checked(qube: Qube) -> Qube:
    """A qube without a configuration, and with all of Postfix's programs."""
    (qube.bin / "postfix").unlink()
    return qube


@contextlib.contextmanager
def no_programs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", None)
        yield


def unchanged(qube: Qube) -> None:
    """A further apply changes nothing, touches nothing and runs nothing."""
    before = qube.world()
    with no_programs():
        ret = qube.apply()
    assert (ret.result, ret.changes, ret.comment) == (True, {}, "The configuration is in place.")
    assert qube.world() == before


def changed(qube: Qube, changes: dict[str, Any], test: bool) -> None:
    """An apply makes the changes, or with test=True only tells them; a second one makes none."""
    before = qube.world()
    ret = qube.apply(test)
    assert ret.changes == changes, ret.comment
    for secret in (ALICES, BOBS):
        assert secret not in str(ret)
    if test:
        assert (ret.result, ret.comment) == (None, "The configuration would be changed.")
        assert qube.world() == before
    else:
        assert (ret.result, ret.comment) == (True, "The configuration was changed.")
        unchanged(qube)


# -- changes --------------------------------------------------------------------------------------------------


def test_from_nothing(really_checked: Qube, testmode: bool) -> None:
    qube = really_checked
    changes = {
        "accounts": {"added": ["alice@example.com", "bob@example.org", "me@alias.example"]},
        "files": {
            "added": [
                "main.cf",
                "master.cf",
                "submit-policy",
                "submit-milter",
                "own-names",
                "local_recipients",
                "local_relay",
                "local_senders",
                "recipients",
                "sender_canonical",
                "smtp_generic",
                "smtp_header_checks",
                "strange_senders",
                "forwarded_sender",
                "smtp_delivery_status_filter",
                "smtpd_reject_footers",
                "smtpd_command_filter",
                "sender_relay",
                "saslpass",
                "sender_access",
                "tls_policy",
                "manifest",
            ]
        },
        "maildirs": {"added": [str(qube.home / ".maildir")]},
    }
    changed(qube, changes, testmode)
    if testmode:
        assert not qube.config_dir.exists()
        return
    qube.is_good()
    assert stat.S_IMODE(qube.config_dir.stat().st_mode) == 0o755
    assert stat.S_IMODE(qube.tables.stat().st_mode) == 0o755
    assert qube.query("me@alias.example", "sender_relay") == "smtp-starttls:[mail.example.com]:587"
    assert qube.query("<>", "sender_relay") == "reports:localhost.localdomain"
    assert qube.query("carol@example.com", "sender_relay") is None
    assert qube.query("alice@example.com", "saslpass") == f"alice@example.com:{ALICES}"
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    assert qube.query("spam.example", "sender_access") == "DISCARD"
    assert qube.query("user@localhost", "sender_canonical") == "user@localhost.localdomain"
    assert qube.holding(BOBS) == [
        f"usr/local/etc/postfix/{qube.tables.name}/{name}" for name in ("saslpass", "saslpass.db")
    ]
    assert (qube.config_dir / "main.cf").stat().st_mtime < time.time() - 3, (
        "Postfix waits for a fresh main.cf"
    )


def test_the_umask_does_not_matter(qube: Qube) -> None:
    """Under one of 077, sendmail(1) could not have read main.cf, nor procmail(1) its recipes."""
    umask = os.umask(0o077)
    try:
        qube.applied()
    finally:
        os.umask(umask)
    qube.is_good()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (qube.config_dir, qube.tables)} == {0o755}
    assert stat.S_IMODE((qube.config_dir / "main.cf").stat().st_mode) == 0o644


def test_maildirs_belong_to_the_user(qube: Qube, testmode: bool) -> None:
    qube.record["lists"] = LISTS
    added = qube.apply(testmode).changes["maildirs"]["added"]
    assert added == [str(qube.home / name) for name in (".maildir", ".maildir/list")]
    for name in added:
        assert os.path.isdir(name) is not testmode
        if not testmode:
            status = os.stat(name)
            assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o700, 12345, 54321)


def change_password(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["password"] = "new-s3cret"
    return {"accounts": {"changed": ["bob@example.org"]}, "files": {"changed": ["saslpass", "manifest"]}}


def change_username(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["username"] = "robert"
    return {"accounts": {"changed": ["bob@example.org"]}, "files": {"changed": ["saslpass", "manifest"]}}


def change_relay(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][0]["relay"] = "other.example.com"
    return {
        "accounts": {"changed": ["alice@example.com", "me@alias.example"]},
        "files": {"changed": ["local_relay", "sender_relay", "tls_policy", "manifest"]},
    }


def change_sender(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][0]["senders"] = ["you@alias.example"]
    return {
        "accounts": {"added": ["you@alias.example"], "removed": ["me@alias.example"]},
        "files": {"changed": ["smtp_header_checks", "sender_relay", "saslpass", "sender_access", "manifest"]},
    }


def change_default(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["default"] = True
    return {
        "files": {
            "changed": [
                *("local_relay", "smtp_generic", "smtp_header_checks", "forwarded_sender", "sender_relay"),
                *("saslpass", "sender_access", "tls_policy", "manifest"),
            ]
        }
    }


def change_account(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"].pop(0)
    return {
        "accounts": {"removed": ["alice@example.com", "me@alias.example"]},
        "files": {
            "changed": [
                *("local_relay", "smtp_generic", "smtp_header_checks", "forwarded_sender", "sender_relay"),
                *("saslpass", "sender_access", "tls_policy", "manifest"),
            ]
        },
    }


def change_fingerprint(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["tls"] = {"fingerprint": [FINGERPRINT]}
    return {
        "accounts": {"changed": ["bob@example.org"]},
        "files": {"changed": ["tls_policy", "manifest"]},
    }


def change_settings(qube: Qube) -> dict[str, Any]:
    qube.record["settings"] = {"message_size_limit": 50000000, "queue_run_delay": "5m"}
    return {"files": {"changed": ["main.cf"]}}


def change_lists(qube: Qube) -> dict[str, Any]:
    qube.record["lists"] = LISTS
    return {
        "files": {"added": ["procmailrc", "deliver"], "changed": ["main.cf"]},
        "maildirs": {"added": [str(qube.home / ".maildir/list")]},
    }


def change_discards(qube: Qube) -> dict[str, Any]:
    del qube.record["discard_senders"]
    return {"files": {"changed": ["sender_access"]}}


@pytest.mark.parametrize(
    "change",
    [
        change_password,
        change_username,
        change_relay,
        change_sender,
        change_default,
        change_account,
        change_fingerprint,
        change_settings,
        change_lists,
        change_discards,
    ],
)
def test_a_change_is_told_and_made(configured: Qube, change: Callable, testmode: bool) -> None:
    tables = configured.tables
    changed(configured, change(configured), testmode)
    if not testmode:
        configured.is_good()
        # The directory that is in use is not written to.
        assert configured.tables != tables
        assert not tables.exists()


def test_a_removed_or_changed_password_leaves_the_disk(configured: Qube) -> None:
    change_password(configured)
    configured.applied()
    assert configured.holding(BOBS) == []
    change_account(configured)
    configured.applied()
    assert configured.holding(ALICES) == []
    assert len(configured.holding("new-s3cret")) == 2


def test_lists_come_and_go(qube: Qube) -> None:
    qube.record["lists"] = LISTS
    qube.applied()
    smarthost = qube.config_dir.parent / "smarthost"
    (rules,) = smarthost.rglob("procmailrc")
    assert (rules.parent.name[-1], rules.stat().st_mode & 0o7777) == (qube.tables.name[-1], 0o644)
    assert "list/users/" in rules.read_text().splitlines()
    del qube.record["lists"]
    changed(qube, {"files": {"removed": ["deliver", "procmailrc"], "changed": ["main.cf"]}}, test=False)
    assert not smarthost.exists()


# -- types of tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lmdb", "cdb", "texthash", "auto"])
def test_the_type_of_tables(really_checked: Qube, kind: str, testmode: bool) -> None:
    qube = really_checked
    qube.record["table_type"] = kind
    ret = qube.apply(testmode)
    assert ret.result is (None if testmode else True), ret.comment
    if testmode:
        return
    qube.is_good()
    suffix = SUFFIXES[qube.modules.postmap.default_type() if kind == "auto" else kind]
    assert {path.name for path in qube.tables.iterdir() if suffix and path.suffix} == {
        f"{name}{suffix}" for name in TABLES if suffix
    }
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    unchanged(qube)


@pytest.mark.parametrize("change", [("hash", "lmdb"), ("texthash", "cdb")])
def test_another_type_of_tables(qube: Qube, change: tuple[str, str]) -> None:
    qube.record["table_type"], other = change
    qube.applied()
    qube.record["table_type"] = other
    changed(qube, {"files": {"changed": ["main.cf", "manifest"]}}, test=False)
    qube.is_good()
    assert {path.suffix for path in qube.tables.iterdir()} == {"", SUFFIXES[other]}


# -- drift ----------------------------------------------------------------------------------------------------


def drift_compiled_deleted(qube: Qube) -> str:
    (qube.tables / "saslpass.db").unlink()
    return "changed saslpass"


def drift_compiled_emptied(qube: Qube) -> str:
    os.truncate(qube.tables / "saslpass.db", 0)
    return "changed saslpass"


def drift_compiled_older(qube: Qube) -> str:
    os.utime(qube.tables / "saslpass.db", (0, 0))
    return "changed saslpass"


def drift_compiled_of_another_type(qube: Qube) -> str:
    (qube.tables / "saslpass.db").unlink()
    qube.modules.postmap.build(f"lmdb:{qube.tables}/saslpass")
    return "changed saslpass"


def drift_compiled_twice(qube: Qube) -> str:
    qube.modules.postmap.build(f"lmdb:{qube.tables}/saslpass")
    return "changed saslpass"


def drift_compiled_wider(qube: Qube) -> str:
    (qube.tables / "saslpass.db").chmod(0o644)
    return "changed saslpass"


def drift_compiled_owner(qube: Qube) -> str:
    os.chown(qube.tables / "saslpass.db", 12345, -1)
    return "changed saslpass"


def drift_source_wider(qube: Qube) -> str:
    (qube.tables / "saslpass").chmod(0o644)
    return "changed saslpass"


def drift_source_owner(qube: Qube) -> str:
    os.chown(qube.tables / "saslpass", -1, 12345)
    return "changed saslpass"


def drift_source_edited(qube: Qube) -> str:
    with (qube.tables / "sender_access").open("a") as file:
        file.write("evil.example OK\n")
    return "changed sender_access"


def drift_source_deleted(qube: Qube) -> str:
    (qube.tables / "sender_relay").unlink()
    return "added sender_relay"


def drift_source_a_link(qube: Qube) -> str:
    source = qube.tables / "smtp_header_checks"
    source.rename(qube.root / "elsewhere")
    source.symlink_to(qube.root / "elsewhere")
    return "changed smtp_header_checks"


def drift_main_cf_edited(qube: Qube) -> str:
    with (qube.config_dir / "main.cf").open("a") as file:
        file.write("smtp_tls_security_level = may\n")
    return "changed main.cf"


def drift_main_cf_deleted(qube: Qube) -> str:
    (qube.config_dir / "main.cf").unlink()
    return "added main.cf"


def drift_master_cf_edited(qube: Qube) -> str:
    (qube.config_dir / "master.cf").write_text("")
    return "changed master.cf"


def drift_master_cf_deleted(qube: Qube) -> str:
    (qube.config_dir / "master.cf").unlink()
    return "added master.cf"


def drift_tables_deleted(qube: Qube) -> str:
    for file in qube.tables.iterdir():
        file.unlink()
    qube.tables.rmdir()
    return "added sender_relay"


def drift_tables_writable(qube: Qube) -> str:
    qube.tables.chmod(0o777)
    return f"changed {qube.tables.name}"


def drift_directory_writable(qube: Qube) -> str:
    qube.config_dir.chmod(0o777)
    return "changed postfix"


def drift_staging(qube: Qube) -> str:
    (qube.config_dir / "staging").mkdir(mode=0o700)
    (qube.config_dir / "staging/saslpass").write_text(f"bob@example.org bob:{BOBS}\n")
    return "removed staging"


def drift_other_tables(qube: Qube) -> str:
    other = {"tables-a": "tables-b", "tables-b": "tables-a"}[qube.tables.name]
    (qube.config_dir / other).mkdir()
    (qube.config_dir / other / "saslpass").write_text(f"bob@example.org bob:{BOBS}\n")
    return f"removed {other}"


def drift_stray_file(qube: Qube) -> str:
    (qube.tables / "old_table").write_text("x")
    return "removed old_table"


def drift_recipe(qube: Qube) -> str:
    for name in ("Makefile", "saslpass", "saslpass.db", "generic", "sender_relay.db"):
        (qube.config_dir / name).write_text("x")
    return "removed saslpass.db"


@pytest.mark.parametrize(
    "drift", [function for name, function in [*globals().items()] if name.startswith("drift_")]
)
def test_drift_heals_in_one_apply(configured: Qube, drift: Callable, testmode: bool) -> None:
    how, name = drift(configured).split()
    before = configured.world()
    ret = configured.apply(testmode)
    assert name in ret.changes["files"][how]
    assert ret.result is (None if testmode else True)
    if testmode:
        assert configured.world() == before
    else:
        configured.is_good()
        assert configured.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
        unchanged(configured)


def test_a_table_of_another_type_heals_though_any_type_is_asked_for(qube: Qube) -> None:
    """With table_type auto, Postfix looks for its own type only."""
    qube.record["table_type"] = "auto"
    qube.applied()
    default = qube.modules.postmap.default_type()
    other = "cdb" if default == "lmdb" else "lmdb"
    for name in TABLES:
        (qube.tables / f"{name}{SUFFIXES[default]}").unlink()
        qube.modules.postmap.build(f"{other}:{qube.tables}/{name}")
    in_order = ["sender_relay", "saslpass", "sender_access", "tls_policy"]
    assert qube.apply().changes == {"files": {"changed": in_order}}
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    unchanged(qube)


# -- failures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [False, True], ids=["first", "later"])
def test_a_malformed_pillar_changes_nothing(
    request: pytest.FixtureRequest, before: bool, testmode: bool
) -> None:
    qube = request.getfixturevalue("configured" if before else "qube")
    world = qube.world()
    for name, malformed, sentences in MALFORMED:
        qube.record = malformed
        with no_programs():
            ret = qube.apply(testmode)
        assert (ret.result, ret.changes, ret.comment) == (False, {}, "\n".join(sentences)), name
        assert qube.world() == world, name


def fail_postconf(qube: Qube) -> str:
    qube.program(
        "postconf",
        'echo "postconf: warning: $2/main.cf: unused parameter: x=y" >&2; exec /usr/sbin/postconf "$@"',
    )
    return "so the old one stays in use: postconf: warning: main.cf: unused parameter"


def fail_check(qube: Qube) -> str:
    qube.program("postfix", 'echo "postfix: fatal: $2/x: bad" >&2; exit 1')
    return "Postfix refuses the configuration, so the old one stays in use: postfix: fatal: x: bad"


def fail_check_without_a_word(qube: Qube) -> str:
    qube.program("postfix", "exit 1")
    return "Postfix refuses the configuration, so the old one stays in use: exit code 1"


def fail_postmap(qube: Qube) -> str:
    qube.program("postmap", f'echo "postmap: fatal: {BOBS}: No space left on device" >&2; exit 1')
    return "was not compiled"


def fail_rows(qube: Qube) -> str:
    """Rows that are lost without a word."""
    qube.program("postmap", 'case $3 in *saslpass) : >"${3#hash:}" ;; esac; exec /usr/sbin/postmap "$@"')
    return "The table tables-a/saslpass was not compiled as it was written."


def fail_types(qube: Qube) -> str:
    qube.program("postconf", 'case "$*" in *-m*) echo static; exit ;; esac; exec /usr/sbin/postconf "$@"')
    return "The Postfix of this qube has no tables of the type hash: set table_type to another one."


def fail_aliases(qube: Qube) -> str:
    for file in (qube.root / "etc").glob("aliases.*"):
        file.unlink()
    return f"{qube.root}/etc/aliases is not compiled: apply postfix_smarthost to this machine again."


def fail_home(qube: Qube) -> str:
    qube.home.rmdir()
    return "No such file or directory"


def fail_maildir(qube: Qube) -> str:
    (qube.home / ".maildir").touch()
    return "File exists"


def fail_link(qube: Qube) -> str:
    """A link of the user's to where only root may write."""
    (qube.root / "of-root").mkdir(mode=0o755)
    (qube.home / ".maildir").symlink_to(qube.root / "of-root")
    qube.record["lists"] = LISTS
    return "Permission denied"


@pytest.mark.parametrize(
    "failure", [function for name, function in [*globals().items()] if name.startswith("fail_")]
)
@pytest.mark.parametrize("before", [False, True], ids=["first", "later"])
def test_a_failure_leaves_all_as_it_was(
    request: pytest.FixtureRequest, failure: Callable, before: bool
) -> None:
    qube = request.getfixturevalue("configured" if before else "qube")
    if before:
        change_password(qube)
        if failure in (fail_home, fail_maildir, fail_link):
            (qube.home / ".maildir").rmdir()
    sentence = failure(qube)
    world = qube.world()
    ret = qube.apply()
    assert (ret.result, ret.changes) == (False, {})
    assert sentence in ret.comment.replace("tables-b", "tables-a")
    assert ret.comment.isascii()
    assert "new-s3cret" not in ret.comment
    assert BOBS not in ret.comment
    assert qube.world() == world


@pytest.mark.parametrize(
    ("call", "number"),
    # Of the calls of os.replace, the last four are the swap.
    [("fsync", 1), ("fchmod", 3), ("mkdir", 4), *(("replace", number) for number in (1, 6, 7, 8, 9))],
)
def test_a_full_disk_leaves_all_as_it_was(
    configured: Qube, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """At several points of the way, those of the swap among them."""
    change_password(configured)
    configured.record["lists"] = LISTS
    world = configured.world()
    real, left = getattr(os, call), [number]

    def full(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        ret = configured.apply()
    assert left[0] <= 0, "the call is not made that often"
    assert (ret.result, ret.changes) == (False, {})
    assert "No space left on device" in ret.comment
    assert "Traceback" not in ret.comment
    assert configured.world() == world


# -- what the qube lacks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (
            "usr/lib/sasl2/libplain.so",
            "The package with the SASL mechanism PLAIN is not installed in this qube",
        ),
        ("ca-certificates.crt", "ca-certificates.crt is not installed in this qube"),
        ("procmail", "procmail, which sorts mail into lists, is not installed in this qube"),
    ],
)
def test_a_template_that_is_not_ready(qube: Qube, testmode: bool, missing: str, sentence: str) -> None:
    qube.record["lists"] = LISTS
    (qube.root / missing).unlink()
    qube._pillar["qubes"] = {"type": "app", "template": "debian-13-mail"}
    world = qube.world()
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert sentence in ret.comment
    assert "apply postfix_smarthost to its template debian-13-mail, shut the template down" in ret.comment
    assert qube.world() == world


def test_without_postfix(qube: Qube, testmode: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert (
        ret.comment == "Postfix is not installed in this qube: apply postfix_smarthost.template here first."
    )
    assert not qube.config_dir.exists()


def test_a_user_that_there_is_not(qube: Qube, testmode: bool) -> None:
    qube.record["user"] = "nobody-here"
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert ret.comment == (
        "There is no local user nobody-here to read the mail: name one in postfix_smarthost:user."
    )
    assert not qube.config_dir.exists()


# -- two at once ----------------------------------------------------------------------------------------------


def test_a_second_apply_waits_and_then_says_so(configured: Qube) -> None:
    change_password(configured)
    world = configured.world()
    descriptor = os.open(configured.config_dir.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        ret = configured.apply()
        assert (ret.result, ret.changes) == (False, {})
        assert ret.comment == (
            "Another apply is changing the mail configuration of this qube: wait for it and apply again."
        )
        assert configured.world() == world
        # A prediction changes nothing, and need not wait.
        assert configured.apply(test=True).changes
        threading.Timer(LOCK_TIMEOUT / 3, os.close, [os.dup(descriptor)]).start()
    finally:
        os.close(descriptor)


def test_two_applies_at_once_leave_one_of_the_two(configured: Qube) -> None:
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                smarthost_apply.LOCK_TIMEOUT = 60
                for account in configured.record["accounts"]:
                    account["password"] = f"of-{number}"
                code = 0 if configured.apply().result else 1
            os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    configured.is_good()
    (last,) = {
        configured.query(sender, "saslpass")[-4:] for sender in ("alice@example.com", "bob@example.org")
    }
    assert last in ("of-0", "of-1", "of-2")
    for account in configured.record["accounts"]:
        account["password"] = last
    unchanged(configured)


@pytest.mark.parametrize(
    ("step", "number"),
    # Of the calls of os.replace, the last four are the swap.
    [("fsync", 12), *(("replace", number) for number in (6, 7, 8, 9))],
)
def test_a_kill_leaves_one_of_the_two_and_the_next_apply_heals(
    configured: Qube, step: str, number: int
) -> None:
    change_password(configured)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            real, left = getattr(os, step), [number]

            def kill(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(os, step, kill)
            configured.apply()
        os._exit(0)
    assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL)
    # main.cf and the tables that it names belong together.
    password = configured.query("bob@example.org", "saslpass")
    assert password in (f"bob:{BOBS}", "bob:new-s3cret")
    configured.applied()
    configured.is_good()
    assert configured.query("bob@example.org", "saslpass") == "bob:new-s3cret"
    assert configured.holding(BOBS) == []
    unchanged(configured)


# -- Postfix running on it ------------------------------------------------------------------------------------


class Postfix:
    """Seems to run on a configuration: a process called master, and systemctl(1) that notes what it is told."""

    def __init__(self, queue: Path, process: subprocess.Popen[bytes]) -> None:
        self.actions: list[str] = []
        #: What systemctl(1) fails at.
        self.fails_at: list[str] = []
        self._pid_file = queue / "pid/master.pid"
        self._pid_file.parent.mkdir(parents=True)
        self._pid = process.pid
        self._run()

    def _run(self) -> None:
        self._pid_file.write_text(f"{self._pid:>10}\n")

    def systemctl(self, action: str) -> None:
        self.actions.append(action)
        if action in self.fails_at:
            self.fails_at.remove(action)
            raise CommandExecutionError(f"systemctl {action} postfix failed.")
        if action == "stop":
            self._pid_file.unlink()
        else:
            self._run()


class Taker:
    """Takes the place of Postfix, and all mail."""

    def __init__(self, *_: object, **__: object) -> None:
        self.mail = self.rcpt = lambda _: (250, b"Ok")
        self.rset = self.ehlo_or_helo_if_needed = lambda: (250, b"Ok")

    def __enter__(self) -> "Taker":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def running(configured: Qube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Postfix]:
    """Postfix, as if it ran on the configuration."""
    shutil.copy("/bin/sleep", tmp_path / "master")
    process = subprocess.Popen([tmp_path / "master", "300"])
    postfix = Postfix(tmp_path / "queue", process)
    shutil.rmtree(configured.root / "etc/postfix")
    (configured.root / "etc/postfix").symlink_to(configured.config_dir)
    (configured.root / "var/spool").mkdir(parents=True)
    (configured.root / "var/spool/postfix").symlink_to(tmp_path / "queue")
    monkeypatch.setattr(smarthost_service, "_systemctl", postfix.systemctl)
    monkeypatch.setattr(smarthost_service, "_Private", Taker)
    monkeypatch.setattr(smarthost_service, "_ask", lambda _: (250, b""))
    yield postfix
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("change", "actions"),
    [
        (change_password, ["reload"]),
        (change_settings, ["reload"]),
        (change_lists, ["reload"]),
        (change_sender, ["reload"]),
        # A message that is already on its way to the old relay must not meet the new password.
        (change_relay, ["stop", "start"]),
    ],
)
def test_postfix_reads_a_change(
    configured: Qube, running: Postfix, change: Callable, actions: list[str]
) -> None:
    change(configured)
    configured.applied()
    assert running.actions == actions
    unchanged(configured)
    assert running.actions == actions


def test_a_listener_that_changes_needs_a_restart(configured: Qube, running: Postfix) -> None:
    configured.record["settings"] = {"inet_protocols": "all"}
    configured.applied()
    assert running.actions == ["stop", "start"]


@pytest.mark.parametrize(
    ("change", "fails_at", "actions"),
    [
        (change_password, "reload", ["reload", "reload"]),
        (change_relay, "start", ["stop", "start", "start"]),
        (change_relay, "stop", ["stop", "stop", "start"]),
    ],
)
def test_the_old_configuration_comes_back_when_postfix_does_not_run(
    configured: Qube, running: Postfix, change: Callable, fails_at: str, actions: list[str]
) -> None:
    running.fails_at = [fails_at]
    world = configured.world()
    change(configured)
    ret = configured.apply()
    assert (ret.result, ret.changes) == (False, {})
    assert ret.comment == f"systemctl {fails_at} postfix failed. The old configuration is back in use."
    assert configured.world() == world
    assert running.actions == actions


def test_a_reload_that_fails_twice_is_told(configured: Qube, running: Postfix) -> None:
    running.fails_at = ["reload", "reload"]
    change_password(configured)
    world = configured.world()
    ret = configured.apply()
    assert ret.result is False
    assert ret.comment.endswith(" The old configuration is back, but systemctl reload postfix failed.")
    assert configured.world() == world


# -- what Postfix makes of it ---------------------------------------------------------------------------------


def bulk_query(table: Path, config_dir: Path, kind: str, keys: list[str]) -> dict[str, str]:
    """Look up many keys at once: postmap(1) prints those that it has, with a tab before the value."""
    found = subprocess.run(
        ["/usr/sbin/postmap", "-c", config_dir, "-q", "-", f"{kind}:{table}"],
        input="".join(f"{key}\n" for key in keys).encode(),
        capture_output=True,
        check=True,
    )
    assert found.stderr == b""
    lines = found.stdout.decode("utf-8").split("\n")[:-1]
    return {key: value for key, _, value in (line.partition("\t") for line in lines)}


@pytest.mark.parametrize("kind", ["hash", "lmdb", "cdb", "texthash"])
def test_postfix_reads_the_tables_as_they_were_meant(
    loaders: object, tmp_path: Path, config_dir: Path, kind: str
) -> None:
    """Passwords of any shape through Postfix's own programs, hundreds in one table."""

    @given(randoms)
    @settings(max_examples=max(2, CASES // 500), deadline=None, phases=["generate"])
    def check(random: Random) -> None:
        passwords = [password(random) for _ in range(500)]
        accounts = [
            ALICE | {"address": f"{number}@example.com", "username": f"{number}", "password": text}
            for number, text in enumerate(passwords)
        ]
        files = smarthost_plan.plan(
            smarthost_pillar.normalise({"accounts": accounts}), "tables-a", FACTS
        ).files
        source = tmp_path / "saslpass"
        source.write_bytes(files["tables-a/saslpass"].content.encode())
        os.utime(source, (0, 0))
        loaders.modules.postmap.build(f"{kind}:{source}", config_dir=str(config_dir))
        meant = {f"{number}@example.com": f"{number}:{text}" for number, text in enumerate(passwords)}
        assert bulk_query(source, config_dir, kind, [*meant]) == meant

    check()


# An apply takes as long as the reading of hundreds of passwords.
@given(randoms)
@settings(max_examples=max(2, CASES // 50), deadline=None, phases=["generate"])
def each_record_is_applied(qube: Qube, random: Random) -> None:
    qube.record = record(random) | {"user": "user"}
    qube.applied()
    regular = smarthost_pillar.normalise(qube.record)
    for account in regular["accounts"]:
        for sender in account["senders"]:
            login = f"{account['username']}:{account['password']}" if account["auth"] == "password" else None
            assert qube.query(sender, "saslpass") == login
    unchanged(qube)


def test_any_good_pillar_is_applied(really_checked: Qube) -> None:
    each_record_is_applied(really_checked)


def test_postfix_knows_each_setting_that_may_be_tuned(
    configured: Qube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the least and the greatest value that is taken; postmap(1) reads those that all programs share."""
    for which in (0, -1):
        configured.record["settings"] = {
            name: setting.values[which] for name, setting in smarthost_settings.TUNABLE.items()
        } | {"message_size_limit": smarthost_settings.TUNABLE["message_size_limit"].values[0]}
        configured.applied()
        assert configured.query("bob@example.org", "saslpass") == f"bob:{BOBS}"


@pytest.mark.parametrize(
    ("header", "action"),
    [
        ("Received: by localhost.localdomain (Postfix, from userid 1000)\n\tid 1; Thu", "IGNORE"),
        (
            "Received: from my-mail (localhost [127.0.0.1])\n\tby localhost.localdomain (Postfix) with ESMTP",
            "IGNORE",
        ),
        ("Received: by mail.example.net (Postfix) with ESMTPS", None),
        (
            "Received: from imap.example.net\n\tby my-mail with POP3 (fetchmail-6.4.37)\n\tfor <user@localhost>",
            "IGNORE",
        ),
        ("Delivered-To: user@localhost.localdomain", "IGNORE"),
        ("X-Original-To: user", "IGNORE"),
        ("From: root <alice@example.com>", "REPLACE From: <alice@example.com>"),
        ("From: user <alice@example.com>", "REPLACE From: <alice@example.com>"),
        ("From: Ruth Root <alice@example.com>", None),
        ("User-Agent: Mutt/2.2.9", "IGNORE"),
        ("X-Mailer: x", "IGNORE"),
        ("Message-ID: <1@my-mail>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        ("Message-Id: <1.2@My-Mail.localdomain>", "REPLACE Message-Id: <1.2@localhost.localdomain>"),
        # Names that the qube had.
        ("Message-ID: <1@earlier>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        ("Message-ID: <1@with.dot>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        (
            "References: <1@a> <2@b.c> <3@my-mail.localdomain>\n\t<4@earlier>",
            "REPLACE References: <1@a> <2@b.c> <3@localhost.localdomain>\n\t<4@localhost.localdomain>",
        ),
        # Names that others have.
        ("Message-ID: <1@another-name>", None),
        ("References: <1@localhost> <2@box.localdomain> <3@with-dot>", None),
        ("Received: from x by taiga with ESMTP", None),
        ("Delivered-To: friend@taiga", None),
        ("From: root <root@taiga>", None),
        ("From: root <root@my-mail.example.com>", None),
        # What a message that is passed on has, see submit-milter.
        ("Passed-On-User-Agent:  Mutt\n (x)", "REPLACE User-Agent:  Mutt\n (x)"),
        ("Passed-On-Subject: x", None),
        # The name before and behind an address inside the qube.
        ('From: "user" <user@MY-MAIL.>', "REPLACE From: <user@MY-MAIL.>"),
        ("Sender: user@earlier (user)", "REPLACE Sender: user@earlier"),
        ("Cc: root <root@[127.0.0.1]>, x@y.z", "REPLACE Cc: <root@[127.0.0.1]>, x@y.z"),
        (
            'Cc: Joe <x@y.z>, root <root@localhost>,\n "user" <user@with.dot>, z@y.x',
            "REPLACE Cc: Joe <x@y.z>, <root@localhost>,\n <user@with.dot>, z@y.x",
        ),
        ("Resent-From: Joe User <user@my-mail>", None),
        ("Message-ID: <1@my-mail.example.com>", None),
        ("Subject: my-mail", None),
    ],
)
def test_headers_that_leave_the_qube(
    loaders: object, tmp_path: Path, config_dir: Path, header: str, action: str | None
) -> None:
    checks = planned(tmp_path, "smtp_header_checks", names=("earlier", "with.dot", "my-mail"))
    assert loaders.modules.postmap.query(header, checks, config_dir=str(config_dir)) == action


def planned(directory: Path, name: str, address: str = "alice@example.com", **facts: Any) -> str:  # noqa: ANN401
    """Write a table of regular expressions as it is planned; return it as Postfix names it."""
    record = smarthost_pillar.normalise({"accounts": [ALICE | {"address": address}]})
    files = smarthost_plan.plan(record, "tables-a", FACTS | facts).files
    (directory / name).write_text(files[f"tables-a/{name}"].content)
    return f"regexp:{directory}/{name}"


@pytest.mark.parametrize("address", ["alice@example.com", "$1${1}$$@example.com"])
def test_addresses_that_leave_the_qube(
    loaders: object, tmp_path: Path, config_dir: Path, address: str
) -> None:
    generic = planned(tmp_path, "smtp_generic", address, hostname="my.mail", names=("my-mail",))

    def query(key: str) -> str | None:
        return loaders.modules.postmap.query(key, generic, config_dir=str(config_dir))

    inside = (
        "user",
        "root",
        "user@my-mail",
        "x@My-Mail.localdomain.",
        "root@localhost",
        "a@localhost.localdomain",
    )
    inside += ("user@[127.0.0.1]", "x@[10.137.0.9]", "x@[IPv6:::1]", '"a@b"@localhost', "root@my.mail.")
    assert {key: query(key) for key in (*inside, "root@my.mail", "user@my.mail")} == dict.fromkeys(
        (*inside, "root@my.mail", "user@my.mail"), address
    )
    outside = (
        "bob@example.org",
        "friend@my.mail",
        "user@mx.my.mail",
        "user@myxmail.org",
        "x@localdomain.net",
        "x@another-name",
        "a@b.localdomain",
        "a@my",
        "x@[192.0.2.1]",
        "x@[10.13.7.1]",
    )
    assert {key: query(key) for key in outside} == dict.fromkeys(outside)


def test_a_host_name_with_dots_is_known_in_headers(loaders: object, tmp_path: Path, config_dir: Path) -> None:
    checks = planned(tmp_path, "smtp_header_checks", hostname="my.mail")
    for header, action in {
        "Message-ID: <1@my.mail>": "REPLACE Message-ID: <1@localhost.localdomain>",
        "Message-ID: <1@myxmail>": None,
        "Message-ID: <1@my.mail.example.com>": None,
        "Received: from x by my.mail with POP3": "IGNORE",
    }.items():
        assert loaders.modules.postmap.query(header, checks, config_dir=str(config_dir)) == action


# -- status ---------------------------------------------------------------------------------------------------


def test_status_tells_how_mail_goes_and_no_password(configured: Qube) -> None:
    queue = configured.root / "rw/bind-dirs/var/spool/postfix"
    for name, count in {"active": 1, "hold": 2, "deferred/A": 1, "defer/A": 1}.items():
        (queue / name).mkdir(parents=True)
        for number in range(count):
            (queue / name / str(number)).touch()
    told = configured.modules.postfix_smarthost.status(root=str(configured.root))
    assert told["active"] is False
    assert told["senders"]["bob@example.org"] == "[smtp.example.org]:465"
    assert {*told["senders"]} == {"alice@example.com", "bob@example.org", "me@alias.example"}
    assert told["queue"] == {"active": 1, "deferred": 1, "hold": 2}
    assert told["tables"] == str(configured.root / "etc/postfix" / configured.tables.name)
    stopped, held, deferred = told["notes"]
    assert stopped.startswith("Postfix does not run on the configuration: ")
    assert held.startswith("2 messages are held: ")
    assert "sudo postsuper -r ALL hold sends it" in held
    assert deferred.startswith("1 message is deferred: mailq")
    for secret in (ALICES, BOBS):
        assert secret not in str(told)


def test_status_of_a_qube_without_a_configuration(qube: Qube) -> None:
    told = qube.modules.postfix_smarthost.status(root=str(qube.root))
    note = "There is no configuration: apply postfix_smarthost to this qube."
    assert told == {"active": False, "tables": None, "senders": {}, "queue": {}, "notes": [note]}
