# SPDX-License-Identifier: Apache-2.0
"""The template side besides packages: no second way to hand mail in, Postfix off for good, all of it taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

PROCMAIL = "/usr/bin/procmail"
PRESET = "/etc/systemd/system-preset/10-postfix-smarthost.preset"
OFFLINE = {"DEBIAN_FRONTEND": "noninteractive"}


def mode(template: Template) -> str:
    return template.run("stat", "-c", "%a %U %G", PROCMAIL).stdout.strip()


@pytest.fixture(scope="module")
def template(lab: Lab, prepared: Template) -> Iterator[Template]:
    """Give a prepared template, running, whose tests come in the order of its life."""
    made = prepared.clone(unique("side"))
    made.start()
    made.run("apt-get", "-qq", "update")
    yield made
    lab.remove(made)


def reinstall(template: Template, *packages: str) -> None:
    template.run("apt-get", "-qq", "-y", "install", "--reinstall", *packages, env=OFFLINE)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay) -> Qube:
    """Give a qube that sorts mail, by which procmail has most to do."""
    assert relay_a.running
    lists = [{"list_id": "users.lists.test", "folder": "users"}]
    made = lab.qube(unique("mail"), template=prepared, pillar=pillar(ALICE, lists=lists))
    made.apply("postfix_smarthost").check()
    return made


@pytest.mark.parametrize("sorter", ["", ":0\n$HOME/.maildir/\n", f":0c\n! {RECIPIENT}\n"])
def test_no_other_user_hands_mail_in_by_procmail(qube: Qube, relay_a: Relay, mx: MX, sorter: str) -> None:
    qube.write("/home/user/.procmailrc", sorter, owner="user:user")
    subject = unique()
    message = f"From: x@y.test\nTo: user\nSubject: {subject}\n\nhi\n"
    for command in (("-d", "user"), ("-d", "root"), ("-Y", "-d", "user"), ("-t", "-o", "-d", "user")):
        for user in ("nobody", "www-data"):
            done = qube.run(PROCMAIL, *command, stdin=message, user=user, check=False)
            assert done.returncode == 77, (command, user, done)
    assert qube.run("grep", "-rlF", subject, "/home", "/var/mail", "/var/spool", check=False).stdout == ""
    # The user's own mail goes on: the relay would have had the other one before.
    own = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=own)
    relay_a.wait_for(own, diagnosis=qube.diagnosis)
    assert relay_a.received(subject) == []
    assert mx.connections() == []


def test_upgrades_leave_procmail_without_rights_and_postfix_off(template: Template) -> None:
    assert mode(template) == "755 root root"
    reinstall(template, "procmail", "postfix")
    assert mode(template) == "755 root root"
    assert template.run("systemctl", "is-enabled", "postfix", check=False).stdout == "disabled\n"
    # What scripts of packages do at an upgrade.
    template.run("systemctl", "preset", "postfix")
    assert template.run("systemctl", "is-enabled", "postfix", check=False).stdout == "disabled\n"
    assert template.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    assert template.apply("postfix_smarthost").check().changed == []


def test_clean_takes_all_of_it_back(template: Template) -> None:
    predicted = template.apply("postfix_smarthost.clean", test=True).check().predicted
    assert mode(template) == "755 root root"
    assert template.apply("postfix_smarthost.clean").check().changed == predicted
    assert mode(template) == "6755 root mail"
    assert template.run("dpkg-statoverride", "--list", PROCMAIL, check=False).stdout == ""
    for path in (PRESET, "/etc/postfix/main.cf"):
        assert template.run("test", "-e", path, check=False).returncode == 1, path


def test_what_is_the_user_s_own_stays(template: Template) -> None:
    """An override that keeps the bits off, and a main.cf: the formula neither changes nor removes them."""
    mine = "# mine\ncompatibility_level = 3.6\n"
    template.write("/etc/postfix/main.cf", mine)
    template.run("dpkg-statoverride", "--update", "--add", "root", "mail", "0750", PROCMAIL)
    template.apply("postfix_smarthost").check()
    template.apply("postfix_smarthost.clean").check()
    assert template.run("dpkg-statoverride", "--list", PROCMAIL).stdout == f"root mail 750 {PROCMAIL}\n"
    assert template.read("/etc/postfix/main.cf") == mine
