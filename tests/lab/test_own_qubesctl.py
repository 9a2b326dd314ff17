# SPDX-License-Identifier: Apache-2.0
"""Qubes' own qubesctl, unmodified, on the formula as `make install` puts it there: for QUBES_SOURCES only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, unique
from .own.dom0 import Dom0

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .relay import Relay

COMMAND = ("--show-output", "--skip-dom0")
QUBES_YAML = f"""\
mail:
  accounts:
    - address: {ALICE.address}
      relay: smtp.a.test
      password: "{ALICE.password}"
      username: {ALICE.login}
"""


@pytest.fixture(scope="module")
def dom0(lab: Lab, relay_a: Relay) -> Iterator[Dom0]:
    """Give dom0, with a template and a qube to which nothing was applied."""
    assert relay_a.running
    template = lab.template("debian-13-mail")
    qube = lab.qube("mail", template=template, start=False)
    other = lab.qube("personal", template=template, start=False)
    made = Dom0(lab, [template, qube, other])
    made.root.put("srv/pillar/base/postfix_smarthost/qubes.yaml", QUBES_YAML, 0o600)
    yield made
    made.close()
    for machine in (qube, other, template):
        lab.remove(machine)


def test_the_quick_start(dom0: Dom0, relay_a: Relay) -> None:
    done = dom0.qubesctl(*COMMAND, "--targets=debian-13-mail,mail", "state.apply", "postfix_smarthost")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "debian-13-mail:\n" in done.stdout
    assert "mail:\n" in done.stdout
    assert (
        ALICE.password not in done.stdout + done.stderr + dom0.run("sh", "-c", "cat /var/log/qubes/*").stdout
    )
    dom0["mail"].start()
    subject = unique()
    dom0["mail"].send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=dom0["mail"].diagnosis).login == ALICE.login


def test_a_second_run_does_nothing(dom0: Dom0) -> None:
    done = dom0.qubesctl(*COMMAND, "--targets=mail", "state.apply", "postfix_smarthost")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(changed=" not in done.stdout


def test_all_leaves_others_alone(dom0: Dom0) -> None:
    done = dom0.qubesctl(*COMMAND, "--all", "state.apply", "postfix_smarthost")
    assert done.returncode == 0, done.stdout + done.stderr
    other = done.stdout.partition("personal:\n")[2]
    assert "Nothing is done. " in " ".join(other.split())


def test_a_slip_in_the_file_is_told_at_the_end(dom0: Dom0) -> None:
    path = "srv/pillar/base/postfix_smarthost/qubes.yaml"
    dom0.root.put(path, QUBES_YAML.replace("relay:", "realy:"), 0o600)
    try:
        done = dom0.qubesctl(*COMMAND, "--targets=mail", "state.apply", "postfix_smarthost")
    finally:
        dom0.root.put(path, QUBES_YAML, 0o600)
    assert done.returncode == 20
    end = " ".join(done.stdout.rsplit("ID: ", maxsplit=1)[1].split())
    # What is written there may be a secret in the wrong place: no key is quoted.
    assert (
        "Postfix is left as it was: Account 1 (alice@a.test) has an unknown key: did you mean relay." in end
    )


def test_a_highstate_goes_by_tags(dom0: Dom0) -> None:
    dom0.run("qubesctl", "--dom0-only", "top.enable", "postfix_smarthost", check=True)
    dom0["mail"].tags.append("postfix-smarthost")
    done = dom0.qubesctl(*COMMAND, "--app", "state.highstate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "postfix_smarthost-appvm-active" in done.stdout
    assert "(changed=" not in done.stdout
    assert "personal: SKIP (nothing to do)" in done.stdout


def test_a_policy_that_is_not_there_any_more_lets_nothing_through(dom0: Dom0) -> None:
    """What qubesctl allows its disposable, it takes back: the stand-in of qrexec goes by the file."""
    policies = dom0.run("sh", "-c", "ls /etc/qubes/policy.d").stdout
    assert "30-qubesctl-salt.policy" not in policies
