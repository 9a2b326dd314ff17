# SPDX-License-Identifier: Apache-2.0
"""The state that keeps set-uid and set-gid bits off a program, with what dpkg-statoverride(1) keeps in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from saltfactories.utils.functional import Loaders

import dpkg_overrides

STAND_IN = """\
#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2" in
"--update --add") echo "$3 $4 $(echo "$5" | sed 's/^0//') $6" >> "$DATABASE"; [ ! -e "$6" ] || chmod "$5" "$6" ;;
--remove*) sed -i "\\\\, $2\\$,d" "$DATABASE" ;;
esac
"""


class Dpkg:
    """A program of a package, and what dpkg knows of it."""

    def __init__(self, directory: Path, loaders: Loaders, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program = directory / "procmail"
        self.database = directory / "statoverride"
        self.database.write_text("root crontab 2755 /usr/bin/crontab\n")
        self._calls = directory / "calls"
        self._loaders = loaders
        tool = directory / "bin/dpkg-statoverride"
        tool.parent.mkdir()
        tool.write_text(STAND_IN)
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("CALLS", str(self._calls))
        monkeypatch.setenv("DATABASE", str(self.database))
        monkeypatch.setattr(dpkg_overrides.of, "__defaults__", (str(self.database),))

    def install(self, mode: int) -> None:
        self.program.write_text("#!/bin/sh\n")
        self.program.chmod(mode)

    @property
    def mode(self) -> int:
        return self.program.stat().st_mode & 0o7777

    @property
    def calls(self) -> list[str]:
        """The calls of the program since the last look."""
        said = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return said

    def present(self, *, test: bool) -> Any:  # noqa: ANN401
        function = self._loaders.states.statoverride.present
        return function(name=str(self.program), user="root", group="root", mode="0755", test=test)

    def absent(self, *, test: bool) -> Any:  # noqa: ANN401
        packaged = ["root", "root", "6755"]
        function = self._loaders.states.statoverride.absent
        return function(
            name=str(self.program), user="root", group="root", mode="0755", packaged=packaged, test=test
        )


@pytest.fixture
def dpkg(tmp_path: Path, loaders: Loaders, monkeypatch: pytest.MonkeyPatch) -> Dpkg:
    return Dpkg(tmp_path, loaders, monkeypatch)


@pytest.mark.parametrize("before", [None, 0o6755, 0o4755, 0o2755, 0o755])
def test_override_comes_and_goes(dpkg: Dpkg, before: int | None) -> None:
    if before is not None:
        dpkg.install(before)
    text = dpkg.database.read_text()
    predicted = dpkg.present(test=True)
    assert (predicted.result, dpkg.database.read_text(), dpkg.calls) == (None, text, [])
    done = dpkg.present(test=False)
    assert (done.result, done.changes) == (True, predicted.changes)
    assert dpkg.calls == [f"--update --add root root 0755 {dpkg.program}"]
    assert before is None or dpkg.mode == 0o755
    for test in (True, False):
        again = dpkg.present(test=test)
        assert (again.result, again.changes, dpkg.calls) == (True, {}, [])

    predicted = dpkg.absent(test=True)
    assert (predicted.result, dpkg.calls) == (None, [])
    done = dpkg.absent(test=False)
    assert (done.result, done.changes, dpkg.database.read_text()) == (True, predicted.changes, text)
    assert before is None or dpkg.mode == 0o6755
    assert dpkg.calls == [f"--remove {dpkg.program}"]
    assert (dpkg.absent(test=False).changes, dpkg.calls) == ({}, [])


@pytest.mark.parametrize("mode", ["4755", "2755", "6711"])
def test_override_of_somebody_else_with_the_bits_is_refused(dpkg: Dpkg, mode: str) -> None:
    dpkg.install(int(mode, 8))
    dpkg.database.write_text(f"root mail {mode} {dpkg.program}\n")
    done = dpkg.present(test=False)
    assert (done.result, done.changes, dpkg.calls) == (False, {}, [])
    assert done.comment.endswith(f"dpkg-statoverride --remove {dpkg.program}, and apply again.")
    assert dpkg.mode == int(mode, 8)


def test_override_of_somebody_else_without_the_bits_stays(dpkg: Dpkg) -> None:
    dpkg.install(0o750)
    dpkg.database.write_text(f"root mail 750 {dpkg.program}\n")
    assert (dpkg.present(test=False).changes, dpkg.absent(test=False).changes, dpkg.calls) == ({}, {}, [])
    assert dpkg.mode == 0o750


def test_bits_that_somebody_set_by_hand_are_taken(dpkg: Dpkg) -> None:
    dpkg.install(0o4755)
    dpkg.database.write_text(f"root root 755 {dpkg.program}\n")
    assert dpkg.present(test=True).result is None
    done = dpkg.present(test=False)
    assert ([*done.changes], dpkg.mode, dpkg.calls) == ([str(dpkg.program)], 0o755, [])


def test_failure_is_a_sentence(dpkg: Dpkg, tmp_path: Path) -> None:
    (tmp_path / "bin/dpkg-statoverride").write_text("#!/bin/sh\necho no room >&2\nexit 2\n")
    done = dpkg.present(test=False)
    assert (done.result, done.changes, done.comment) == (False, {}, "dpkg-statoverride failed: no room.")
