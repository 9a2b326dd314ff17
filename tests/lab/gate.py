# SPDX-License-Identifier: Apache-2.0
"""A gate before the policy service of a qube: it tells what smtpd(8) asks, and may hold the answers back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .qube import Qube

_POLICY = "/etc/postfix/submit-policy"
PLACE = "/run/lab-gate"
"""Directory that everybody may write to, for what the processes of a test tell each other."""
_SHUT = f"{PLACE}/shut"

# It asks the real service when the gate is open: what counts is what that one sees then.
_WRAPPER = f"""\
import json, os, subprocess, sys, time
real = subprocess.Popen(["/usr/bin/python3", "-IS", "{_POLICY}.real", *sys.argv[1:]],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
def tell(path, what):
    with open(path, "a") as file:
        file.write(json.dumps(what) + "\\n")
tell("{PLACE}/started", os.getpid())
lines = []
for line in sys.stdin:
    lines.append(line)
    if line != "\\n":
        continue
    tell("{PLACE}/asked", dict(pair.rstrip("\\n").split("=", 1) for pair in lines[:-1]))
    while os.path.exists("{_SHUT}"):
        time.sleep(0.005)
    real.stdin.writelines(lines)
    real.stdin.flush()
    answer = real.stdout.readline()
    sys.stdout.write(answer + real.stdout.readline())
    sys.stdout.flush()
    tell("{PLACE}/answered", answer.strip())
    lines = []
"""


class Gate:
    """A gate before the policy service of a qube, open at first. Use it as a context manager.

    Args:
        qube: the formula was applied to it, and it runs.

    """

    def __init__(self, qube: Qube) -> None:
        self._qube = qube

    def __enter__(self) -> Gate:
        self._qube.run("mv", _POLICY, f"{_POLICY}.real")
        self._qube.write(_POLICY, _WRAPPER)
        self._qube.run("sh", "-c", f"rm -rf {PLACE}; mkdir -m 1777 {PLACE}")
        self._qube.run("postfix", "reload")
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._qube.run("mv", f"{_POLICY}.real", _POLICY)
        self._qube.run("postfix", "reload")

    def shut(self) -> None:
        """Hold back the answers from now on."""
        self._qube.run("touch", _SHUT)

    def open(self) -> None:
        """Let the answers go."""
        self._qube.run("rm", "-f", _SHUT)

    def asked(self) -> list[dict[str, str]]:
        """Return what smtpd(8) has asked so far."""
        return self._told("asked")

    def answered(self) -> list[str]:
        """Return what the service has answered so far."""
        return self._told("answered")

    def started(self) -> list[int]:
        """Return the processes that were started to answer."""
        return self._told("started")

    def _told(self, what: str) -> list[Any]:
        return [
            json.loads(line)
            for line in self._qube.run("sh", "-c", f"cat {PLACE}/{what} 2>/dev/null || :").stdout.splitlines()
        ]
