# SPDX-License-Identifier: Apache-2.0
"""What became of a message: what the user is told of it, and what of it the relay has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .qube import Qube
    from .relay import MX, Mail, Relay


def told(qube: Qube, subject: str, what: str = "Undelivered Mail") -> str:
    """Wait for a report on a message in the user's maildir, and return its text with single blanks.

    Args:
        qube: who sent it.
        subject: of the message.
        what: stands in the subject of the report.

    """

    def look() -> str:
        reports = [mail for mail in qube.maildir() if what in str(mail["Subject"])]
        return next((str(mail) for mail in reports if subject in str(mail)), "")

    return " ".join(qube.wait_for(look, f"a report on {subject}").split())


def reason(qube: Qube, sender: str) -> str:
    """Return why the mail of a sender waits, as soon as it does, and delete it.

    Args:
        qube: where it waits.
        sender: who has one message in the queue.

    """

    def deferred() -> list[tuple[str, str]]:
        mails = [
            mail for mail in qube.queue() if (mail["sender"], mail["queue_name"]) == (sender, "deferred")
        ]
        return [(mail["queue_id"], mail["recipients"][0]["delay_reason"]) for mail in mails]

    ((queue_id, why),) = qube.wait_for(deferred, f"the mail of {sender} in the queue")
    qube.run("postsuper", "-d", queue_id)
    return str(why)


def refused(qube: Qube, subject: str, *hosts: Relay | MX) -> str:
    """Wait until the user is told of a message, check that no host has it and none waits; return the report.

    Args:
        qube: who sent it.
        subject: of the message.
        hosts: where it must not be.

    """
    report = told(qube, subject)
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert [host.name for host in hosts if host.received(subject)] == []
    return report


def head(mail: Mail) -> str:
    """Return the header of a message as it was handed to the relay, which has put its own Received before it."""
    own, _, rest = mail.raw.decode("utf-8", "surrogateescape").partition("\n\n")[0].partition("; ")
    assert own.startswith("Received:")
    return rest.partition("\n")[2] + "\n"
