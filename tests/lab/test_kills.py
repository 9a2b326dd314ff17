# SPDX-License-Identifier: Apache-2.0
"""An apply that is killed after any of its steps, and a qube that loses its power there.

A step is each change that the applying process makes to a file, and each program that it starts; direct.py counts
them. Whatever the step, mail flows or waits, the next boot works, and the next apply makes all good.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

CONFIG = "/usr/local/etc/postfix"
# ALICE moves to another port of her relay, so that Postfix is down meanwhile; BOB goes, ANN comes.
BEFORE, AFTER = pillar(ALICE, BOB), pillar(ALICE.record(port=465), ANN)
# The same without a move: Postfix is reloaded.
RELOADED = pillar(ALICE, ANN)
# The names of what belongs there, whichever of the two directories of tables is in use.
TABLES = ("saslpass", "sender_access", "sender_canonical", "sender_relay", "tls_policy")


class Account:
    """What became of the messages that were sent around the kills."""

    def __init__(self, qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX) -> None:
        self.qube, self.relay_a, self.relay_b, self.mx = qube, relay_a, relay_b, mx
        self.accepted: list[str] = []
        self.refused = 0

    def send(self) -> None:
        """Hand in a message of ALICE, who may send with either configuration."""
        subject = unique("kill")
        done = self.qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, check=False)
        # Without any configuration sendmail(1) takes no mail, and says so.
        if done.returncode == 0:
            self.accepted.append(subject)
        else:
            self.refused += 1

    def settle(self) -> None:
        """Wait until all that was accepted has arrived, once, by the right account."""
        self.qube.run("postqueue", "-f")
        for subject in self.accepted:
            self.relay_a.wait_for(subject, timeout=90, diagnosis=self.qube.diagnosis)
        for relay in (self.relay_a, self.relay_b):
            for mail in relay.received():
                assert mail.login == mail.sender
                assert mail.login != "", mail.subject
            assert "NOQUEUE: reject" not in relay.log()
        for subject in self.accepted:
            mails = self.relay_a.received(subject)
            assert [mail.login for mail in mails] == [ALICE.login], subject
            assert self.relay_b.received(subject) == []
        assert self.mx.connections() == []


def assert_whole(qube: Qube) -> None:
    """No directory but the tables in use is left, and nothing in it that does not belong there."""
    names = {*qube.run("ls", "-A", CONFIG).stdout.split()}
    (tables,) = [name for name in names if name.startswith("tables-")]
    assert names - {tables} <= {
        *("main.cf", "master.cf", "submit-policy", "dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files"),
        *("postfix-files.d", "sasl"),
    }
    inside = {*qube.run("ls", "-A", f"{CONFIG}/{tables}").stdout.split()}
    assert inside == {
        *TABLES,
        *(f"{name}.db" for name in TABLES),
        *("smtp_header_checks", "smtp_delivery_status_filter"),
    }


def remove(qube: Qube) -> None:
    """Make an untouched qube of it."""
    assert direct.run(qube, "postfix_smarthost.remove").error is None


def prepare(qube: Qube, before: dict[str, Any] | None) -> None:
    """Bring on what is there before the change; None for nothing."""
    if before is None:
        remove(qube)
    else:
        qube.pillar = before
        assert direct.run(qube).error is None


def check_step(
    account: Account, before: dict[str, Any] | None, after: dict[str, Any], step: int, *, power: bool
) -> bool:
    """Kill an apply before a step; return whether it had so many."""
    qube = account.qube
    prepare(qube, before)
    account.send()
    qube.pillar = after
    said = direct.run(qube, kill_before=step)
    if power:
        qube.kill()
        qube.start()
        # What the boot script left off, an apply can heal; what it started, runs on a whole configuration.
        if before is not None:
            qube.wait_for(
                lambda: direct.run(qube, "postfix_smarthost.active").result, "Postfix after the boot"
            )
    account.send()
    healed = direct.run(qube)
    assert healed.error is None, healed.error
    assert_whole(qube)
    assert direct.run(qube).changes == {}
    assert direct.run(qube, "postfix_smarthost.active").result is True
    account.send()
    return said.killed


CHANGES = {"first": (None, BEFORE), "reload": (BEFORE, RELOADED), "restart": (BEFORE, AFTER)}


@pytest.fixture
def account(new_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX) -> Account:
    """Give a qube with the first configuration, and what is known of its mail."""
    for host in (relay_a, relay_b, mx):
        host.forget()
    qube = new_qube(pillar=BEFORE)
    # The user's maildir is made once, and stays.
    assert direct.run(qube).error is None
    return Account(qube, relay_a, relay_b, mx)


def count_steps(qube: Qube, before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """Return the steps of a change."""
    prepare(qube, before)
    qube.pillar = after
    return direct.run(qube).steps


@pytest.mark.parametrize("change", CHANGES)
def test_an_apply_killed_at_some_of_its_steps(account: Account, change: str) -> None:
    """The steps around the swap, where most is at stake, and one of the power cuts."""
    before, after = CHANGES[change]
    steps = count_steps(account.qube, before, after)
    renames = [
        number for number, step in enumerate(steps, 1) if step.startswith("os.rename") and CONFIG in step
    ]
    # Before main.cf is in place, after it, and somewhere while tables are compiled.
    points = {renames[-1]: False, renames[-1] + 1: True, renames[0]: True, len(steps): False}
    for step, power in points.items():
        assert check_step(account, before, after, step, power=power), steps[step - 1]
    account.settle()


@pytest.mark.soak
@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_apply_killed_at_each_of_its_steps(account: Account, change: str, power: bool) -> None:
    before, after = CHANGES[change]
    steps = count_steps(account.qube, before, after)
    step = 0
    while check_step(account, before, after, step := step + 1, power=power):
        pass
    assert step > len(steps) - 5
    account.settle()
    figures = {"steps": step - 1, "sent": len(account.accepted), "refused": account.refused}
    print(f"{change}, {'power' if power else 'kill'}: {figures}")


def test_a_cleaning_killed_at_some_of_its_steps(account: Account) -> None:
    prepare(account.qube, BEFORE)
    steps = direct.run(account.qube, "postfix_smarthost.remove").steps
    for step in sorted(random.Random(1).sample(range(1, len(steps) + 1), 4)):  # noqa: S311
        prepare(account.qube, BEFORE)
        account.send()
        assert direct.run(account.qube, "postfix_smarthost.remove", kill_before=step).killed
        account.qube.kill()
        account.qube.start()
        remove(account.qube)
        assert account.qube.run("test", "-e", CONFIG, check=False).returncode == 1
    prepare(account.qube, BEFORE)
    account.settle()
