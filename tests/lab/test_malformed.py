# SPDX-License-Identifier: Apache-2.0
"""Malformed pillars change nothing: the sentences come, the tree stays, and the old configuration goes on sending.

All of tests/malformed runs in the unit tests; here is each third record, and some by the whole way that a user's
takes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.malformed import MALFORMED
from tests.samples import SECRET

from . import direct
from .accounts import ALICE, pillar
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay


def survives_json(record: Any) -> bool:  # noqa: ANN401 - a pillar may hold anything
    """Tell whether direct.py can hand a record to the qube: YAML has keys and values that JSON has not."""
    try:
        return json.loads(json.dumps(record)) == record
    except TypeError:
        return False


# What a qube without a record is told depends on dom0.
SOME = [case for case in MALFORMED if case[1] is not None]
CASES = [case for case in SOME if survives_json(case[1])][::3]
THE_WHOLE_WAY = SOME[::18]
assert len(CASES) >= 25


def each(cases: list[tuple[str, Any, tuple[str, ...]]]) -> pytest.MarkDecorator:
    """Run a test with the record and the sentences of each case."""
    names, *values = zip(*cases, strict=True)
    return pytest.mark.parametrize(("record", "sentences"), list(zip(*values, strict=True)), ids=names)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay) -> Qube:
    assert relay_a.running
    made = lab.qube("mail-malformed", template=prepared, pillar=pillar(ALICE))
    made.apply("postfix_smarthost").check()
    return made


@each(CASES)
def test_malformed_pillar_is_told_and_changes_nothing(
    qube: Qube,
    relay_a: Relay,
    record: Any,  # noqa: ANN401
    sentences: tuple[str, ...],
) -> None:
    before = qube.tree("/rw", "/etc")
    said = direct.run(qube, pillar={"postfix_smarthost": record})
    assert said.error is not None
    assert sorted(said.error.splitlines()) == sorted(sentences)
    assert SECRET not in said.error
    assert said.steps == []
    assert qube.tree("/rw", "/etc") == before
    assert_delivers(qube, relay_a)


def test_qube_that_dom0_gives_nothing_is_told_why(lab: Lab, qube: Qube, relay_a: Relay) -> None:
    before = qube.tree("/rw", "/etc")
    not_enabled = direct.run(qube, pillar={})
    assert "sudo qubesctl top.enable postfix_smarthost pillar=True" in (not_enabled.error or "")
    qube.pillar = {}
    with lab.qubesctl.qubes_yaml({"mail-malforned": {"accounts": []}}):
        applied = qube.apply("postfix_smarthost")
    comment = applied.states["postfix_smarthost-appvm-configuration"]["comment"]
    assert (
        "qubes.yaml in dom0 has no entry for mail-malformed, but one for mail-malforned: correct" in comment
    )
    assert applied.changed == []
    with lab.qubesctl.qubes_yaml({"another": {"accounts": []}}):
        left_alone = qube.apply("postfix_smarthost").check()
    ((name, state),) = left_alone.states.items()
    assert name == "postfix_smarthost-qube-is-unlisted"
    assert "Nothing is done. " in state["comment"]
    assert qube.tree("/rw", "/etc") == before
    assert_delivers(qube, relay_a)


@each(THE_WHOLE_WAY)
def test_malformed_pillar_from_dom0_is_told_and_changes_nothing(
    qube: Qube,
    relay_a: Relay,
    record: Any,  # noqa: ANN401
    sentences: tuple[str, ...],
) -> None:
    before = qube.tree("/rw", "/etc")
    qube.pillar = {"postfix_smarthost": record}
    applied = qube.apply("postfix_smarthost")
    assert applied.returncode != 0
    told = applied.states["postfix_smarthost-appvm-configuration"]["comment"].splitlines()
    assert sorted(told) == sorted(sentences)
    # Also at the end of the log, before Salt's summary.
    end = applied.logged.rsplit("ID: ", maxsplit=1)[1]
    assert end.startswith("postfix_smarthost-appvm-active")
    for sentence in sentences:
        assert " ".join(sentence.split()) in " ".join(end.split())
    # All that is not reported to be in place has not run.
    assert applied.changed == []
    assert applied.failed == list(applied.states)
    assert "Traceback" not in applied.printed + applied.stderr
    assert SECRET not in applied.stdout + applied.stderr + applied.logged
    assert qube.tree("/rw", "/etc") == before
    assert_delivers(qube, relay_a)


def test_qube_whose_type_is_unknown_is_left_alone(
    new_qube: Callable[..., Qube], bare: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for a standalone machine, and get Postfix installed."""
    qube = new_qube(template=bare, pillar=pillar(ALICE))
    qube.run("mkdir", "-p", "/usr/share/qubes")
    monkeypatch.setattr(qube, "qubes_pillar", dict)
    before = qube.tree("/etc", "/rw", "/usr/local")
    applied = qube.apply("postfix_smarthost")
    ((name, state),) = applied.states.items()
    assert (name, state["result"], applied.ok) == ("postfix_smarthost-qube-is-unknown", False, False)
    assert "--max-concurrency 1" in state["comment"]
    assert qube.tree("/etc", "/rw", "/usr/local") == before
    assert ALICE.password not in applied.printed + applied.logged
