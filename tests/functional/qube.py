# SPDX-License-Identifier: Apache-2.0
"""A qube's configuration in a directory of its own, and the apply of a pillar to it: postfix_smarthost.configured.

The programs are those of the machine's own Postfix. What Postfix does with the configuration is in the lab; here
it is what is on disk, before, after and on failure.
"""

import contextlib
import copy
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smarthost_places import TOP_FILES
from tests.samples import ALICE, BOB

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
# How long an apply waits for another one, in seconds.
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
        }
        self.record: Any = copy.deepcopy(RECORD)

    def asks(self) -> None:
        """Have the record in the pillar."""
        self._pillar["postfix_smarthost"] = self.record

    def apply(self, test: bool = False) -> SimpleNamespace:
        self.asks()
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
        words = (
            word.strip(",}").removeprefix("pipemap:{")
            for line in self.lines("main.cf")
            for word in line.split()
        )
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


def copy_tree(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)


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
