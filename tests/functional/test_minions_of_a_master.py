# SPDX-License-Identifier: Apache-2.0
"""A real salt-master with 20 real minions: each gets its own accounts, by the master's pillar, and sees no other's.

The modules come from the master's file server, as to any minion. Each minion has a directory for its root file system,
as the tests share one machine; what the formula does to a whole machine is in tests/lab/test_plain_machine.py.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postfix_tables
from tests.checkout import ROOT

NAMES = [f"minion{number:02}" for number in range(1, 21)]
USER = "reader"
SLS = """\
at-its-root-configuration:
  postfix_smarthost.configured:
    - name: {{ grains.place }}/etc/postfix
    - ca_file: {{ grains.place }}/ca-certificates.crt
    - procmail: {{ grains.place }}/procmail
    - root: {{ grains.place }}
"""


def password(name: str) -> str:
    return f"s3cret-of-{name}"


def record(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    account = {"address": f"{name}@{name}.example", "relay": "smtp.example.com", "password": password(name)}
    return {"postfix_smarthost": {"accounts": [account | more], "user": USER, "table_type": "texthash"}}


class Minions:
    """The master, what it knows, and where its minions are."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.told_before = ""
        self.files, self.pillar = place / "srv/salt", place / "srv/pillar"
        for path in (self.files, self.pillar):
            path.mkdir(parents=True)
        for name in ("_modules", "_states", "_utils", "postfix_smarthost"):
            shutil.copytree(ROOT / name, self.files / name, ignore=shutil.ignore_patterns("__pycache__"))
        (self.files / "at_its_root.sls").write_text(SLS)
        (self.pillar / "top.sls").write_text(json.dumps({"base": {name: [name] for name in NAMES}}))
        for name in NAMES:
            self.gives(name, record(name))
            self._make_root(self.root(name))

    def root(self, name: str) -> Path:
        return self.place / "roots" / name

    def _make_root(self, root: Path) -> None:
        for name in ("etc/postfix", "usr/lib/sasl2", "run/postfix-smarthost"):
            (root / name).mkdir(parents=True)
        for path in Path("/etc/postfix").glob("dynamicmaps.cf*"):
            subprocess.run(["cp", "-a", path, root / "etc/postfix"], check=True)
        for name in ("ca-certificates.crt", "usr/lib/sasl2/libplain.so", "procmail"):
            (root / name).touch(mode=0o755)
        (root / "etc/aliases").write_text(f"root: {USER}\n")
        (root / "home").mkdir()
        os.chown(root / "home", 12345, 12345)
        known = Path("/etc/passwd").read_text()
        (root / "etc/passwd").write_text(f"{known}{USER}:x:12345:12345::{root}/home:/bin/sh\n")
        postfix_tables.build(f"auto:{root}/etc/aliases", alias=True)

    def gives(self, name: str, pillar: dict[str, Any]) -> None:
        (self.pillar / f"{name}.sls").write_text(json.dumps(pillar))

    def configure(self) -> None:
        """Write the configuration of the master and of each minion."""
        ports = {"publish_port": _free_port(), "ret_port": _free_port()}
        self._write(
            "master",
            {
                **ports,
                "interface": "127.0.0.1",
                "auto_accept": True,
                "file_roots": {"base": [str(self.files)]},
                "pillar_roots": {"base": [str(self.pillar)]},
                "worker_threads": 4,
            },
        )
        for name in NAMES:
            to_master = {"publish_port": ports["publish_port"], "master_port": ports["ret_port"]}
            more = {"id": name, "master": "127.0.0.1", "grains": {"place": str(self.root(name))}}
            self._write(name, to_master | more | {"multiprocessing": False, "random_startup_delay": 0})

    def _write(self, name: str, config: dict[str, Any]) -> None:
        directory = self.place / "conf" / name
        directory.mkdir(parents=True)
        own = {"root_dir": str(self.place / "own" / name), "log_level_logfile": "quiet", "log_level": "error"}
        own["sock_dir"] = str(self.place / "s" / name)
        (directory / ("master" if name == "master" else "minion")).write_text(json.dumps(own | config))

    def daemons(self) -> Iterator[list[str]]:
        """
        Give the commands that start the master and the minions.

        Each is in a namespace of processes that ends with the tests, however these end. The user who reads the mail is
        in a file of users that the minion alone has.
        """
        alone = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount-proc",
            "--pid",
            "--fork",
            "--kill-child",
        ]
        yield [*alone, *self._command("salt-master", "master")]
        for name in NAMES:
            script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
            inside = ["sh", "-c", script, "sh", str(self.root(name) / "etc/passwd")]
            yield [*alone, *inside, *self._command("salt-minion", name)]

    def _command(self, program: str, name: str, *args: str) -> list[str]:
        return [str(Path(sys.executable).with_name(program)), "-c", str(self.place / "conf" / name), *args]

    def call(self, function: str, *args: str, target: str = "*", timeout: int = 120) -> dict[str, Any]:
        """Call a function on minions; return what each has returned."""
        options = ["--static", "--out=json", f"--timeout={timeout}", target, function, *args]
        done = subprocess.run(
            self._command("salt", "master", *options), capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("{"), done
        return json.loads(done.stdout)

    def wait(self) -> None:
        """Wait until all minions have found the master."""
        deadline = time.monotonic() + 300
        found: dict[str, Any] = {}
        while sorted(name for name, answer in found.items() if answer is True) != NAMES:
            assert time.monotonic() < deadline, found
            time.sleep(1)
            with contextlib.suppress(AssertionError):
                found = self.call("test.ping", timeout=10)

    def apply(self, test: bool = False) -> dict[str, dict[str, Any]]:
        """Apply to all in one batch; return the state of each minion."""
        data = self.call("state.apply", "at_its_root", *(["test=True"] if test else []))
        assert sorted(data) == NAMES
        found = {}
        for name, states in data.items():
            assert isinstance(states, dict), states
            (found[name],) = states.values()
        return found

    def texts(self, name: str) -> str:
        """All that is below the root of a minion."""
        files = (path for path in self.root(name).rglob("*") if path.is_file())
        return "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def minions() -> Iterator[Minions]:
    # pytest's own directories have names that are too long for sockets.
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as daemons:
        made = Minions(Path(place))
        made.configure()
        log = daemons.enter_context((made.place / "log").open("w"))
        for command in made.daemons():
            daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            daemons.callback(daemon.wait)
            daemons.callback(daemon.kill)
        made.wait()
        made.told_before = str(made.call("state.apply", "postfix_smarthost", "test=True", target=NAMES[0]))
        synced = made.call("saltutil.sync_all")
        assert all("utils.smarthost_plan" in done["utils"] for done in synced.values())
        yield made


def test_each_minion_gets_its_own_accounts_and_sees_no_others(minions: Minions) -> None:
    predicted = minions.apply(test=True)
    assert {state["result"] for state in predicted.values()} == {None}
    applied = minions.apply()
    for name in NAMES:
        assert applied[name]["result"] is True, applied[name]
        assert applied[name]["changes"] == predicted[name]["changes"]
        assert applied[name]["changes"]["accounts"] == {"added": [f"{name}@{name}.example"]}
        texts = minions.texts(name)
        assert [other for other in NAMES if password(other) in texts] == [name]
    assert "s3cret" not in str(applied)
    seen = minions.call("pillar.items")
    for name in NAMES:
        assert [other for other in NAMES if password(other) in str(seen[name])] == [name]
    again = minions.apply()
    assert {(state["result"], str(state["changes"])) for state in again.values()} == {(True, "{}")}


def test_one_bad_record_is_told_to_its_minion_only(minions: Minions) -> None:
    bad, good, *others = NAMES
    before = minions.texts(bad)
    minions.gives(bad, record(bad, port="587"))
    minions.gives(good, record(good, username="somebody"))
    applied = minions.apply()
    assert applied[bad]["result"] is False
    assert "port must be a number" in applied[bad]["comment"]
    assert minions.texts(bad) == before
    assert applied[good]["changes"]["accounts"] == {"changed": [f"{good}@{good}.example"]}
    assert {str(applied[name]["changes"]) for name in others} == {"{}"}


def test_a_minion_without_the_modules_is_told_how_to_get_them(minions: Minions) -> None:
    """Salt brings them by itself for a highstate only."""
    assert (
        "The modules of postfix_smarthost are not on minion01 yet: saltutil.sync_all brings them."
        in minions.told_before
    )


def test_functions_of_the_modules(minions: Minions) -> None:
    told = minions.call("postfix_smarthost.refused", "smtp_tls_security_level")
    assert sorted(told) == NAMES
    assert len({*told.values()}) == 1
    assert minions.call("postmap.default_type", target=NAMES[0])[NAMES[0]]
