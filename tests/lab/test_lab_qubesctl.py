# SPDX-License-Identifier: Apache-2.0
"""The lab applies states as qubesctl does, and gives Salt's files to root only."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template


def test_states_are_applied_as_qubesctl_does(lab: Lab, bare: Template, new_qube: Callable[..., Qube]) -> None:
    states = lab.qubesctl.srv / "salt"
    (states / "lab_states.sls").write_text(
        textwrap.dedent("""\
            lab-nothing:
              test.nop
            lab-file:
              file.managed:
                - name: /rw/from-salt
                - contents: {{ pillar["value"] }} {{ pillar["qubes"]["type"] }} {{ pillar["qubes"]["template"] }}
            lab-broken:
              test.fail_without_changes:
                - onlyif: {{ pillar["broken"] | yaml_squote }}
            """)
    )
    qube = new_qube(
        template=bare, pillar={"value": "p{{ 6*7 }}w", "broken": "false"}, tags=["mail"], start=False
    )
    predicted = qube.apply("lab_states", test=True)
    assert not qube.running
    assert predicted.predicted == ["lab-file"]
    assert not (qube.rw / "from-salt").exists()

    qube.start()
    temporary = ("/var/tmp", "/tmp", "/root")
    before = qube.tree(*temporary)
    first = qube.apply("lab_states")
    assert (first.returncode, first.changed, first.ok) == (0, ["lab-file"], True)
    # A value is rendered by Jinja once more in the management qube.
    assert qube.read("/rw/from-salt") == "p42w app debian-13\n"
    assert "Succeeded: 3 (changed=1)" in first.printed
    assert qube.tree(*temporary) == before

    second = qube.apply("lab_states", trace=True)
    assert second.changed == []
    assert any("salt-call" in word for command in second.executed for word in command)
    assert ["mkdir", "-p", "/run/salt-shim-sandbox"] in second.executed

    qube.pillar = {"value": "x", "broken": "true"}
    broken = qube.apply("lab_states")
    assert (broken.ok, broken.failed, broken.returncode != 0) == (False, ["lab-broken"], True)
    with pytest.raises(LabError, match="lab-broken"):
        broken.check()

    assert qube.salt("test.arg", "a b", key="c d")["args"] == ["a b"]


def test_a_run_that_cannot_start_says_why(lab: Lab, bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    missing = qube.apply("there_is_no_such_sls")
    assert not missing.ok
    assert "there_is_no_such_sls" in missing.errors[0]
    assert "there_is_no_such_sls" in missing.logged
    # A pillar that a user wrote by hand is rendered in dom0 first.
    qube.pillar = "answer: {{ 6 * 7 }}\n"
    assert qube.salt("pillar.get", "answer") == 42


def test_the_highstate_is_what_the_top_files_say(
    lab: Lab, bare: Template, new_qube: Callable[..., Qube]
) -> None:
    srv = lab.qubesctl.srv
    (srv / "salt/lab_top.sls").write_text("lab-top: test.nop\n")
    top = srv / "salt/_tops/base/lab.top"
    qube = new_qube(template=bare, tags=["lab-top"])
    other = new_qube(template=bare, start=False)
    formula = srv / "salt/_tops/base/postfix_smarthost.top"
    enabled = formula.readlink() if formula.is_symlink() else None
    formula.unlink(missing_ok=True)
    try:
        top.write_text(
            "base:\n  'I@qubes:type:app and I@qubes:tags:lab-top':\n    - match: compound\n    - lab_top\n"
        )
        applied = qube.apply()
        assert list(applied.states) == ["lab-top"], applied
        skipped = other.apply()
        assert skipped.skipped
        assert not skipped.states
    finally:
        top.unlink()
        if enabled:
            formula.symlink_to(enabled)


def test_only_salt_gets_through_the_ssh_stand_in(lab: Lab) -> None:
    ssh = Path(__file__).with_name("remote_shell.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_QUBES", str(lab.place))
        link = lab.place / "ssh"
        link.symlink_to(ssh)
        shim = "/bin/sh  << 'EOF'\nid\nEOF"
        for command in (["id"], [f"{shim}\nid"], [f"{shim}\nid\nEOF"], [shim, "id"]):
            done = subprocess.run([str(link), "qube", *command], capture_output=True, text=True, check=False)
            assert done.returncode == 2, command


def test_salts_files_are_for_root_only(lab: Lab) -> None:
    for path in (lab.place, lab.qubesctl.dom0, lab.qubesctl.management):
        assert path.stat().st_mode & 0o777 == 0o700
