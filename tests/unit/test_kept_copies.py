# SPDX-License-Identifier: Apache-2.0
"""A configuration made by hand is kept in copies that root alone can read, from their first moment on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

# Looks at the copies before each thing that Python tells of, such as the opening of a file.
WATCHED = """
import glob, json, os, sys, types
exceptions = types.ModuleType("salt.exceptions")
exceptions.CommandExecutionError = type("CommandExecutionError", (Exception,), {})
sys.modules["salt"] = types.ModuleType("salt")
sys.modules["salt.exceptions"] = exceptions
sys.path.insert(0, sys.argv[1])
import smarthost_take_over
seen, busy = set(), []
def look(event, arguments):
    if busy:
        return
    busy.append(1)
    for path in (f"{sys.argv[2]}/{name}.by-hand" for name in ("main.cf", "master.cf")):
        try:
            seen.add(oct(os.stat(path).st_mode & 0o777))
        except OSError:
            pass
    busy.clear()
sys.addaudithook(look)
os.umask(0)
smarthost_take_over.keep(sys.argv[2], {name: name + ".by-hand" for name in ("main.cf", "master.cf")})
look("end", ())
print(json.dumps(sorted(seen)))
"""


def keep(directory: Path) -> list[str]:
    """Keep what is in a directory, and return the modes that the copies have had."""
    command = [sys.executable, "-c", WATCHED, str(ROOT / "_utils"), str(directory)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600])
def test_copies_are_never_open_to_others(tmp_path: Path, mode: int) -> None:
    for name in ("main.cf", "master.cf"):
        (tmp_path / name).write_bytes(b"# \xff\r\nsmtp_sasl_password_maps = static:me:secret\n")
        (tmp_path / name).chmod(mode)
    assert keep(tmp_path) == ["0o600"]
    for name in ("main.cf", "master.cf"):
        assert (tmp_path / f"{name}.by-hand").read_bytes() == (tmp_path / name).read_bytes()


def test_older_copy_that_others_could_read_is_not_written_into(tmp_path: Path) -> None:
    """Who has it open, or a link to it, does not get at the new one."""
    (tmp_path / "main.cf").write_text("new\n")
    (tmp_path / "main.cf.by-hand").write_text("old\n")
    (tmp_path / "main.cf.by-hand").chmod(0o644)
    os.link(tmp_path / "main.cf.by-hand", tmp_path / "link")
    keep(tmp_path)
    assert (tmp_path / "link").read_text() == "old\n"
    assert (tmp_path / "main.cf.by-hand").read_text() == "new\n"
    assert (tmp_path / "main.cf.by-hand").stat().st_mode & 0o777 == 0o600
