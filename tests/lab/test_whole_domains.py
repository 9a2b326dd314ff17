# SPDX-License-Identifier: Apache-2.0
"""A sender may be a whole domain, and what extends a listed address belongs to its account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .outcome import refused

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

# ALICE has a domain of her own, of which BOB has one address.
DOMAIN = "own.example"
EXCEPT = f"bob@{DOMAIN}"
SENDERS = {
    f"alice@{DOMAIN}": ALICE,
    f"any.thing@{DOMAIN}": ALICE,
    f"shop+extension@{DOMAIN}": ALICE,
    f"UPPER@{DOMAIN.upper()}": ALICE,
    f"alicia@{DOMAIN}": ALICE,
    EXCEPT: BOB,
    f"bob+list@{DOMAIN}": BOB,
    "alice+x@a.test": ALICE,
    "bob+x+y@b.test": BOB,
    "me+a@alias.example": BOB,
}
STRANGERS = (f"x@sub.{DOMAIN}", f"x@not{DOMAIN}", "ali+ce@a.test", "+alice@a.test", "me@sub.alias.example")


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay, mx: MX) -> Qube:
    assert mx.running
    for relay, account in ((relay_a, ALICE), (relay_b, BOB)):
        # As some providers do, and so that it is the qube that is tested.
        mine = [sender.lower() for sender, whose in SENDERS.items() if whose is account]
        relay.set_user(account.login, account.password, [account.address, *mine])
    made = lab.qube("mail-domains", template=prepared)
    made.pillar = pillar(
        ALICE.record(senders=[f"@{DOMAIN}"]), BOB.record(senders=[EXCEPT.upper(), "me@alias.example"])
    )
    assert direct.run(made).error is None
    return made


@pytest.mark.parametrize("way", ["-f", "From", "smtp"])
@pytest.mark.parametrize("sender", SENDERS)
def test_sender_has_the_account_that_claims_it_most_closely(
    qube: Qube, relay_a: Relay, relay_b: Relay, sender: str, way: str
) -> None:
    subject = unique()
    if way == "smtp":
        assert qube.send_smtp(sender=sender, to=RECIPIENT, subject=subject)["data"][0] == 250
    else:
        text = f"From: {sender}\nSubject: {subject}\n\nx\n"
        qube.run("sendmail", *(["-f", sender] if way == "-f" else []), RECIPIENT, stdin=text, user="user")
    account = SENDERS[sender]
    right, wrong = (relay_a, relay_b) if account is ALICE else (relay_b, relay_a)
    mail = right.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender.lower()) == (account.login, sender.lower())
    assert wrong.received(subject) == []


@pytest.mark.parametrize("way", ["-f", "From", "smtp"])
@pytest.mark.parametrize("sender", STRANGERS)
def test_sender_that_only_looks_alike_is_nobody_s(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, sender: str, way: str
) -> None:
    subject = unique()
    if way == "smtp":
        if "data" not in qube.send_smtp(sender=sender, to=RECIPIENT, subject=subject):
            return
    else:
        text = f"From: {sender}\nSubject: {subject}\n\nx\n"
        qube.run("sendmail", *(["-f", sender] if way == "-f" else []), RECIPIENT, stdin=text, user="user")
    refused(qube, subject, relay_a, relay_b, mx)


def test_missing_password_still_never_means_mail_without_a_login(qube: Qube, relay_a: Relay) -> None:
    """Of a domain, of an extension, of a local sender: once their rows are gone, it waits."""
    tables = qube.run("sh", "-c", "dirname /etc/postfix/tables-?/saslpass").stdout.strip()
    kept = qube.run("cat", f"{tables}/saslpass").stdout
    without = "".join(
        f"{line}\n"
        for line in kept.splitlines()
        if not line.startswith((f"@{DOMAIN}", "alice@", "@localhost"))
    )
    compiled = 'postmap "$(postconf -h default_database_type):$1/saslpass" && postfix reload'
    try:
        qube.write(f"{tables}/saslpass", without)
        qube.run("sh", "-c", compiled, "-", tables)
        subjects = {
            sender: unique() for sender in (f"any.thing@{DOMAIN}", "alice+x@a.test", "user@localhost")
        }
        for sender, subject in subjects.items():
            qube.run("sendmail", "-f", sender, RECIPIENT, stdin=f"Subject: {subject}\n\nx\n", user="user")

        def waiting() -> list[str]:
            return [entry["recipients"][0].get("delay_reason", "") for entry in qube.queue()]

        qube.wait_for(lambda: len([why for why in waiting() if why]) == len(subjects), "all to wait")
        assert [subject for subject in subjects.values() if relay_a.received(subject)] == []
    finally:
        qube.write(f"{tables}/saslpass", kept)
        qube.run("sh", "-c", compiled, "-", tables)
    qube.run("postqueue", "-f")
    for subject in subjects.values():
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_missing_row_below_a_whole_domain_is_not_the_domain_s(
    qube: Qube, relay_a: Relay, relay_b: Relay
) -> None:
    """The sender has BOB's relay: ALICE's login is not for that."""
    tables = qube.run("sh", "-c", "dirname /etc/postfix/tables-?/saslpass").stdout.strip()
    kept = qube.run("cat", f"{tables}/saslpass").stdout
    compiled = 'postmap "$(postconf -h default_database_type):$1/saslpass" && postfix reload'
    before = len(relay_b.logins())
    try:
        without = (f"{line}\n" for line in kept.splitlines() if not line.startswith(EXCEPT))
        qube.write(f"{tables}/saslpass", "".join(without))
        qube.run("sh", "-c", compiled, "-", tables)
        subject = unique()
        qube.run("sendmail", "-f", EXCEPT, RECIPIENT, stdin=f"Subject: {subject}\n\nx\n", user="user")
        qube.wait_for(
            lambda: [mail for mail in qube.queue() if mail["recipients"][0].get("delay_reason")], "it to wait"
        )
        assert len(relay_b.logins()) == before
    finally:
        qube.write(f"{tables}/saslpass", kept)
        qube.run("sh", "-c", compiled, "-", tables)
    qube.run("postqueue", "-f")
    assert relay_b.wait_for(subject, diagnosis=qube.diagnosis).login == BOB.login


CLAIMS = {
    "a domain in two accounts": (["@x.example"], ["@X.example"], "@x.example stands already in Account 1"),
    "a domain inside": (["@localhost.localdomain"], [], "address inside the qube"),
    "a star": (["*@x.example"], [], "write all addresses of a domain as @example.com"),
    "a star in the domain": (["me@*.example"], [], "is not a mail address"),
    "two at signs": (["@@x.example"], [], "is not a mail address"),
    "no domain": (["@"], [], "is not a mail address"),
    "outside ASCII": (["@stra\u00dfe.example"], [], "xn--"),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claim_that_cannot_hold_is_told_and_changes_nothing(qube: Qube, case: str) -> None:
    first, second, sentence = CLAIMS[case]
    before = qube.tree("/usr/local/etc/postfix")
    said = direct.run(qube, pillar=pillar(ALICE.record(senders=first), BOB.record(senders=second)))
    assert sentence in str(said.error)
    assert qube.tree("/usr/local/etc/postfix") == before
