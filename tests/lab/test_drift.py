# SPDX-License-Identifier: Apache-2.0
"""What somebody or something broke in the qube heals in one apply, which says what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

CONFIG = "/usr/local/etc/postfix"
CONFIGURATION = "postfix_smarthost-appvm-configuration"
BOOT_SCRIPT = "postfix_smarthost-appvm-boot-script"
ACTIVE = "postfix_smarthost-appvm-active"
USUAL = pillar(ALICE, BOB)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Qube:
    """Give a qube that each test leaves healed."""
    assert relay_a.running
    assert relay_b.running
    qube = lab.qube("mail-drift", template=prepared, pillar=USUAL)
    qube.apply("postfix_smarthost").check()
    return qube


def break_it(qube: Qube, script: str) -> None:
    """Run a script below the configuration, with the directory of tables in use as $t."""
    found = "cd $1; t=$(sed -n 's,^smarthost_tables.*/\\(tables-.\\)$,\\1,p' main.cf); "
    qube.run("sh", "-ec", found + script, "sh", CONFIG)


def assert_good(qube: Qube, relay_a: Relay, mx: MX, *subjects: str) -> None:
    """Messages sent while it was broken arrive, as does a new one; nothing went astray."""
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    qube.run("postqueue", "-f")
    for each in (*subjects, subject):
        mail = relay_a.wait_for(each, diagnosis=qube.diagnosis)
        assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    assert mx.connections() == []


def test_what_is_gone_comes_back(qube: Qube, relay_a: Relay, mx: MX) -> None:
    """All at once: mounts and Postfix, the boot script, compiled tables."""
    break_it(
        qube,
        "systemctl stop postfix; umount /etc/postfix; umount /var/spool/postfix;"
        " rm /rw/config/rc.local.d/50-postfix-smarthost.rc; rm $t/saslpass.db; : > $t/sender_relay.db",
    )
    predicted = qube.apply("postfix_smarthost", test=True).check()
    applied = qube.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted == [CONFIGURATION, BOOT_SCRIPT, ACTIVE]
    files = applied.states[CONFIGURATION]["changes"]["files"]
    assert {"sender_relay", "saslpass"} <= {*files["changed"]}
    assert applied.states[ACTIVE]["changes"] == {"postfix": "active"}
    assert_good(qube, relay_a, mx)
    assert qube.apply("postfix_smarthost").check().changed == []


def test_what_is_changed_or_too_much_under_a_running_postfix_is_put_right(
    qube: Qube, relay_a: Relay, mx: MX
) -> None:
    """All at once: a boot script that cannot run, edits, and what an older version or a killed apply has left."""
    subject = unique()
    break_it(
        qube,
        "chmod 0644 /rw/config/rc.local.d/50-postfix-smarthost.rc; sed -i 's/= secure/= may/' main.cf;"
        " echo 'smtp unix - - n - - smtp' >> master.cf; cp $t/saslpass $t/saslpass-1;"
        " mkdir staging; cp $t/saslpass staging; chmod 0644 $t/saslpass.db; touch generic.db",
    )
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    applied = qube.apply("postfix_smarthost").check()
    # It comes before the tables that it has to know.
    assert applied.changed == [CONFIGURATION]
    files = applied.states[CONFIGURATION]["changes"]["files"]
    assert {*files["changed"]} == {"main.cf", "master.cf", "saslpass"}
    assert {*files["removed"]} == {"saslpass-1", "staging", "generic.db"}
    assert [*applied.states[CONFIGURATION]["changes"]["boot_script"]] == ["changed"]
    assert "not carried over" not in applied.states[CONFIGURATION]["comment"]
    found = qube.run("grep", "-rlaF", ALICE.password, "/rw", "/etc", check=False).stdout.split()
    assert {path.rpartition("/")[2] for path in found} == {"saslpass", "saslpass.db"}
    assert_good(qube, relay_a, mx, subject)
    assert qube.apply("postfix_smarthost").check().changed == []


# How it is broken, and what of the changes tells it.
DRIFTS = {
    "compiled older than its source": ("touch $t/saslpass", ("files", "changed", "saslpass")),
    "compiled of another type": ("mv $t/tls_policy.db $t/tls_policy.cdb", ("files", "changed", "tls_policy")),
    "source deleted": ("rm $t/sender_access", ("files", "added", "sender_access")),
    "all tables deleted": ("rm -r $t", ("files", "added", "saslpass")),
    "main.cf deleted": ("rm main.cf", ("files", "added", "main.cf")),
    "master.cf deleted": ("rm master.cf", ("files", "added", "master.cf")),
    "main.cf emptied": (": > main.cf", ("files", "changed", "main.cf")),
    "secret readable for all": ("chmod 0644 $t/saslpass", ("files", "changed", "saslpass")),
    "stopped": ("systemctl stop postfix", ("postfix",)),
    "master killed": ("kill -9 $(cat /var/spool/postfix/pid/master.pid)", ("postfix",)),
    "configuration unmounted": ("umount -l /etc/postfix", ("postfix",)),
    "queue unmounted": ("umount -l /var/spool/postfix", ("postfix",)),
    "no watch for the uplink": ("systemctl stop postfix-smarthost-uplink.timer", ("postfix",)),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_drift_heals_in_one_apply(qube: Qube, relay_a: Relay, mx: MX, drift: str) -> None:
    script, told = DRIFTS[drift]
    subject = unique()
    qube.run("postqueue", "-f")
    break_it(qube, script)
    taken = qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject, check=False).returncode == 0
    found = direct.run(qube).changes
    *where, what = told
    for part in where:
        found = found[part]
    assert what in found, found
    assert direct.run(qube).changes == {}
    # Also one that went to the template's own queue, which is lost at shutdown.
    assert_good(qube, relay_a, mx, *([subject] if taken else []))


def test_what_is_not_asked_for_any_more_leaves_the_disk(qube: Qube, relay_a: Relay, mx: MX) -> None:
    """An account and a feature, with all that was made for them."""
    lists = [{"list_id": "users.example.test", "folder": "list/users"}]
    with_all = pillar(ALICE, BOB, ANN, lists=lists)
    assert direct.run(qube, pillar=with_all).changes["files"]["added"] == ["procmailrc", "deliver"]
    changes = direct.run(qube).changes
    assert changes["files"]["removed"] == ["deliver", "procmailrc"]
    assert changes["accounts"] == {"removed": [ANN.address]}
    patterns = ["-e", ANN.password, "-e", ANN.address]
    assert qube.run("grep", "-rlaF", *patterns, "/usr/local", "/etc", check=False).stdout == ""
    assert qube.run("find", "/usr/local/etc", "-name", "procmailrc*").stdout == ""
    assert_good(qube, relay_a, mx)
