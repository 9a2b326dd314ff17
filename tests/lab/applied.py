# SPDX-License-Identifier: Apache-2.0
"""What came out of applying states: as data, as Salt prints it and as dom0 logs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .errors import LabError


@dataclass
class Applied:
    """What came out of applying states.

    Args:
        returncode: salt-ssh's exit code.
        stdout: what it printed, as JSON.
        stderr: what it printed besides.
        seconds: how long it took.
        minion: whom it was applied to.
        skipped: whether qubesctl would say "SKIP (nothing to do)": no top file names the machine.
        executed: with ``trace``, the command lines of all programs that ran in the machine.

    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    minion: str
    skipped: bool = False
    executed: list[list[str]] = field(default_factory=list)

    @cached_property
    def data(self) -> Any:  # noqa: ANN401
        """What came back for the machine: a mapping of states, or the errors that kept them from running."""
        start = self.stdout.find("{")
        try:
            return json.loads(self.stdout[start:])[self.minion] if start >= 0 else self.stdout
        except (ValueError, KeyError, TypeError):
            return self.stdout

    @cached_property
    def states(self) -> dict[str, dict[str, Any]]:
        """State ID -> result, changes, comment, in the order in which they ran.

        Where an ID has more than one state, further ones are named ``ID (function)``.
        """
        if not isinstance(self.data, dict):
            return {}
        found: dict[str, dict[str, Any]] = {}
        chunks = [
            (tag, chunk) for tag, chunk in self.data.items() if isinstance(chunk, dict) and "_|-" in tag
        ]
        for tag, chunk in sorted(chunks, key=lambda item: item[1].get("__run_num__", 0)):
            module, identifier, _, function = tag.split("_|-")
            name = chunk.get("__id__", identifier)
            found[f"{name} ({module}.{function})" if name in found else name] = chunk
        return found

    @property
    def changed(self) -> list[str]:
        """IDs of the states that report changes (with ``test=True``: that would make them)."""
        return [name for name, state in self.states.items() if state.get("changes")]

    @property
    def predicted(self) -> list[str]:
        """IDs of the states whose result is None: with ``test=True`` those that would change something."""
        return [name for name, state in self.states.items() if state.get("result") is None]

    @property
    def failed(self) -> list[str]:
        """IDs of the states that failed."""
        return [name for name, state in self.states.items() if state.get("result") is False]

    @property
    def errors(self) -> list[str]:
        """Why no state ran, if none did."""
        if self.states:
            return []
        return [str(item) for item in self.data] if isinstance(self.data, list) else [str(self.data)]

    @property
    def ok(self) -> bool:
        """Whether qubesctl would say OK: exit code 0, and states ran."""
        return self.returncode == 0 and bool(self.states) and not self.failed

    @cached_property
    def printed(self) -> str:
        """What salt-ssh prints where nobody asked it for JSON: its highstate outputter's text."""
        done = subprocess.run(
            [sys.executable, "-c", _PRINT],
            input=json.dumps({self.minion: self.data}),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @property
    def logged(self) -> str:
        """What dom0 writes to /var/log/qubes/mgmt-NAME.log: what was printed, cut to printable ASCII."""
        return printable(self.printed + self.stderr)

    def check(self) -> Applied:
        """Return this, or fail with what was printed when it is not :attr:`ok`."""
        if not self.ok:
            raise LabError(
                f"applying to {self.minion} failed ({self.returncode}):\n{self.printed}\n{self.stderr}"
            )
        return self


def printable(text: str) -> str:
    """Return a text as dom0 logs what comes from a qube (qubessalt.ManageVM.salt_call)."""
    ascii_only = text.encode("ascii", "ignore").decode()
    return "\n".join("".join(c for c in line if " " <= c <= "~") for line in ascii_only.splitlines())


_PRINT = """\
import json, sys
import salt.config, salt.output
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update(color=False, strip_colors=True, state_verbose=True, state_output="full", extension_modules="")
data = json.load(sys.stdin)
out = "highstate" if all(isinstance(v, dict) for v in data.values()) else "nested"
salt.output.display_output(data, out, opts)
"""
