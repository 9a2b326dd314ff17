# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured: what Postfix is told when its configuration is changed."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

import smarthost_service
from tests.functional.changes import (
    change_lists,
    change_password,
    change_relay,
    change_sender,
    change_settings,
)
from tests.functional.qube import Qube, unchanged


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
