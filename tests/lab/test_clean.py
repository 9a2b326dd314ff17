# SPDX-License-Identifier: Apache-2.0
"""The formula takes back what it brought, and keeps the mail that was not sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

QUEUE = "/rw/bind-dirs/var/spool/postfix"
CLEAN = "postfix_smarthost-clean-appvm"


def mounts(qube: Qube) -> list[str]:
    """Return what is mounted over Postfix's directories."""
    targets = qube.run("findmnt", "--noheadings", "--raw", "--output=TARGET").stdout.split()
    return [target for target in targets if target in ("/etc/postfix", "/var/spool/postfix")]


def test_a_qube_is_cleaned_and_its_queue_is_sent_after_the_next_apply(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    qube = new_qube(pillar=pillar(ALICE, BOB))
    untouched = qube.tree("/rw", "/etc")
    qube.apply("postfix_smarthost").check()
    subjects = [unique() for _ in range(3)]
    relay_a.stop()
    try:
        for subject in subjects:
            qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        qube.wait_for(lambda: len(qube.queue()) == 3, "three messages in the queue")

        before = qube.tree("/rw/config", "/usr/local", "/etc")
        predicted = qube.apply("postfix_smarthost.clean", test=True).check()
        assert qube.tree("/rw/config", "/usr/local", "/etc") == before
        assert predicted.predicted == [CLEAN]
        # Accounts are not needed to take them away.
        qube.pillar = {}
        applied = qube.apply("postfix_smarthost.clean").check()
    finally:
        relay_a.start()
    assert applied.changed == [CLEAN]
    assert applied.states[CLEAN]["changes"] == predicted.states[CLEAN]["changes"]
    comment = applied.states[CLEAN]["comment"]
    assert f"3 messages not sent yet stay in {QUEUE}. To send them, apply postfix_smarthost again" in comment
    assert mounts(qube) == []
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    made = {
        "/rw/bind-dirs",
        "/rw/config/rc.local.d",
        "/rw/usrlocal/bin",
        "/rw/usrlocal/etc",
        "/rw/usrlocal/share",
    }
    left = {
        path
        for path in {*qube.tree("/rw", "/etc")} - {*untouched}
        if not path.startswith(("/rw/bind-dirs/", "/rw/home/user/.maildir"))
    }
    assert left <= made, left
    patterns = ["-e", ALICE.password, "-e", BOB.password]
    found = qube.run("grep", "-rlsaF", *patterns, "/rw", "/etc", "/var", "/root", "/tmp", "/run", check=False)
    assert found.stdout == ""
    assert qube.apply("postfix_smarthost.clean").check().changed == []

    qube.restart()
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    assert mounts(qube) == []

    qube.pillar = pillar(ALICE, BOB)
    qube.apply("postfix_smarthost").check()
    qube.run("postqueue", "-f")
    for subject in subjects:
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
        assert len(relay_a.received(subject)) == 1
    assert mx.connections() == []


def test_a_qube_is_cleaned_while_mail_is_handed_in(new_qube: Callable[..., Qube]) -> None:
    """Whoever hands mail in keeps the queue busy; and the timer has nothing to run any more."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    slow = f"(sleep 20; echo) | sendmail -i -f {ALICE.address} {RECIPIENT}"
    qube.run("systemd-run", "--unit=slow", "--uid=user", "sh", "-c", slow)
    qube.wait_for(lambda: qube.run("pgrep", "-x", "postdrop", check=False).stdout, "postdrop to run")
    said = direct.run(qube, "postfix_smarthost.remove")
    assert said.error is None
    assert said.changes["stopped"] == ["postfix", "postfix-smarthost-uplink.timer"]
    assert said.changes["unmounted"] == ["/etc/postfix", "/var/spool/postfix"]
    assert mounts(qube) == []
    assert qube.run("test", "-e", "/usr/local/etc/postfix", check=False).returncode == 1
    assert (
        qube.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "postfix-smarthost*").stdout
        == ""
    )
    assert direct.run(qube, "postfix_smarthost.remove").changes == {}


def test_a_queue_that_was_left_and_one_made_by_hand_since_are_both_sent(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    """The second was once covered by the first, and lost at shutdown."""
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    subjects = [unique("left"), unique("by-hand"), unique("by-hand")]
    relay_a.stop()
    try:
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subjects[0])
        qube.wait_for(
            lambda: [mail for mail in qube.queue() if mail["queue_name"] == "deferred"], "it to wait"
        )
        # By hand: as it was, on the queue of the template.
        qube.run("cp", "-a", "/usr/local/etc/postfix", "/root/by-hand")
        assert direct.run(qube, "postfix_smarthost.remove").error is None
        qube.run("sh", "-c", "mount --bind /root/by-hand /etc/postfix && systemctl start postfix")
        for subject in subjects[1:]:
            qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        qube.wait_for(lambda: len(qube.queue()) == 2, "the others to wait")
        qube.run("umount", "--lazy", "/etc/postfix")
        assert direct.run(qube).error is None
        assert len(qube.queue()) == 3
    finally:
        relay_a.start()
    qube.restart()
    qube.run("postqueue", "-f")
    for subject in subjects:
        assert relay_a.wait_for(subject, 90, diagnosis=qube.diagnosis).login == ALICE.login
        assert len(relay_a.received(subject)) == 1
    assert mx.connections() == []


def test_an_empty_queue_goes_and_files_of_others_stay(new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    qube.write("/usr/local/etc/postfix/notes", "mine\n")
    said = direct.run(qube, "postfix_smarthost.remove")
    assert said.result["notes"] == [
        "Files that the formula does not use stay in /usr/local/etc/postfix: notes.",
    ]
    assert qube.run("ls", "-A", "/usr/local/etc/postfix").stdout == "notes\n"
    assert qube.run("test", "-e", QUEUE, check=False).returncode == 1


def test_what_is_half_gone_is_cleaned(new_qube: Callable[..., Qube]) -> None:
    """As after a cleaning that was killed, or one by hand."""
    qube = new_qube(pillar=pillar(ALICE))
    for gone in (
        "systemctl stop postfix; umount /etc/postfix /var/spool/postfix",
        "rm -r /rw/config/rc.local.d",
        "rm -r /usr/local/etc/postfix/*",
    ):
        assert direct.run(qube).error is None
        qube.run("sh", "-c", gone)
        assert direct.run(qube, "postfix_smarthost.remove").error is None
        assert mounts(qube) == []
        for path in ("/usr/local/etc/postfix", direct.BOOT_SCRIPT, QUEUE):
            assert qube.run("test", "-e", path, check=False).returncode == 1
        assert direct.run(qube, "postfix_smarthost.remove").changes == {}


def test_a_template_is_cleaned_and_can_be_prepared_again(prepared: Template, lab: Lab) -> None:
    template = prepared.clone("debian-13-cleaned")
    try:
        template.start()
        predicted = template.apply("postfix_smarthost.clean", test=True).check()
        applied = template.apply("postfix_smarthost.clean").check()
        assert applied.changed == predicted.predicted
        status = template.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "postfix", check=False).stdout
        assert status != "installed"
        assert "root:" not in template.read("/etc/aliases")
        assert template.apply("postfix_smarthost.clean").check().changed == []
        template.apply("postfix_smarthost").check()
        assert template.apply("postfix_smarthost").check().changed == []
        assert template.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    finally:
        lab.remove(template)


def test_dom0_is_not_cleaned(new_qube: Callable[..., Qube]) -> None:
    dom0 = new_qube(type="admin")
    before = dom0.tree("/rw", "/etc")
    applied = dom0.apply("postfix_smarthost.clean").check()
    assert (applied.changed, len(applied.states)) == ([], 1)
    assert dom0.tree("/rw", "/etc") == before
