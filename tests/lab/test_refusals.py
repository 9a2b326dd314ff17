# SPDX-License-Identifier: Apache-2.0
"""What is refused is refused in words that blame what is wrong, and say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

_UNLISTED = (
    "belongs to no account of this qube: send with the address of an account, or add this one to its senders"
)
_REPORTED_AS = (
    "belongs to no account of this qube: give one that does (sendmail -f), or add this one to the senders of an"
    " account"
)
_NULL = "mail without a sender address, or with a malformed one, does not leave this qube"

# By SMTP: sender, recipient, the recipient's answer.
_ANSWERS = {
    "unlisted": (
        "stranger@c.test",
        RECIPIENT,
        f"550 5.7.1 <stranger@c.test>: Sender address rejected: it {_UNLISTED}",
    ),
    "look-alike": (
        "alice-x@a.test",
        RECIPIENT,
        f"550 5.7.1 <alice-x@a.test>: Sender address rejected: it {_UNLISTED}",
    ),
    "another at the provider": (
        *("ann@a.test", RECIPIENT),
        f"550 5.7.1 <ann@a.test>: Sender address rejected: it {_UNLISTED}",
    ),
    "null": ("", RECIPIENT, f"550 5.7.1 <>: Sender address rejected: {_NULL}"),
    "malformed": ("monit@127.0.0.1", RECIPIENT, f"550 5.7.1 <>: Sender address rejected: {_NULL}"),
    "recipient without a dot": (
        *(ALICE.address, "friend@gmail"),
        "504 5.5.2 <friend@gmail>: Recipient address rejected: need fully-qualified address",
    ),
    "no such user": (
        *(ALICE.address, "nosuch@localhost"),
        "550 5.1.1 <nosuch@localhost>: Recipient address rejected: User unknown in local recipient table",
    ),
    "no such user, without a domain": (
        *("stranger@c.test", "nosuch"),
        "550 5.1.1 <nosuch>: Recipient address rejected: User unknown in local recipient table",
    ),
    "local": ("stranger@c.test", "user@localhost", "250 2.1.5 Ok"),
    "null, local": ("", "user", "250 2.1.5 Ok"),
    "local sender": ("user@localhost", RECIPIENT, "250 2.1.5 Ok"),
    "local sender without a domain": ("user", RECIPIENT, "250 2.1.5 Ok"),
}
_REPORTED = (
    "stranger@c.test",
    "alice-x@a.test",
    '"a b;c`id`"@c.test',
    r'"$HOME%s\\n"@c.test',
    "al\u00efce@c.test",
)


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, mx: MX) -> Qube:
    """Give a qube with s-nail(1)."""
    return applied_qube("mail-refusals", pillar(ALICE), relay_a, mx, packages=("s-nail",), user="other")


@pytest.mark.parametrize("case", _ANSWERS)
def test_smtp_server_blames_what_is_wrong(qube: Qube, relay_a: Relay, mx: MX, case: str) -> None:
    sender, recipient, expected = _ANSWERS[case]
    subject = unique()
    answers = qube.send_smtp(sender=sender, to=recipient, subject=subject)
    assert "{} {}".format(*answers[recipient]) == expected
    if recipient == RECIPIENT and expected.startswith("250"):
        mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
        assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    else:
        qube.wait_for(lambda: not qube.queue(), "an empty queue")
        assert relay_a.received(subject) == []
    assert mx.connections() == []


@pytest.mark.parametrize("user", ["other", "nobody", "www-data"])
def test_smtp_server_names_the_user_who_may_not(qube: Qube, user: str) -> None:
    answers = qube.send_smtp(sender=ALICE.address, to="user@localhost", user=user)
    assert [*answers] == ["connect"]
    assert answers["connect"][0] == 521
    assert answers["connect"][1].endswith(f": {user} may not submit mail here, only root and user may")


@pytest.mark.parametrize("sender", _REPORTED)
def test_report_names_the_sender_that_belongs_to_no_account(
    qube: Qube, relay_a: Relay, mx: MX, sender: str
) -> None:
    """Whatever it is made of: a shell writes it."""
    subject = unique()
    qube.send(sender=sender, to=[RECIPIENT, f"bob@{RECIPIENT.partition('@')[2]}"], subject=subject)

    def reports() -> list[str]:
        found = [message for message in qube.maildir() if subject in str(message)]
        return [
            message.get_body(("plain",)).get_content() for message in found if message.get_body(("plain",))
        ]

    qube.wait_for(reports, "the report")
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    (report,) = reports()
    words = " ".join(report.split())
    assert words.count(f"The sender <{sender}> {_REPORTED_AS}") == 2
    assert relay_a.received(subject) == []
    assert mx.connections() == []


@pytest.mark.parametrize(
    ("sender", "told"), [(ALICE.address, ""), ("stranger@c.test", "belongs to no account")]
)
def test_s_nail_by_smtp_is_told(qube: Qube, relay_a: Relay, sender: str, told: str) -> None:
    subject = unique()
    options = {
        "mta": "smtp://127.0.0.1",
        "smtp-auth": "none",
        "from": sender,
        "sendwait": "",
        "v15-compat": "",
    }
    words = [word for name, value in options.items() for word in ("-S", f"{name}={value}")]
    command = ("s-nail", "-n", *words, "-r", sender, "-s", subject, RECIPIENT)
    done = qube.run(*command, stdin="Hello.\n", user="user", check=False)
    assert bool(done.returncode) == bool(told)
    assert told in done.stderr
    if not told:
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
