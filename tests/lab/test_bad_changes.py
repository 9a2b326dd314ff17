# SPDX-License-Identifier: Apache-2.0
"""A change that Postfix cannot run on never stays: the old configuration does, and goes on sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, pillar
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Entry, Qube, Template
    from .relay import MX, Relay

CONFIGURATION = "postfix_smarthost-appvm-configuration"
USUAL = pillar(ALICE, BOB)
# Postfix reloads for the one, and is down while the other is brought on: ANN's relay is the same, her way another.
RELOADED = pillar(ALICE, BOB, ANN)
RESTARTED = pillar(ALICE.record(port=465), BOB, ANN, settings={"smtp_connect_timeout": "31s"})
DROP_IN = "/etc/systemd/system/postfix.service.d/lab.conf"
KEPT = "The old configuration stays in use."
BACK = "The old configuration is back in use."


@pytest.fixture(scope="module")
def mail_qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Qube:
    """Give a qube whose configuration no test of this module leaves changed."""
    assert relay_a.running
    assert relay_b.running
    qube = lab.qube("mail-bad-changes", template=prepared, pillar=USUAL)
    qube.apply("postfix_smarthost").check()
    return qube


@pytest.fixture
def qube(mail_qube: Qube) -> Iterator[Qube]:
    """Give the qube, and repair it and its Postfix afterwards."""
    mail_qube.pillar = USUAL
    yield mail_qube
    mail_qube.pillar = USUAL
    mail_qube.run("sh", "-c", f"rm -f {DROP_IN} && systemctl daemon-reload && systemctl reset-failed postfix")
    direct.run(mail_qube)


def drop_in(qube: Qube, *lines: str) -> None:
    """Add to the unit of Postfix."""
    qube.write(DROP_IN, "\n".join(("[Service]", *lines, "")))
    qube.run("systemctl", "daemon-reload")


def world(qube: Qube) -> dict[str, Entry]:
    """Return all that an apply could change on disk."""
    return qube.tree("/usr/local", "/rw/config", "/etc/postfix", "/home/user")


def assert_sends(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """Send from two accounts."""
    assert_delivers(qube, relay_a)
    assert_delivers(qube, relay_b, BOB)


def test_a_table_type_that_is_not_installed_is_refused(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    qube.pillar = pillar(ALICE, BOB, table_type="lmdb")
    before = world(qube)
    applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    comment = applied.states[CONFIGURATION]["comment"]
    assert "postfix-lmdb" in comment
    assert KEPT in comment
    assert world(qube) == before
    assert_sends(qube, relay_a, relay_b)


# Postfix's own check lets them pass, and its daemons end on them.
VALUES = [
    ("smtp_connect_timeout", "30q"),
    ("smtpd_recipient_limit", "0"),
    ("maximal_queue_lifetime", "500d"),
    ("smtpd_hard_error_limit", "many"),
]


def test_values_that_postfix_check_lets_pass_are_refused(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    script = (
        'rm -rf /run/try && cp -a /etc/postfix /run/try && cd /run/try && sed -i "/^$1 =/d" main.cf &&'
        " echo \"$1 = $2\" >> main.cf && touch -d '1 minute ago' main.cf && postfix -c /run/try check"
    )
    for name, value in VALUES:
        passed = qube.run("sh", "-c", script, "sh", name, value)
        assert passed.stderr == "", name
    qube.pillar = pillar(ALICE, BOB, settings=dict(VALUES))
    before = world(qube)
    applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    comment = applied.states[CONFIGURATION]["comment"]
    assert [name for name, _ in VALUES if f"settings: {name} must be " not in comment] == []
    assert world(qube) == before
    assert_sends(qube, relay_a, relay_b)


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "reload": (RELOADED, ("ExecReload=", "ExecReload=/bin/false"), "systemctl reload postfix failed"),
    "start": (
        RESTARTED,
        ("ExecStartPre=/bin/sh -c '! grep -q 31s /etc/postfix/main.cf'",),
        "systemctl start postfix failed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_postfix_that_does_not_take_a_change_gets_the_old_one_back(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, fault: str
) -> None:
    """By the real way: the failure comes after the swap."""
    changed, lines, said = FAULTS[fault]
    drop_in(qube, *lines)
    qube.pillar = changed
    before = world(qube)
    applied = qube.apply("postfix_smarthost")
    assert applied.failed[:1] == [CONFIGURATION]
    comment = applied.states[CONFIGURATION]["comment"]
    assert said in comment
    assert "The old configuration is back" in comment
    assert "Traceback" not in applied.printed + applied.stderr
    assert world(qube) == before
    assert_sends(qube, relay_a, relay_b)
    assert mx.connections() == []


def test_daemons_that_take_no_mail_with_a_change_get_the_old_one_back(
    qube: Qube, relay_a: Relay, relay_b: Relay
) -> None:
    """What all programs of the preflight let pass: Postfix comes up and its smtpd(8) refuses."""
    for changed in (RELOADED, RESTARTED):
        qube.pillar = changed
        before = world(qube)
        said = direct.run(qube, submit_policy="#!/bin/sh\nexit 1\n")
        assert said.error is not None
        assert said.error.startswith("Postfix takes no mail with the configuration: ")
        assert said.error.endswith(BACK)
        assert world(qube) == before
        assert_sends(qube, relay_a, relay_b)


def test_a_change_while_postfix_is_stopped_is_tried_first(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """It once stayed, with a Postfix that did not start on it."""
    drop_in(qube, *FAULTS["start"][1])
    qube.run("systemctl", "stop", "postfix")
    before = world(qube)
    changed = direct.run(qube, pillar=RESTARTED)
    assert changed.error is not None
    assert "Postfix did not start within" in changed.error
    assert changed.error.endswith(BACK)
    assert world(qube) == before
    assert_sends(qube, relay_a, relay_b)
    qube.run("systemctl", "stop", "postfix")
    qube.pillar = RELOADED
    predicted = qube.apply("postfix_smarthost", test=True).check()
    applied = qube.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted == [CONFIGURATION, "postfix_smarthost-appvm-active"]
    assert_sends(qube, relay_a, relay_b)


def test_postfix_that_does_not_start_at_all_is_told_and_starts_once_it_can(
    qube: Qube, relay_a: Relay, relay_b: Relay
) -> None:
    qube.pillar = RESTARTED
    drop_in(qube, "ExecStartPre=/bin/false")
    before = world(qube)
    said = direct.run(qube)
    assert said.error is not None
    assert "The old configuration is back, but systemctl start postfix failed" in said.error
    assert world(qube) == before
    qube.run("sh", "-c", f"rm {DROP_IN} && systemctl daemon-reload")
    qube.pillar = USUAL
    assert direct.run(qube).changes == {"postfix": "active"}
    assert_sends(qube, relay_a, relay_b)


def test_a_disk_without_room_changes_nothing(
    new_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay
) -> None:
    """With less and less room, on a real small file system: for no file, some files, tables but not all."""
    qube = new_qube(pillar=USUAL)
    qube.run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", "/usr/local")
    direct.run(qube)
    qube.pillar = RELOADED
    before = qube.tree("/usr/local", "/rw/config")
    refused = 0
    for left in (0, 8, 24, 48, 80):
        fill = 'cd /usr/local; cat /dev/zero > filler 2>/dev/null; truncate -s "-${1}K" filler'
        qube.run("sh", "-c", fill, "sh", str(left))
        said = direct.run(qube)
        qube.run("rm", "/usr/local/filler")
        assert said.error is not None, left
        assert "No space left on device" in said.error
        assert "stays in use" in said.error
        assert qube.tree("/usr/local", "/rw/config") == before
        refused += 1
    assert refused == 5
    assert_sends(qube, relay_a, relay_b)
    assert direct.run(qube).changes["accounts"] == {"added": [ANN.address]}


def fail_at_each(qube: Qube, changed: dict[str, Any], steps: range | list[int]) -> list[str]:
    """Let the disk be full at some steps of a change; return those at which it was."""
    failed = []
    before = world(qube)
    for step in steps:
        qube.pillar = changed
        said = direct.run(qube, fail_at=step)
        if said.error is None:
            qube.pillar = USUAL
            direct.run(qube)
            before = world(qube)
            continue
        assert "No space left on device" in said.error, step
        assert "old" in said.error
        assert world(qube) == before, said.error
        assert said.steps[step - 1].split()[0] != "subprocess.Popen"
        failed.append(said.steps[step - 1])
    return failed


def swap(steps: list[str]) -> list[int]:
    """Return the numbers of the steps of the swap, from the copies of what is in use on."""
    first = next(number for number, step in enumerate(steps, 1) if step.endswith("submit-policy.old"))
    last = max(number for number, step in enumerate(steps, 1) if step.startswith("os.rename"))
    return list(range(first, last + 1))


@pytest.mark.parametrize("changed", [RELOADED, RESTARTED], ids=["reload", "restart"])
def test_a_disk_that_is_full_while_swapping_changes_nothing(
    qube: Qube, relay_a: Relay, relay_b: Relay, changed: dict[str, Any]
) -> None:
    qube.pillar = changed
    numbers = swap(direct.run(qube).steps)
    qube.pillar = USUAL
    direct.run(qube)
    failed = fail_at_each(qube, changed, numbers[::3])
    assert any(step.startswith("os.rename") for step in failed), failed
    assert_sends(qube, relay_a, relay_b)
