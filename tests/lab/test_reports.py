# SPDX-License-Identifier: Apache-2.0
"""No message vanishes: what cannot be sent is told to the user, whatever the sender's address is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .outcome import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX) -> Qube:
    return applied_qube("mail-reports", pillar(ALICE, BOB), relay_a, relay_b, mx)


# A report to them cannot be delivered: no address, or nobody's.
UNTELLABLE = (
    "monit@127.0.0.1",
    "x@a..b.test",
    "alice@-a.test",
    "alice@a.test-",
    "nosuch@[127.0.0.1]",
    "x@[10.137.0.9]",
    "foo@bar@baz",
    "a@1.2",
    '"<>"@[127.0.0.1]',
    '"<>"@localhost',
)
# Of these Postfix would look up a part, and find another's row.
PARTLY_LISTED = ('"bob@b.test"@[127.0.0.1]', '"bob@b.test"@localhost', '"alice@a.test"@localhost.localdomain')


@pytest.mark.parametrize("sender", UNTELLABLE + PARTLY_LISTED)
def test_user_is_told_whatever_the_sender_is(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, sender: str
) -> None:
    subject = unique()
    qube.run("sendmail", "-i", "-f", sender, RECIPIENT, stdin=f"Subject: {subject}\n\nx\n", user="user")
    assert "belongs to no account of this qube" in refused(qube, subject, relay_a, relay_b, mx)


# To Postfix's tables U+017F is an s, U+FB06 st.
FOLDED = ("alice@a.te\u017ft", "ALICE@a.te\u017ft", "alice@a.te\ufb06", "\u017fally@slow.test")


@pytest.mark.parametrize("sender", FOLDED)
@pytest.mark.parametrize("way", ["sendmail", "smtp"])
def test_sender_outside_ascii_is_not_folded_into_an_account(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, sender: str, way: str
) -> None:
    subject = unique()
    if way == "sendmail":
        qube.run("sendmail", "-f", sender, RECIPIENT, stdin=f"Subject: {subject}\n\nx\n", user="user")
        assert "belongs to no account" in refused(qube, subject, relay_a, relay_b, mx)
        return
    # Both as SMTPUTF8 and as bytes that just come.
    for option in (" SMTPUTF8", ""):
        subject = unique()
        said = submits(qube, sender, RECIPIENT, subject, option)
        if sender.endswith("@slow.test"):
            assert said == ["550"]
        else:
            # smtpd(8) asks access(5) for the folded domain, so what comes after it has to tell the two apart.
            assert said == ["250", "250"]
            assert "belongs to no account" in refused(qube, subject, relay_a, relay_b, mx)


def submits(qube: Qube, sender: str, recipient: str, subject: str, option: str) -> list[str]:
    """Submit a message by SMTP, addresses as UTF-8, and return the codes to RCPT and, if that was taken, to DATA."""
    script = (
        "import smtplib, sys\n"
        "sender, recipient, subject, option = sys.argv[1:]\n"
        "smtp = smtplib.SMTP('127.0.0.1')\n"
        "smtp.ehlo()\n"
        "smtp.command_encoding = 'utf-8'\n"
        "smtp.docmd('MAIL', f'FROM:<{sender}>{option}')\n"
        "code = smtp.docmd('RCPT', f'TO:<{recipient}>')[0]\n"
        "print(code)\n"
        "if code == 250:\n"
        "    print(smtp.data(f'Subject: {subject}\\r\\n\\r\\nx\\r\\n')[0])\n"
    )
    words = (sender, recipient, subject, option)
    return qube.run("python3", "-c", script, *words, user="user").stdout.split()


def test_fetched_mail_of_a_sender_outside_ascii_is_delivered(qube: Qube) -> None:
    subject = unique()
    assert submits(qube, FOLDED[0], "user@localhost", subject, " SMTPUTF8") == ["250", "250"]
    qube.wait_for(lambda: [m for m in qube.maildir() if m["Subject"] == subject], "the mail in the maildir")


def test_message_with_a_sender_for_each_recipient_leaves(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """VERP: its sender is an extension of the account's address; it once waited for its lifetime."""
    subject = unique()
    sender = "bob+rita=recipients.test@b.test"
    relay_b.set_user(BOB.login, BOB.password, (BOB.address, sender))
    qube.run("sendmail", "-XV", "-f", BOB.address, RECIPIENT, stdin=f"Subject: {subject}\n\nx\n", user="user")
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (BOB.login, sender)
    assert relay_a.received(subject) == []
