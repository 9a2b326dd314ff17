# SPDX-License-Identifier: Apache-2.0
"""Fetching when something is wrong: passwords, networks, disks, copies of a qube, and power that is cut."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, pillar, unique
from .container import wait_for
from .fetching import (
    HOME,
    UNIT,
    applied,
    arrived,
    comes,
    fetch_notes,
    message,
    put,
    record,
    runs,
    status_of,
)
from .mailbox import Mailbox
from .outages import dead_name_service
from .search import forms, holding
from .test_secrets import everywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

SECRET = "fetched-with-" + "s3cret-7d1f"


@pytest.fixture(scope="module")
def qube(fetching_qube: Callable[..., Qube]) -> Qube:
    return fetching_qube()


def refusals(mailbox: Mailbox) -> list[str]:
    return [line for line in mailbox.keeps() if "Login aborted" in line or "auth failed" in line]


def test_refused_login_is_told_once_and_not_repeated(qube: Qube, mailbox: Mailbox) -> None:
    """A provider shuts out who insists. The right password counts at once."""
    subject = put(mailbox)
    applied(qube, record(mailbox, password="wrong"))
    qube.wait_for(lambda: "refuses" in qube.journal(UNIT), "its reason")
    reason = f"{ALICE.relay} refuses the user name or the password"
    status = qube.run(direct.PROGRAM, "status", check=False)
    assert status.returncode == 1
    assert f"Mail of {ALICE.address} is not fetched: {reason}: fix qubes.yaml and apply." in status.stdout
    assert status_of(qube)["accounts"][ALICE.address]["fetch"]["reason"] == reason
    time.sleep(15)
    assert len(refusals(mailbox)) == 1, mailbox.keeps()
    assert qube.journal(UNIT).count("refuses") == 1
    verify = qube.run(direct.PROGRAM, "verify", check=False)
    assert verify.returncode == 1
    assert f"{ALICE.address} (fetch): {reason}: fix qubes.yaml and apply" in verify.stdout
    applied(qube, record(mailbox))
    qube.wait_for(lambda: arrived(qube, subject), "the message")
    good = qube.run(direct.PROGRAM, "verify")
    assert f"{ALICE.address} (fetch): its mail is fetched from {ALICE.relay} port 993" in good.stdout


_NOTIFIER = '#!/bin/sh\necho "$@" >>/tmp/notes\n'


def test_refused_login_is_told_on_the_desktop(qube: Qube, mailbox: Mailbox) -> None:
    qube.write("/usr/bin/notify-send", _NOTIFIER, mode="0755")
    qube.write("/tmp/notes", "", mode="0666")
    applied(qube, record(mailbox, password="wrong"))
    qube.run(
        "sh", "-c", "mkdir -p /run/user/1000; touch /run/user/1000/bus; rm -f /run/postfix-smarthost/looked"
    )
    try:
        told = qube.wait_for(lambda: qube.read("/tmp/notes"), "a note", 60)
        assert f"Mail of {ALICE.address} is not fetched: {ALICE.relay} refuses the user name" in told
        qube.run(direct.PROGRAM, "notify")
        assert qube.read("/tmp/notes") == told
    finally:
        qube.run("sh", "-c", "rm -rf /usr/bin/notify-send /run/user/1000 /tmp/notes")


def test_mail_that_postfix_does_not_take_stays_and_comes_later(qube: Qube, mailbox: Mailbox) -> None:
    """As with a full disk; nobody else has to bring new mail for it."""
    applied(qube, record(mailbox))
    comes(qube, mailbox)
    try:
        qube.run("postconf", "-e", f"queue_minfree = {10**14}")
        qube.run("touch", "-d", "-1 minute", "/etc/postfix/main.cf")
        qube.run("postfix", "reload")
        subject = put(mailbox)
        qube.wait_for(lambda: "full or nearly so" in qube.journal(UNIT), "its reason", 120)
        assert mailbox.names() == [subject]
        assert arrived(qube, subject) == 0
    finally:
        assert direct.run(qube).error is None
    qube.wait_for(lambda: arrived(qube, subject), "the message", 120)
    qube.wait_for(lambda: mailbox.names() == [], "an empty mailbox")
    assert arrived(qube, subject) == 1


def test_message_that_is_refused_stays_and_the_rest_goes_on(qube: Qube, mailbox: Mailbox) -> None:
    """Nothing is bounced to its sender, who is often not who it says."""
    applied(qube, record(mailbox))
    comes(qube, mailbox)
    refused, *others = [unique() for _ in range(4)]
    bad = message(refused).replace(b"friend@far.test", b"bad@far.test")
    try:
        qube.run(
            "postconf", "-e", "smtpd_sender_restrictions = check_sender_access inline:{bad@far.test=REJECT}"
        )
        qube.run("touch", "-d", "-1 minute", "/etc/postfix/main.cf")
        qube.run("postfix", "reload")
        mailbox.put_all({refused: bad, **{subject: message(subject) for subject in others}})
        for subject in others:
            qube.wait_for(lambda subject=subject: arrived(qube, subject), "the message", 60)
        qube.wait_for(lambda: "Postfix does not take" in qube.journal(UNIT), "its reason", 60)
        assert mailbox.names() == [refused]
    finally:
        assert direct.run(qube).error is None
    qube.wait_for(lambda: arrived(qube, refused), "the message", 120)
    assert qube.queue() == []


def test_network_is_waited_for_without_a_word(lab: Lab, qube: Qube, mailbox: Mailbox) -> None:
    applied(qube, record(mailbox))
    comes(qube, mailbox)
    subject = put(mailbox)
    qube.shutdown()
    with dead_name_service(lab):
        qube.start()
        qube.wait_for(lambda: runs(qube), "the service")
        time.sleep(10)
        assert [line for line in qube.journal(UNIT).splitlines() if "postfix-smarthost[" in line] == []
    qube.wait_for(lambda: arrived(qube, subject), "the message", 120)
    with contextlib.suppress(AssertionError):
        qube.network("down")
    qube.network("up")
    comes(qube, mailbox, timeout=180)


def test_users_own_fetchmailrc_is_left_alone_and_told(qube: Qube, mailbox: Mailbox) -> None:
    own = "poll smtp.b.test protocol imap\n"
    qube.write(f"{HOME}/.fetchmailrc", own, mode="0600", owner="user:user")
    try:
        said = applied(qube, record(mailbox))
        (note,) = [note for note in said.result["notes"] if "fetchmailrc" in note]
        assert note.startswith(
            f"{HOME}/.fetchmailrc stays as it is, and nothing here starts fetchmail with it"
        )
        comes(qube, mailbox)
        assert qube.read(f"{HOME}/.fetchmailrc") == own
    finally:
        qube.run("rm", f"{HOME}/.fetchmailrc")


def test_template_without_fetchmail_is_told_before_anything_changes(
    new_qube: Callable[..., Qube], prepared: Template, mailbox: Mailbox
) -> None:
    qube = new_qube(template=prepared, pillar=pillar(record(mailbox)))
    said = direct.run(qube)
    told = f"fetchmail is not installed in this qube: give its template {prepared.name} packages: [fetchmail]"
    assert told in str(said.error)
    assert qube.run("ls", "-A", "/usr/local/etc", check=False).stdout == ""


def test_secrets_of_fetching_are_in_its_file_alone(qube: Qube, relay_a: Relay) -> None:
    box = Mailbox(relay_a, unique("secret"), password=SECRET)
    applied(qube, record(box))
    comes(qube, box)
    qube.run(direct.PROGRAM, "verify")
    qube.run(direct.PROGRAM, "status", check=False)
    applied(qube, record(box, tls={"fingerprint": [relay_a.certificate.fingerprint]}))
    comes(qube, box)
    found = holding(qube, SECRET)
    assert {path.rpartition("/")[2] for path in found} == {"fetchmailrc"}, found
    assert {tuple(facts[:3]) for facts in found.values()} == {("0600", 1000, 1000)}
    for place, text in everywhere(qube).items():
        assert not any(word in text for word in forms(SECRET)), place


@pytest.fixture
def fetches(fetching_qube: Callable[..., Qube], lab: Lab) -> Iterator[Qube]:
    """Give a qube of its own."""
    made = fetching_qube()
    yield made
    made.shutdown()


def test_copies_of_a_qube_leave_its_mailbox_alone(lab: Lab, fetches: Qube, mailbox: Mailbox) -> None:
    """Neither a disposable, in which mail would be lost, nor a clone before it is applied to."""
    applied(fetches, record(mailbox), disposables=True)
    comes(fetches, mailbox)
    fetches.shutdown()
    clone, disposable = fetches.clone(unique("clone")), fetches.disposable(unique("disp"))
    clone.start()
    disposable.start()
    subject = put(mailbox)
    time.sleep(10)
    assert (runs(clone), runs(disposable)) == (False, False)
    assert mailbox.names() == [subject]
    (note,) = fetch_notes(clone)
    assert note.startswith("Mail is not fetched, as this qube is a copy of another one.")
    clone.restart()
    assert not runs(clone)
    assert mailbox.names() == [subject]
    clone.pillar = pillar(record(mailbox), disposables=True)
    direct.run(clone)
    clone.wait_for(lambda: arrived(clone, subject), "the message")
    lab.remove(disposable)
    lab.remove(clone)


def test_cleaning_takes_it_all_back(fetches: Qube, mailbox: Mailbox) -> None:
    applied(fetches, record(mailbox, protocol="pop3", keep=True))
    comes(fetches, mailbox)
    fetches.wait_for(
        lambda: fetches.run("ls", f"{HOME}/.local/state/postfix-smarthost").stdout, "the IDs", 30
    )
    mail = fetches.run("find", f"{HOME}/.maildir", "-type", "f").stdout
    removed = direct.run(fetches, "postfix_smarthost.remove")
    assert removed.error is None
    assert not runs(fetches)
    look = "find / -xdev -newer /proc/1 \\( -name '*fetch*' -o -path '*/state/postfix-smarthost*' \\)"
    look += " ! -path '/run/lab-*'"
    left = fetches.run("sh", "-c", f"{look} ! -path '/proc/*' ! -path '/run/systemd/*'", check=False).stdout
    assert left == ""
    assert fetches.run("find", f"{HOME}/.maildir", "-type", "f").stdout == mail
    assert direct.run(fetches, "postfix_smarthost.remove").changes == {}


def _told(qube: Qube) -> str:
    """Return what the service says."""
    log = qube.run("journalctl", "-b", "-o", "short-precise", "-u", UNIT, check=False).stdout
    return f"{status_of(qube)}\n{log}\n{qube.run('ps', 'axww', check=False).stdout}"


@pytest.mark.parametrize(
    ("protocol", "cuts"),
    [
        ("imap", 1),
        *(pytest.param(protocol, 20, marks=pytest.mark.soak) for protocol in ("imap", "pop3")),
    ],
)
def test_nothing_is_lost_when_the_power_is_cut(
    fetches: Qube, mailbox: Mailbox, protocol: str, cuts: int
) -> None:
    """What Postfix had taken and the server had not deleted yet comes again: one message a cut, over POP3 a session."""
    applied(fetches, record(mailbox, protocol=protocol))
    seed = random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    subjects: list[str] = []
    for _ in range(cuts):
        batch = [unique() for _ in range(40)]
        mailbox.put_all({subject: message(subject, 20_000) for subject in batch})
        subjects += batch
        left = len(mailbox.names())
        wait_for(
            lambda left=left: len(mailbox.names()) < left,
            "the first one",
            120,
            diagnosis=lambda: _told(fetches),
        )
        time.sleep(moments.uniform(0, 0.5))
        fetches.kill()
        fetches.start()
    fetches.wait_for(lambda: mailbox.names() == [], "an empty mailbox", 120)
    fetches.wait_for(lambda: not fetches.queue(), "an empty queue", 60)
    counts = [arrived(fetches, subject) for subject in subjects]
    assert min(counts) == 1, seed
    again = sum(counts) - len(subjects)
    assert again <= cuts * (1 if protocol == "imap" else 50), seed
    print(f"{protocol}: {len(subjects)} messages, {cuts} cuts, {again} came twice")
