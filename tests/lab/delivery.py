# SPDX-License-Identifier: Apache-2.0
"""Send a message and see it arrive; send many from a qube whose power is cut again and again, and account for each."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .accounts import ALICE, RECIPIENT, SALLY, Account, unique

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube
    from .relay import Relay

# The queue as it lasts, below /rw, and what of it holds messages.
_QUEUE = "bind-dirs/var/spool/postfix"
_MESSAGES = ("maildrop", "incoming", "active", "deferred")

# Says of each message that it was taken, as soon as sendmail(1) has said so.
_SEND = """\
import subprocess, sys
sender, recipient, *subjects = sys.argv[1:]
for subject in subjects:
    text = f"From: {sender}\\nTo: {recipient}\\nSubject: {subject}\\n\\nOne of many.\\n"
    done = subprocess.run(["sendmail", "-i", "-f", sender, recipient], input=text, text=True)
    if done.returncode == 0:
        print(subject, flush=True)
"""


def assert_delivers(qube: Qube, relay: Relay, account: Account = ALICE) -> None:
    """Send a message, and wait until the relay has got it by the login of its account.

    Args:
        qube: who sends.
        relay: of the account.
        account: whose address is the sender.

    """
    subject = unique()
    qube.send(sender=account.address, to=RECIPIENT, subject=subject)
    mail = relay.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (account.login, account.address)


@dataclass
class Reckoning:
    """What became of the messages.

    Args:
        sent: the subjects that sendmail(1) has taken, with exit code 0.
        kills: when the power was cut, in seconds since the epoch.
        waiting: how many messages the queue held at each kill.
        offline: how many of the kills came while there was no network.
        arrived: subject -> when the relay got it, each time.

    """

    sent: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    offline: int = 0
    arrived: dict[str, list[float]] = field(default_factory=dict)

    @property
    def lost(self) -> list[str]:
        """What was taken and did not arrive."""
        return [subject for subject in self.sent if subject not in self.arrived]

    @property
    def duplicated(self) -> list[str]:
        """What arrived more than once."""
        return [subject for subject, times in self.arrived.items() if len(times) > 1]

    @property
    def unexplained(self) -> list[str]:
        """What arrived more often than SMTP allows.

        A client that dies after the relay has accepted a message, and before its own queue says so, sends
        it once more (RFC 5321 4.5.4.1, 6.1): between two copies there has to be a kill.
        """
        return [
            subject
            for subject in self.duplicated
            if not all(
                any(first < kill < second for kill in self.kills)
                for first, second in zip(self.arrived[subject], self.arrived[subject][1:], strict=False)
            )
        ]

    def __str__(self) -> str:
        busy = sum(count > 1 for count in self.waiting)
        return (
            f"{len(self.sent)} messages sent, {len(self.kills)} kills ({self.offline} of them offline),"
            f" {len(self.lost)} lost, {len(self.duplicated)} duplicated, {len(self.unexplained)} of them unexplained;"
            f" queued at the kills: {self.waiting}, more than one at {busy}"
        )


def slow_relay(lab: Lab) -> Relay:
    """Return the relay of SALLY, which takes its time for each message: a power cut then finds some on their way.

    Args:
        lab: where.

    """
    # Seconds, before the text of each message (SMTPD_ACCESS_README).
    return lab.relay(SALLY.relay, settings={"smtpd_data_restrictions": "sleep 1"})


def send_through_kills(qube: Qube, relay: Relay, messages: int, kills: int, seed: int) -> Reckoning:
    """Send messages from a qube, cut its power at random moments meanwhile, and wait until its queue is empty.

    At each third kill the qube is offline, and comes back online with the next start.

    Args:
        qube: a mail qube with the account SALLY, running.
        relay: her relay.
        messages: how many to send at least; one whose sendmail(1) was killed is not counted.
        kills: how often the power is cut.
        seed: of the random moments.

    """
    moments = random.Random(seed)  # noqa: S311 - not for secrets
    reckoning = Reckoning()
    mark = unique("many")
    batch = -(-messages // (kills + 1))
    number = 0
    while len(reckoning.sent) < messages:
        count = min(batch, messages - len(reckoning.sent))
        subjects = [f"{mark}-{number + i}" for i in range(count)]
        number += count
        kill = len(reckoning.kills) < kills
        offline = kill and len(reckoning.kills) % 3 == 2
        if offline:
            qube.network("down")
        sending = threading.Thread(target=_send, args=(qube, subjects, reckoning.sent))
        sending.start()
        if kill:
            time.sleep(moments.uniform(0.2, 5))
            reckoning.kills.append(time.time())
            qube.kill()
            sending.join()
            reckoning.waiting.append(
                sum(path.is_file() for part in _MESSAGES for path in (qube.rw / _QUEUE / part).rglob("*"))
            )
            reckoning.offline += offline
            qube.network("up")
            qube.start()
        else:
            sending.join()
    qube.wait_for(lambda: not qube.queue(), "the queue to be empty", 900, pause=1)
    # The relay, too, keeps a message only some time after it has accepted it.
    deadline = time.monotonic() + 60
    while True:
        arrivals = sorted(
            (mail.time, mail.subject) for mail in relay.received() if mail.subject.startswith(mark)
        )
        reckoning.arrived = {subject: [] for _, subject in arrivals}
        for when, subject in arrivals:
            reckoning.arrived[subject].append(when)
        if not reckoning.lost or time.monotonic() > deadline:
            return reckoning
        time.sleep(1)


def _send(qube: Qube, subjects: list[str], taken: list[str]) -> None:
    arguments = ("python3", "-c", _SEND, SALLY.address, RECIPIENT, *subjects)
    done = qube.run(*arguments, user="user", check=False, timeout=600)
    seen = Counter(done.stdout.split())
    taken.extend(subject for subject in subjects if seen[subject])
