# SPDX-License-Identifier: Apache-2.0
"""An apply or a boot script that is killed after any of its steps, and a qube that loses its power there.

A step of an apply is each change that its process makes to a file, and each program that it starts; direct.py counts
them. A step of the boot script is each of its simple commands. Whatever the step, mail flows or waits, the next boot
works, and the next apply makes all good.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from smarthost_places import TOP_FILES
from smarthost_privacy import NAMED

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique
from .delivery import Reckoning

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
TABLES = ("saslpass", "sender_access", "sender_relay", "tls_policy")


class Sender:
    """Sends around the kills, and accounts for what was sent."""

    def __init__(self, qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX) -> None:
        self.qube, self.relay_a, self.relay_b, self.mx = qube, relay_a, relay_b, mx
        self.reckoning = Reckoning()
        self.refused = 0

    def __str__(self) -> str:
        return f"{self.reckoning}, {self.refused} not taken"

    def send(self) -> None:
        """Hand in a message of ALICE, who may send with either configuration."""
        subject = unique("kill")
        done = self.qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, check=False)
        # Without any configuration sendmail(1) takes no mail, and says so.
        if done.returncode == 0:
            self.reckoning.sent.append(subject)
        else:
            self.refused += 1

    def cut_power(self) -> None:
        """Kill the qube and start it again."""
        self.reckoning.kills.append(time.time())
        self.qube.kill()
        self.qube.start()

    def settle(self) -> None:
        """Wait until all that was accepted has arrived, once, by the right account."""
        self.qube.run("postqueue", "-f")
        for subject in self.reckoning.sent:
            self.relay_a.wait_for(subject, timeout=90, diagnosis=self.qube.diagnosis)
        for relay in (self.relay_a, self.relay_b):
            for mail in relay.received():
                assert mail.login == mail.sender
                assert mail.login != "", mail.subject
            assert "NOQUEUE: reject" not in relay.log()
        sent = {*self.reckoning.sent}
        for mail in self.relay_a.received():
            if mail.subject in sent:
                assert mail.login == ALICE.login
                self.reckoning.arrived.setdefault(mail.subject, []).append(mail.time)
        assert self.reckoning.lost == self.reckoning.unexplained == []
        assert sent & {mail.subject for mail in self.relay_b.received()} == set()
        assert self.mx.connections() == []


def assert_whole(qube: Qube) -> None:
    """No directory but the tables in use is left, and nothing in it that does not belong there."""
    names = {*qube.run("ls", "-A", CONFIG).stdout.split()}
    (tables,) = [name for name in names if name.startswith("tables-")]
    assert names - {tables} <= {
        *TOP_FILES,
        *("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d", "sasl"),
    }
    inside = {*qube.run("ls", "-A", f"{CONFIG}/{tables}").stdout.split()}
    assert inside == {
        *TABLES,
        *(f"{name}.db" for name in TABLES),
        *NAMED,
        *(
            "bounce_templates",
            "forwarded_sender",
            "manifest",
            "smtp_delivery_status_filter",
            "strange_senders",
        ),
        *("smtpd_command_filter", "smtpd_reject_footers"),
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
    sender: Sender, before: dict[str, Any] | None, after: dict[str, Any], step: int, *, power: bool
) -> bool:
    """Kill an apply before a step; return whether it had so many."""
    qube = sender.qube
    prepare(qube, before)
    sender.send()
    qube.pillar = after
    said = direct.run(qube, kill_before=step)
    if power:
        sender.cut_power()
        # What the boot script left off, an apply can heal; what it started, runs on a whole configuration.
        if before is not None:
            qube.wait_for(
                lambda: direct.run(qube, "postfix_smarthost.active").result, "Postfix after the boot"
            )
    sender.send()
    healed = direct.run(qube)
    assert healed.error is None, healed.error
    assert_whole(qube)
    assert direct.run(qube).changes == {}
    assert direct.run(qube, "postfix_smarthost.active").result is True
    sender.send()
    return said.killed


CHANGES = {"first": (None, BEFORE), "reload": (BEFORE, RELOADED), "restart": (BEFORE, AFTER)}


@pytest.fixture
def sender(new_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX) -> Sender:
    """Give a qube with the first configuration, and what is known of its mail."""
    for host in (relay_a, relay_b, mx):
        host.forget()
    qube = new_qube(pillar=BEFORE)
    # The user's maildir is made once, and stays.
    assert direct.run(qube).error is None
    return Sender(qube, relay_a, relay_b, mx)


def count_steps(qube: Qube, before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """Return the steps of a change."""
    prepare(qube, before)
    qube.pillar = after
    return direct.run(qube).steps


@pytest.mark.parametrize("change", CHANGES)
def test_an_apply_killed_at_some_of_its_steps(sender: Sender, change: str) -> None:
    """The steps around the swap, where most is at stake, and one of the power cuts."""
    before, after = CHANGES[change]
    steps = count_steps(sender.qube, before, after)
    renames = [
        number for number, step in enumerate(steps, 1) if step.startswith("os.rename") and CONFIG in step
    ]
    # Before main.cf is in place, after it, and somewhere while tables are compiled.
    points = {renames[-1]: False, renames[-1] + 1: True, renames[0]: True, len(steps): False}
    for step, power in points.items():
        assert check_step(sender, before, after, step, power=power), steps[step - 1]
    sender.settle()


@pytest.mark.soak
@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_apply_killed_at_each_of_its_steps(sender: Sender, change: str, power: bool) -> None:
    before, after = CHANGES[change]
    step = 0
    while check_step(sender, before, after, step := step + 1, power=power):
        pass
    # Counted now: directories that a killed apply has made stay, and the last ones need not make them.
    steps = count_steps(sender.qube, before, after)
    assert step > len(steps) - 5
    sender.settle()
    print(f"{change}, {'power' if power else 'kill'}: {step - 1} steps, {sender}")


def test_a_cleaning_killed_at_some_of_its_steps(sender: Sender) -> None:
    prepare(sender.qube, BEFORE)
    steps = direct.run(sender.qube, "postfix_smarthost.remove").steps
    for step in sorted(random.Random(1).sample(range(1, len(steps) + 1), 4)):  # noqa: S311
        prepare(sender.qube, BEFORE)
        sender.send()
        assert direct.run(sender.qube, "postfix_smarthost.remove", kill_before=step).killed
        sender.cut_power()
        remove(sender.qube)
        assert sender.qube.run("test", "-e", CONFIG, check=False).returncode == 1
    prepare(sender.qube, BEFORE)
    sender.settle()


# Sourced by bash before the script. What a subshell runs is part of the command that it belongs to.
_COUNT = """\
steps=0
trap 'if [ $BASHPID = $$ ] && [ $((steps += 1)) = "$KILL_BEFORE" ]; then kill -KILL $$; fi' DEBUG
trap 'echo $steps > /run/lab-steps' EXIT
set -T
"""

# A boot at which there is most to do: all tables are older than their sources, the users have other numbers, an apply
# was killed, and a message was handed in that nothing has looked at.
_MUCH_TO_DO = f"""\
systemctl stop postfix-smarthost-uplink.timer
umount /etc/postfix /var/spool/postfix
touch {CONFIG}/tables-*/*[a-z]
touch -d '1 hour ago' {CONFIG}/tables-*/*.db
mkdir -p {CONFIG}/staging/tables-a
cd /rw/bind-dirs/var/spool/postfix
chown -R 4999 active bounce corrupt defer deferred flush hold incoming private saved trace
chgrp 4998 maildrop public
"""


def run_boot_script(qube: Qube, kill_before: int = 0) -> bool:
    """Run the boot script and return whether it was killed before the step of that number, from 1."""
    qube.write("/run/lab-count", _COUNT)
    environment = ("BASH_ENV=/run/lab-count", f"KILL_BEFORE={kill_before}")
    done = qube.run("env", *environment, direct.BOOT_SCRIPT, check=False)
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode != 0


def check_boot_step(sender: Sender, step: int, *, power: bool) -> bool:
    """Kill the boot script before a step; return whether it had so many."""
    qube = sender.qube
    qube.run("systemctl", "stop", "postfix")
    sender.send()
    qube.run("sh", "-euc", _MUCH_TO_DO)
    killed = run_boot_script(qube, step)
    if qube.run("pgrep", "-x", "master", check=False).stdout:
        assert qube.run("test", "/etc/postfix", "-ef", CONFIG, check=False).returncode == 0
    if power:
        sender.cut_power()
    else:
        run_boot_script(qube)
    qube.wait_for(lambda: direct.run(qube, "postfix_smarthost.active").result, "Postfix to run")
    assert_whole(qube)
    assert direct.run(qube).changes == {}
    owner = qube.run(
        "stat", "-c", "%U %G", *(f"/var/spool/postfix/{name}" for name in ("active", "maildrop"))
    )
    assert owner.stdout.split() == ["postfix", "root", "postfix", "postdrop"]
    sender.send()
    return killed


def test_a_boot_script_killed_at_some_of_its_steps(sender: Sender) -> None:
    assert not check_boot_step(sender, 0, power=False)
    steps = int(sender.qube.read("/run/lab-steps"))
    assert steps > 50
    for number, step in enumerate(sorted(random.Random(1).sample(range(1, steps + 1), 6))):  # noqa: S311
        assert check_boot_step(sender, step, power=number % 2 == 1), step
    assert sender.refused == 0
    sender.settle()


@pytest.mark.soak
@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_a_boot_script_killed_at_each_of_its_steps(sender: Sender, power: bool) -> None:
    step = 0
    while check_boot_step(sender, step := step + 1, power=power):
        pass
    assert step > 50
    assert sender.refused == 0
    sender.settle()
    print(f"boot, {'power' if power else 'kill'}: {step - 1} steps, {sender}")
