# SPDX-License-Identifier: Apache-2.0
"""What is queued outlives restarts, kills, weeks off and the want of a network, and arrives once."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, SALLY, pillar, unique
from .delivery import send_through_kills, slow_relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

DAY = 24 * 60 * 60

# Puts the time at which a message came into the past, wherever its queue file has it (record T, attribute create_time).
_AGE = """\
import glob, re, sys
(path,) = glob.glob("/var/spool/postfix/deferred/**/" + sys.argv[1], recursive=True)
with open(path, "rb") as file:
    content = file.read()
came = re.search(rb"T.([0-9]{10}) ", content)[1]
with open(path, "r+b") as file:
    file.write(content.replace(came, str(int(came) - int(sys.argv[2])).encode()))
"""


@pytest.fixture(scope="module")
def mail_qube(lab: Lab, prepared: Template, relay_a: Relay) -> Iterator[Qube]:
    """Give a mail qube whose queue is empty between the tests."""
    assert relay_a.running
    qube = lab.qube(unique("mail-queue"), template=prepared, pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    yield qube
    lab.remove(qube)


def send(qube: Qube) -> str:
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    return subject


def deferred(qube: Qube) -> list[dict]:
    return [mail for mail in qube.queue() if mail["queue_name"] == "deferred"]


def test_nothing_is_lost_by_kills(lab: Lab, new_qube: Callable[..., Qube]) -> None:
    seed = secrets.randbits(32)
    relay = slow_relay(lab)
    qube = new_qube(pillar=pillar(SALLY))
    assert direct.run(qube).error is None
    reckoning = send_through_kills(qube, relay, messages=60, kills=3, seed=seed)
    print(f"seed {seed}: {reckoning}")
    assert len(reckoning.sent) >= 60
    assert len(reckoning.kills) == 3
    assert max(reckoning.waiting) > 1
    assert reckoning.lost == reckoning.unexplained == []


@pytest.mark.parametrize("stop", ["restart", "kill"])
@pytest.mark.parametrize("away", ["relay", "network"])
def test_mail_that_waits_outlives_the_end_of_the_qube(
    mail_qube: Qube, relay_a: Relay, away: str, stop: str
) -> None:
    if away == "relay":
        relay_a.stop()
    else:
        mail_qube.network("down")
    try:
        subject = send(mail_qube)
        mail_qube.wait_for(lambda: deferred(mail_qube), "the mail to be deferred")
        if stop == "kill":
            mail_qube.kill()
            mail_qube.start()
        else:
            mail_qube.restart()
        assert len(mail_qube.queue()) == 1
    finally:
        if away == "relay":
            relay_a.start()
        else:
            mail_qube.network("up")
    relay_a.wait_for(subject, 90, diagnosis=mail_qube.diagnosis)
    mail_qube.wait_for(lambda: not mail_qube.queue(), "the queue to be empty")
    assert len(relay_a.received(subject)) == 1


def test_a_week_off_and_then_offline_bounces_nothing(mail_qube: Qube, relay_a: Relay, mx: MX) -> None:
    mail_qube.network("down")
    try:
        subjects, ids = {}, {}
        for age in (8 * DAY, 29 * DAY, 31 * DAY):
            subjects[age] = send(mail_qube)
            # The order of queue IDs is not that of their messages.
            (ids[age],) = mail_qube.wait_for(
                lambda: {mail["queue_id"] for mail in deferred(mail_qube)} - {*ids.values()},
                "the mail to be deferred",
            )
        mail_qube.run("systemctl", "stop", "postfix")
        for age, queue_id in ids.items():
            mail_qube.run("python3", "-c", _AGE, queue_id, str(age))
        mail_qube.restart()
        mail_qube.run("postqueue", "-f")

        def bounced() -> list[str]:
            reports = [mail.as_string() for mail in mail_qube.maildir()]
            return [subject for subject in subjects.values() if any(subject in text for text in reports)]

        # That of a month is given up at the first attempt: the others were tried too.
        mail_qube.wait_for(bounced, "the report on the oldest mail", 150)
        mail_qube.wait_for(lambda: len(deferred(mail_qube)) == 2, "the others to be deferred again", 150)
        assert bounced() == [subjects[31 * DAY]]
    finally:
        mail_qube.network("up")
    for age in (8 * DAY, 29 * DAY):
        relay_a.wait_for(subjects[age], 90, diagnosis=mail_qube.diagnosis)
    assert mx.connections() == []


def test_the_uplink_starts_mail_that_had_backed_off(mail_qube: Qube, relay_a: Relay) -> None:
    """Postfix alone would wait for up to maximal_backoff_time, 15 minutes."""
    mail_qube.network("down")
    try:
        subject = send(mail_qube)
        (mail,) = mail_qube.wait_for(lambda: deferred(mail_qube), "the mail to be deferred")
        # The time of a file in the queue is when it is tried next (qmgr(8)).
        path = mail_qube.run("find", "/var/spool/postfix/deferred", "-name", mail["queue_id"]).stdout.strip()
        next_try = int(time.time()) + 900
        mail_qube.run("touch", "-d", f"@{next_try}", path)
    finally:
        up = time.time()
        mail_qube.network("up")
    got = relay_a.wait_for(subject, 90, diagnosis=mail_qube.diagnosis)
    # Not a measure of speed: without a look at the uplink it would take those 15 minutes.
    assert got.time < up + 60 < next_try


def test_a_relay_that_refuses_is_not_asked_again_and_again(
    lab: Lab, new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    qube = new_qube(pillar=pillar(ALICE.record(password="wrong")))
    assert direct.run(qube).error is None
    before = len(relay_a.logins())
    send(qube)
    qube.wait_for(lambda: deferred(qube), "the mail to be deferred")
    attempts = len(relay_a.logins())
    assert attempts > before
    qube.run("/rw/config/rc.local.d/50-postfix-smarthost.rc", "uplink")
    assert deferred(qube) == qube.queue()
    assert len(relay_a.logins()) == attempts
