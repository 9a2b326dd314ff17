# SPDX-License-Identifier: Apache-2.0
"""Runs the formula's own modules in a qube without salt-ssh, step by step, and ends them or fails at any step.

A run takes less than a second. What goes between the modules and Salt is left out, hence no test of what Salt
does; the steps are those that the modules take, in the order of the states of the app qube's side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.checkout import ROOT

from .container import LabError

if TYPE_CHECKING:
    from .qube import Qube

_PLACE = "/run/lab-direct"
BOOT_SCRIPT = "/rw/config/rc.local.d/50-postfix-smarthost.rc"
PROGRAM = "/usr/local/bin/postfix-smarthost"

_DRIVER = """\
import errno, json, os, signal, sys, types

job = json.load(sys.stdin)
sys.dont_write_bytecode = True

class CommandExecutionError(Exception):
    pass

exceptions = types.ModuleType("salt.exceptions")
exceptions.CommandExecutionError = CommandExecutionError
sys.modules["salt"] = types.ModuleType("salt")
sys.modules["salt.exceptions"] = exceptions

sys.path.insert(0, "utils")
# No pillar.get: from Salt 3008 on it shows stars to modules.
salt = {"pillar.raw": lambda: job["pillar"]}
for name in sorted(os.listdir("modules")):
    module = types.ModuleType(name[:-3])
    module.__dict__.update(__salt__=salt, __opts__={}, __grains__={}, __context__={})
    with open(f"modules/{name}", encoding="utf-8") as file:
        exec(compile(file.read(), name, "exec"), module.__dict__)
    for function in dir(module):
        if not function.startswith("_") and callable(getattr(module, function)):
            salt[f"{name[:-3]}.{function}"] = getattr(module, function)

# Each of these changes something, or starts a program that may.
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime", "os.link",
           "os.symlink", "os.truncate", "os.setxattr", "subprocess.Popen"}
steps = []

def hook(event, arguments):
    if event == "open":
        if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event not in CHANGES:
        return
    what = arguments[0]
    # It lasts until the qube is shut down, and says nothing.
    if what == "/run/postfix-smarthost/lock":
        return
    if event == "subprocess.Popen":
        what = " ".join(str(word) for word in arguments[1])
    elif event == "os.rename":
        what = f"{arguments[0]} -> {arguments[1]}"
    steps.append(f"{event} {what}")
    if len(steps) == job["kill_before"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if len(steps) == job["fail_at"] and event != "subprocess.Popen":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(what))

def apply():
    done = salt["postfix_smarthost.configure"]("/etc/ssl/certs/ca-certificates.crt", "/usr/bin/procmail")
    salt["postfix_smarthost.put_boot_script"]()
    done["rc_local"] = salt["postfix_smarthost.take_over_rc_local"]()
    if not salt["postfix_smarthost.active"]():
        salt["postfix_smarthost.activate"]()
        done["activated"] = True
    return done

salt["apply"] = apply
if job["submit_policy"]:
    import smarthost_programs

    smarthost_programs.submit_policy = lambda: job["submit_policy"]
said = {"error": None, "result": None}
sys.addaudithook(hook)
try:
    said["result"] = salt[job["function"]](**job["arguments"])
except CommandExecutionError as problem:
    said["error"] = str(problem)
said["steps"] = list(steps)
json.dump(said, sys.stdout)
"""


@dataclass(frozen=True)
class Said:
    """What came out of a run.

    Args:
        result: what the function returned; None if it failed or was killed.
        error: what it failed with, as Salt would tell it; None if it did not.
        steps: what it changed or ran, in order.
        killed: whether it was killed.

    """

    result: Any
    error: str | None
    steps: list[str]
    killed: bool = False

    @property
    def changes(self) -> dict[str, Any]:
        """What it says that it changed."""
        assert self.error is None, self.error
        changes = dict(self.result["changes"])
        return changes | ({"postfix": "active"} if self.result.get("activated") else {})


def run(
    qube: Qube,
    function: str = "apply",
    *,
    kill_before: int = 0,
    fail_at: int = 0,
    submit_policy: str | None = None,
    pillar: dict[str, Any] | None = None,
    timeout: float = 120,
    **arguments: Any,  # noqa: ANN401
) -> Said:
    """Run a function of the formula's modules in a qube, with the qube's pillar.

    Args:
        qube: where; it runs.
        function: ``module.function``, or ``apply`` for all that the app qube's side does.
        kill_before: end the process with SIGKILL before the step of that number, from 1.
        fail_at: let the step of that number fail as on a full disk, unless it starts a program.
        submit_policy: text of another policy service than the formula's.
        pillar: another pillar than the qube's.
        timeout: seconds that it may take.
        arguments: of the function.

    """
    if qube.run("test", "-e", f"{_PLACE}/driver.py", check=False).returncode:
        for kind in ("modules", "utils"):
            for path in (ROOT / f"_{kind}").glob("*.py"):
                if path.stem != "mta":  # It needs what else Salt has.
                    qube.write(f"{_PLACE}/{kind}/{path.name}", path.read_text())
        qube.write(f"{_PLACE}/driver.py", _DRIVER)
    mine = qube.pillar if pillar is None else pillar
    assert not isinstance(mine, str)
    job = {
        "function": function,
        "pillar": {**mine, "qubes": qube.qubes_pillar()},
        "arguments": arguments,
        "kill_before": kill_before,
        "fail_at": fail_at,
        "submit_policy": submit_policy,
    }
    done = qube.run(
        *("sh", "-c", f"cd {_PLACE} && exec python3 -B driver.py"),
        stdin=json.dumps(job),
        check=False,
        timeout=timeout,
    )
    # nsenter(1) ends as what it ran did.
    if done.returncode in (-9, 137):
        return Said(None, None, [], killed=True)
    if done.returncode:
        raise LabError(f"{qube.name}: {function} exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return Said(**json.loads(done.stdout))
