# SPDX-License-Identifier: Apache-2.0
"""The formula on a plain Debian: Postfix is where its package puts it, and what was there before is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .fetching import comes, record
from .mailbox import Mailbox
from .oauth import TOKENS, authorize
from .oauth_provider import PORTS
from .plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .oauth_provider import OAuthProvider
    from .qube import Template
    from .relay import Relay

NOT_THERE = ("/rw", "/usr/local/etc/postfix", "/usr/share/qubes")
OWN_MAIN_CF = "# The administrator's own.\ncompatibility_level = 3.6\nmyhostname = plain.test\n"


@pytest.fixture(scope="module")
def machine(lab: Lab, bare: Template, relay_a: Relay, relay_b: Relay) -> Iterator[Plain]:
    """Give a machine to which nothing was applied yet."""
    assert relay_a.running
    assert relay_b.running
    made = lab.adopt(Plain(lab, "plain", bare, pillar=pillar(ALICE, BOB)))
    made.start()
    yield made
    lab.remove(made)


@pytest.fixture
def configured(machine: Plain) -> Plain:
    """Give it with its accounts."""
    if "smarthost_tables" not in machine.run("cat", "/etc/postfix/main.cf", check=False).stdout:
        machine.apply("postfix_smarthost").check()
    return machine


def assert_delivers(machine: Plain, relay: Relay) -> None:
    """Assert that mail leaves by the account it belongs to."""
    subject = unique()
    machine.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay.wait_for(subject, diagnosis=machine.diagnosis).login == ALICE.login


def test_a_machine_gets_both_sides(machine: Plain, relay_a: Relay) -> None:
    assert machine.run("ls", "-d", *NOT_THERE, check=False).stdout == ""
    predicted = machine.apply("postfix_smarthost", test=True).check()
    applied = machine.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted
    assert machine.apply("postfix_smarthost").check().changed == []
    assert direct.run(machine, "postfix_smarthost.status").result["as_asked"] is True
    assert_delivers(machine, relay_a)
    assert machine.run("ls", "-d", *NOT_THERE, check=False).stdout == ""
    assert machine.run("findmnt", "-n", "/etc/postfix", "/var/spool/postfix", check=False).stdout == ""
    for unit in ("postfix", "postfix-smarthost"):
        assert machine.run("systemctl", "is-enabled", unit).stdout == "enabled\n"


def test_a_restart_starts_postfix_and_queued_mail_leaves(configured: Plain, relay_a: Relay) -> None:
    configured.network("down")
    subject = unique()
    configured.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    configured.kill()
    configured.start()
    assert configured.run("systemctl", "is-active", "postfix").stdout == "active\n"
    configured.network("up")
    assert relay_a.wait_for(subject, timeout=60, diagnosis=configured.diagnosis).login == ALICE.login


def test_a_machine_fetches_and_logs_in_with_a_token(
    configured: Plain, provider: OAuthProvider, relay_a: Relay
) -> None:
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "fetchmail")
    configured.run(*install, timeout=180)
    usual = configured.pillar
    own, by_token = Mailbox(relay_a, unique("box")), Mailbox(provider.host, unique("box"))
    address = f"{by_token.name}@office.test"
    where = {"server": provider.relay, "port": PORTS["imap"], "tls": {"mode": "implicit"}}
    configured.pillar = pillar(record(own), provider.record(address, fetch=where))
    assert direct.run(configured).error is None
    authorize(configured, provider, address)
    for box in (own, by_token):
        comes(configured, box)
    subject = unique()
    configured.send(sender=address, to=RECIPIENT, subject=subject)
    assert provider.wait_for(subject, diagnosis=configured.diagnosis).login == address
    configured.kill()
    configured.start()
    for box in (own, by_token):
        comes(configured, box)
    configured.pillar = usual
    assert direct.run(configured).error is None
    assert configured.run("ls", TOKENS, check=False).returncode


def test_a_refused_pillar_changes_nothing(configured: Plain, relay_a: Relay) -> None:
    before = configured.tree("/etc/postfix", "/usr/local")
    configured.pillar, usual = pillar(ALICE, settings={"smtp_tls_security_level": "none"}), configured.pillar
    try:
        assert not configured.apply("postfix_smarthost").ok
    finally:
        configured.pillar = usual
    assert configured.tree("/etc/postfix", "/usr/local") == before
    assert_delivers(configured, relay_a)


def test_the_program_of_the_user(configured: Plain) -> None:
    told = configured.run("postfix-smarthost", "status").stdout
    assert ALICE.address in told
    assert configured.run("postfix-smarthost", "verify", timeout=90).returncode == 0


def test_clean_takes_it_back_and_a_second_one_finds_nothing(configured: Plain) -> None:
    predicted = configured.apply("postfix_smarthost.clean", test=True).check()
    applied = configured.apply("postfix_smarthost.clean").check()
    assert applied.changed == predicted.predicted
    assert configured.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    for unit in ("postfix", "postfix-smarthost"):
        assert configured.run("systemctl", "is-enabled", unit, check=False).stdout != "enabled\n"
    left = configured.tree("/etc", "/usr/local")
    assert [path for path in left if "smarthost" in path] == []
    assert [path for path in left if path.startswith("/etc/postfix/tables")] == []
    # What its package put there.
    assert "/etc/postfix/postfix-files" in left
    assert "/etc/postfix/master.cf" in left
    assert configured.apply("postfix_smarthost.clean").check().changed == []


def test_what_was_there_before_is_kept_and_given_back(machine: Plain, relay_a: Relay) -> None:
    """An administrator's Postfix, with a table of a name that the recipe for qubes has too."""
    if "smarthost_tables" in machine.run("cat", "/etc/postfix/main.cf", check=False).stdout:
        machine.apply("postfix_smarthost.clean").check()
    install = "apt-get -qq update && apt-get -y -qq --no-install-recommends install postfix"
    machine.run("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", install, timeout=120)
    machine.write("/etc/postfix/main.cf", OWN_MAIN_CF)
    machine.write("/etc/postfix/generic", "a b\n")
    machine.write("/etc/aliases", "root: admin\npostmaster: root\n")
    machine.run("newaliases")
    master_cf = machine.read("/etc/postfix/master.cf")
    machine.run("systemctl", "enable", "--now", "postfix")
    machine.apply("postfix_smarthost").check()
    assert_delivers(machine, relay_a)
    assert machine.read("/etc/postfix/main.cf.by-hand") == OWN_MAIN_CF
    assert machine.read("/etc/aliases") == "root: admin\npostmaster: root\n"
    applied = machine.apply("postfix_smarthost.clean").check()
    comment = applied.states["postfix_smarthost-clean-appvm"]["comment"]
    assert "sudo systemctl enable --now postfix starts it on them" in comment
    assert machine.read("/etc/postfix/main.cf") == OWN_MAIN_CF
    assert machine.read("/etc/postfix/master.cf") == master_cf
    assert machine.read("/etc/postfix/generic") == "a b\n"
    # It is the administrator's: nothing stops it.
    machine.run("systemctl", "enable", "--now", "postfix")
    assert machine.apply("postfix_smarthost.clean").check().changed == []
    assert machine.run("systemctl", "is-active", "postfix").stdout == "active\n"
