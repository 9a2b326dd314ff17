# SPDX-License-Identifier: Apache-2.0
"""An alias that leads out of the qube: whoever sent the mail, it leaves by the default account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

ALIASES = f"""\
root: user, {RECIPIENT}
away: {RECIPIENT}
both: user, {RECIPIENT}
chain: away
several: {RECIPIENT}, {ALICE.address}
"""


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Qube:
    """Give a qube with aliases that lead out."""
    assert relay_a.running
    assert relay_b.running
    made = lab.qube("mail-aliases", template=prepared, pillar=pillar(BOB, ALICE.record(default=True), ANN))
    made.apply("postfix_smarthost").check()
    made.write("/etc/aliases", ALIASES)
    made.run("postalias", "hash:/etc/aliases")
    return made


def fetch(to: str) -> Callable[[Qube, str], object]:
    """Mail of a stranger, as fetchmail brings it in."""
    return lambda qube, subject: qube.send_smtp(
        to=f"{to}@localhost", sender="stranger@far.test", subject=subject
    )


WAYS: dict[str, Callable[[Qube, str], object]] = {
    "root's own": lambda qube, subject: qube.send(to="root", subject=subject, user="root"),
    "of another account": lambda qube, subject: qube.send(to="away", subject=subject, sender=BOB.address),
    "of no account": lambda qube, subject: qube.send(to="away", subject=subject, sender="other@c.test"),
    "fetched for root": fetch("root"),
    "fetched": fetch("away"),
    "fetched, by an alias of an alias": fetch("chain"),
    "fetched, for two": fetch("several"),
    "with an extension": lambda qube, subject: qube.send(to="away", subject=subject, sender="alice+x@a.test"),
}


@pytest.mark.parametrize("way", WAYS)
def test_mail_to_an_alias_that_leads_out(qube: Qube, relay_a: Relay, mx: MX, way: str) -> None:
    subject = unique()
    WAYS[way](qube, subject)
    mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    qube.wait_for(lambda: qube.queue() == [], "the queue to be empty")
    assert RECIPIENT in {to for copy in relay_a.received(subject) for to in copy.recipients}
    assert mx.connections() == []
    mine = [message for message in qube.maildir() if subject in message.as_string()]
    # And no report that it could not be sent on.
    assert [message["Subject"] for message in mine] == ([subject] if "root" in way else [])


def test_header_of_who_wrote_it_stays(qube: Qube, relay_a: Relay) -> None:
    subject = unique()
    fetch("away")(qube, subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).message["From"] == "stranger@far.test"


def test_report_is_not_sent_on(qube: Qube, relay_a: Relay) -> None:
    """What has no sender would come back without end, were it refused."""
    subject = unique()
    qube.send_smtp(to="both@localhost", sender="", subject=subject)
    qube.wait_for(lambda: qube.queue() == [], "the queue to be empty")
    assert [m["Return-Path"] for m in qube.maildir() if m["Subject"] == subject] == ["<>", "<>"]
    assert relay_a.received(subject) == []
