# SPDX-License-Identifier: Apache-2.0
"""Applies states to the lab's machines as qubesctl(1) of Qubes does, with Salt's own programs.

First dom0 renders the pillar of the one machine; what comes out becomes one SLS, which the management
qube renders once more; there salt-ssh runs, and enters the machine through remote_shell.py. Each of the
two has a /srv of its own, bound in a mount namespace. Source: qubes-mgmt-salt, qubessalt/__init__.py and
qubes.SaltLinuxVM.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.checkout import ROOT

from .applied import Applied
from .errors import LabError
from .processes import call
from .trace import executed, traced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .lab import Lab
    from .qube import Machine

#: The salt-ssh of another version of Salt, to run the lab with; dom0 keeps its own.
SALT_SSH = os.environ.get("LAB_SALT_SSH", "")
_FORMULA = "formulas/base/postfix_smarthost-formula"

# qubes-mgmt-salt, etc/salt/minion.d/f_defaults.conf, as far as it bears on what is rendered.
_DOM0 = {
    "id": "dom0",
    "file_client": "local",
    "file_roots": {"base": ["/srv/salt", f"/srv/{_FORMULA}"]},
    "pillar_roots": {"base": ["/srv/pillar", "/srv/pillar/base"]},
    "pillar_opts": True,
    "retcode_passthrough": True,
    "top_file_merging_strategy": "merge",
    "default_top": "base",
    "hash_type": "sha256",
    "ext_pillar": [{"lab_qubes": []}],
    "disable_modules": ["git"],
    "log_level": "warning",
    "enable_fqdns_grains": False,
}

_EXT_PILLAR = '''\
"""The pillar "qubes", which qubes-mgmt-salt-base makes of what dom0 knows."""
import json
def ext_pillar(minion_id, pillar, *args, **kwargs):
    with open({path!r}) as known:
        return json.load(known).get(minion_id, {{}})
'''


class Qubesctl:
    """dom0 and the management qubes.

    Args:
        lab: the lab.

    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        #: dom0's files; a test may put more below ``srv``.
        self.dom0 = lab.place / "dom0"
        #: The management qubes' files, one directory a machine, kept until the lab ends.
        self.management = lab.place / "management"
        self._bin = lab.place / "bin"
        self._lock = threading.Lock()
        self._qubes = lab.place / "running"
        for path in (self.dom0, self.management, self._qubes):
            path.mkdir(mode=0o700)
        self._bin.mkdir()
        for program in ("ssh", "scp", "ssh-keygen"):
            (self._bin / program).symlink_to(Path(__file__).with_name("remote_shell.py"))
        self._lay_out_dom0()

    # dom0

    @property
    def srv(self) -> Path:
        """dom0's /srv."""
        return self.dom0 / "srv"

    def _lay_out_dom0(self) -> None:
        for path in ("srv/salt/_tops/base", "srv/pillar/_tops/base", "srv/pillar/base", "etc", "ext/pillar"):
            (self.dom0 / path).mkdir(parents=True)
        for root in ("salt", "pillar"):
            top = Path(__file__).with_name("top.sls").read_text()
            (self.srv / root / "top.sls").write_text(top.replace("@ROOT@", f"/srv/{root}"))
        known = self.dom0 / "qubes.json"
        known.write_text("{}")
        (self.dom0 / "ext/pillar/lab_qubes.py").write_text(_EXT_PILLAR.format(path=str(known)))
        config = _DOM0 | {
            "root_dir": str(self.dom0),
            "cachedir": str(self.dom0 / "cache"),
            "pki_dir": str(self.dom0 / "pki"),
            "sock_dir": str(self.dom0 / "sock"),
            "log_file": str(self.dom0 / "log"),
            "extension_modules": str(self.dom0 / "ext"),
        }
        (self.dom0 / "etc/minion").write_text(yaml.safe_dump(config))
        self.install_formula()

    def install_formula(self, repository: Path = ROOT) -> None:
        """Copy the formula to where dom0 has it, and enable its top files.

        Args:
            repository: the checkout to take it from.

        """
        formula = self.srv / _FORMULA
        shutil.rmtree(formula, ignore_errors=True)
        formula.mkdir(parents=True)
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        for name in ("postfix_smarthost", "_modules", "_states", "_utils"):
            if (repository / name).is_dir():
                shutil.copytree(repository / name, formula / name, ignore=ignore)
        pillar = self.srv / "pillar/base/postfix_smarthost"
        shutil.rmtree(pillar, ignore_errors=True)
        if (repository / "pillar/postfix_smarthost").is_dir():
            shutil.copytree(repository / "pillar/postfix_smarthost", pillar, ignore=ignore)
        self.top_enable("postfix_smarthost")
        self.top_enable("postfix_smarthost", pillar=True)

    def top_enable(self, name: str, *, pillar: bool = False) -> None:
        """Enable a top file, as ``qubesctl top.enable NAME [pillar=True]``; nothing happens when there is none.

        Args:
            name: directory whose ``init.top`` it is.
            pillar: the pillar's instead of the states'.

        """
        link = self.srv / ("pillar" if pillar else "salt") / "_tops/base" / f"{name}.top"
        link.unlink(missing_ok=True)
        place = "pillar/base" if pillar else _FORMULA
        if (self.srv / place / name / "init.top").is_file():
            link.symlink_to(f"/srv/{place}/{name}/init.top")

    @contextlib.contextmanager
    def qubes_yaml(self, entries: Mapping[str, Any]) -> Iterator[Path]:
        """Give the accounts to qubes as a user does, in the formula's file in dom0, until the block ends.

        Args:
            entries: name of a qube -> its record, without the key ``postfix_smarthost``.

        Returns:
            the file; a test may write it anew.

        """
        file = self.srv / "pillar/base/postfix_smarthost/qubes.yaml"
        file.touch(mode=0o600)
        try:
            # Passwords have to be in quotes.
            file.write_text(yaml.safe_dump(dict(entries), default_style='"'))
            yield file
        finally:
            file.unlink()

    def _write_pillar(self, machine: Machine) -> None:
        """Let dom0 give a machine its pillar: as data, so that dom0 renders it once only, or as a user's SLS."""
        known = self.dom0 / "qubes.json"
        with self._lock:
            everything = json.loads(known.read_text())
            everything[machine.name] = {"qubes": machine.qubes_pillar()}
            temporary = known.with_suffix(".new")
            temporary.write_text(json.dumps(everything))
            temporary.rename(known)
        sls = self.srv / "pillar" / "lab" / f"{machine.name}.sls"
        sls.parent.mkdir(exist_ok=True)
        pillar = machine.pillar
        sls.write_text(pillar if isinstance(pillar, str) else "#!yaml\n" + yaml.safe_dump(dict(pillar)))
        sls.chmod(0o600)
        top = {"base": {machine.name: [f"lab.{machine.name}"]}}
        (self.srv / "pillar/_tops/base" / f"lab-{machine.name}.top").write_text(yaml.safe_dump(top))

    def _dom0_call(self, machine: Machine, function: str) -> Any:  # noqa: ANN401
        command = ["salt-call", "--local", f"--config-dir={self.dom0 / 'etc'}", f"--id={machine.name}"]
        done = self._salt(self.srv, [*command, "--out=json", function], timeout=120)
        try:
            return json.loads(done.stdout)["local"]
        except (ValueError, KeyError) as error:
            raise LabError(
                f"dom0: {function} for {machine.name} failed\n{done.stdout}{done.stderr}"
            ) from error

    # the management qube

    def _lay_out_management(self, machine: Machine) -> tuple[Path, dict[str, Any]]:
        """Make the directory of a management qube; return it and the machine's pillar."""
        pillar = self._dom0_call(machine, "pillar.items")
        place = self.management / machine.name
        if place.exists():
            shutil.rmtree(place)
        for path in ("etc", "tmp"):
            (place / path).mkdir(parents=True, mode=0o700)
        srv = place / "srv"
        copy = ["cp", "-rL", "--preserve=mode", "/srv", str(srv)]
        subprocess.run(self._srv_bound(self.srv, copy), check=True, capture_output=True)
        opts = pillar.pop("master")
        for roots in opts["pillar_roots"].values():
            for root in roots:
                shutil.rmtree(f"{place}{root}", ignore_errors=True)
        (srv / "pillar").mkdir()
        (srv / "pillar/combined.sls").write_text(yaml.safe_dump(pillar))
        (srv / "pillar/top.sls").write_text(yaml.safe_dump({"base": {machine.name: ["combined"]}}))
        config = {
            "file_roots": opts["file_roots"],
            "verify_env": False,
            "root_dir": str(place),
            "cachedir": str(place / "cache"),
            "pki_dir": str(place / "pki"),
            "log_file": str(place / "log"),
            "ssh_log_file": str(place / "ssh-log"),
            "roster_file": str(place / "etc/roster"),
            "sock_dir": str(place / "sock"),
        }
        (place / "etc/master").write_text(yaml.safe_dump(config))
        (place / "etc/roster").write_text(yaml.safe_dump({machine.name: {"host": machine.name}}))
        self._share_thin(place)
        return place, pillar

    def _share_thin(self, place: Path) -> None:
        """Let each management qube but the first use the thin tarball that the first one made."""
        made = self._lab.place / "thin"
        if made.is_dir():
            shutil.copytree(made, place / "cache/thin", symlinks=True)

    def _keep_thin(self, place: Path) -> None:
        made = self._lab.place / "thin"
        with self._lock:
            if not made.exists() and (place / "cache/thin/thin.tgz").is_file():
                temporary = made.with_name("thin.new")
                shutil.copytree(place / "cache/thin", temporary)
                temporary.rename(made)

    def salt_ssh(
        self, machine: Machine, *command: str, trace: Path | None = None, timeout: float = 300
    ) -> Any:  # noqa: ANN401
        """Run ``salt-ssh -w MACHINE COMMAND`` in the machine's management qube.

        Args:
            machine: the target, running.
            command: words of the command.
            trace: file for the program executions, as strace(1) writes them.
            timeout: seconds that it may take.

        Returns:
            what subprocess.run returns.

        """
        place, _ = self._lay_out_management(machine)
        entry = machine.entering([])
        if trace:
            entry = traced(trace, entry)
        (self._qubes / machine.name).write_text("\n".join(entry), encoding="utf-8")
        words = ["salt-ssh", f"--config-dir={place / 'etc'}", "-w", machine.name, *command]
        try:
            return self._salt(place / "srv", words, timeout=timeout, temporary=place / "tmp")
        finally:
            (self._qubes / machine.name).unlink()
            self._keep_thin(place)

    def _salt(
        self, srv: Path, words: list[str], *, timeout: float, temporary: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name(words[0])
        if words[0] == "salt-ssh" and SALT_SSH:
            program = Path(SALT_SSH)
        if not program.is_file():
            raise LabError(
                f"{program} is missing: run the lab with the Python that requirements.txt is installed for"
            )
        environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "HOME": str(self._lab.place),
            "LANG": "C.UTF-8",
            "TMPDIR": str(temporary or self._lab.place),
            "LAB_QUBES": str(self._qubes),
            "PYTHONPATH": str(Path(__file__).with_name("site")),
        }
        command = self._lab.cgroup.entering(self._srv_bound(srv, [str(program), *words[1:]]))
        try:
            return call(command, timeout=timeout, env=environment)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{shlex.join(words)} took more than {timeout:.0f} s") from error

    @staticmethod
    def _srv_bound(srv: Path, command: list[str]) -> list[str]:
        script = 'mount --bind "$0" /srv && exec "$@"'
        return ["unshare", "--mount", "--propagation=private", "/bin/sh", "-c", script, str(srv), *command]

    # What tests call

    def apply(self, machine: Machine, *sls: str, test: bool, trace: bool, timeout: float) -> Applied:
        """Do what :meth:`.qube.Machine.apply` says."""
        what = ",".join(sls) or "the highstate"
        self._lab.progress(f"applying {what} to {machine.name}{' (test=True)' if test else ''}")
        self._write_pillar(machine)
        began = time.monotonic()
        if not sls and not self._dom0_call(machine, "state.show_top"):
            return Applied(0, "{}", "", 0.0, machine.name, skipped=True)
        words = ["state.apply", *([what] if sls else []), *(["test=True"] if test else [])]
        record = machine.place / "executed"
        record.unlink(missing_ok=True)
        with self._started(machine):
            done = self.salt_ssh(
                machine, "--out=json", *words, trace=record if trace else None, timeout=timeout
            )
        applied = Applied(
            done.returncode,
            done.stdout,
            done.stderr,
            time.monotonic() - began,
            machine.name,
            executed=executed(record) if trace else [],
        )
        changed = f"{len(applied.changed)} of {len(applied.states)} states changed"
        self._lab.progress(f"applied {what} to {machine.name}: {changed}, {applied.seconds:.1f} s")
        return applied

    def call(self, machine: Machine, function: str, *args: str, timeout: float, **kwargs: str) -> Any:  # noqa: ANN401
        """Do what :meth:`.qube.Machine.salt` says."""
        self._write_pillar(machine)
        # qubes.SaltLinuxVM hands the words to a shell once more; here they are words already.
        words = [function, *args, *(f"{key}={value}" for key, value in kwargs.items())]
        with self._started(machine):
            done = self.salt_ssh(machine, "--out=json", *words, timeout=timeout)
        try:
            return json.loads(done.stdout)[machine.name]
        except (ValueError, KeyError) as error:
            raise LabError(
                f"{machine.name}: {shlex.join(words)} exited with {done.returncode}\n{done.stdout}{done.stderr}"
            ) from error

    @staticmethod
    def _started(machine: Machine) -> _Started:
        return _Started(machine)


class _Started:
    """Starts a machine that does not run, and shuts it down afterwards."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ours = False

    def __enter__(self) -> None:
        self._ours = not self._machine.running
        if self._ours:
            self._machine.start()

    def __exit__(self, *_: object) -> None:
        if self._ours:
            self._machine.shutdown()
