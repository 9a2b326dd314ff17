# SPDX-License-Identifier: Apache-2.0
"""Nothing of a lab stays behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

from .container import wait_for

_CHILD = """\
import signal, sys, time
from pathlib import Path
# It is ignored by what a shell began in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {repository!r})
from tests.lab import Lab
with Lab() as lab:
    lab.qube("one", template=lab.template("debian"))
    lab.relay("smtp.a.test")
    print(lab.place, lab.cgroup.path, flush=True)
    {then}
"""


def _left_behind(place: Path, cgroup: Path) -> list[str]:
    """Return what there still is of a lab."""
    found = [str(path) for path in (place, cgroup) if path.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        for file, mark in (("cgroup", f"/{cgroup.name}"), ("mountinfo", str(place)), ("cmdline", str(place))):
            try:
                text = (process / file).read_text(errors="replace")
            except OSError:
                continue
            if mark in text:
                found.append(f"process {process.name}: {mark} in its {file}")
    return found


@pytest.mark.parametrize(
    ("then", "number", "status"),
    [
        ("pass", 0, 0),
        ("raise RuntimeError('on purpose')", 0, 1),
        ("time.sleep(600)", signal.SIGINT, -signal.SIGINT),
        ("time.sleep(600)", signal.SIGTERM, -signal.SIGTERM),
        (
            "lab.qubesctl.call(lab._machines['one'], 'test.sleep', '600', timeout=900)",
            signal.SIGINT,
            -signal.SIGINT,
        ),
        ("time.sleep(600)", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_is_left_behind(then: str, number: int, status: int) -> None:
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    namespaces = set(Path("/run/netns").glob("*")) if Path("/run/netns").exists() else set()
    program = _CHILD.format(repository=str(ROOT), then=then)
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        said = child.stdout.readline().split()
        assert said, child.communicate(timeout=60)[1]
        place, cgroup = map(Path, said)
        if number:
            assert _left_behind(place, cgroup)
            if "salt" in then or "call" in then:
                wait_for(lambda: _runs(cgroup, "salt-ssh"), "salt-ssh in the child lab")
            # As a terminal does: to the whole process group.
            os.killpg(child.pid, number)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == status, errors

    def left_behind() -> list[str]:
        return _left_behind(place, cgroup)

    wait_for(lambda: not left_behind(), "the lab to vanish", 15, diagnosis=lambda: "\n".join(left_behind()))
    assert subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout == links
    assert (set(Path("/run/netns").glob("*")) if Path("/run/netns").exists() else set()) == namespaces


def _runs(cgroup: Path, program: str) -> bool:
    for procs in cgroup.rglob("cgroup.procs"):
        for pid in procs.read_text().split():
            if program in Path(f"/proc/{pid}/cmdline").read_text():
                return True
    return False
