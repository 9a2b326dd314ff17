# SPDX-License-Identifier: Apache-2.0
"""A program that names no envelope sender, or the null one, has the account of its From header.

The programs are those of Debian, as people run them: git send-email, s-nail, mail(1), mutt, vacation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .outcome import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

PROGRAMS = ("git-email", "libmailtools-perl", "s-nail", "bsd-mailx", "mutt", "vacation")
STRANGER = "carol@c.test"


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX) -> Qube:
    return applied_qube("mail-from", pillar(ALICE, BOB), relay_a, relay_b, mx, packages=PROGRAMS)


def shell(qube: Qube, script: str, stdin: str = "", **variables: str) -> None:
    """Run a script as the user, in his home."""
    words = [f"{name}={value}" for name, value in variables.items()]
    qube.run("env", "-C", "/home/user", *words, "bash", "-ec", script, stdin=stdin, user="user", timeout=60)


SEND_PATCH = """
    rm -rf repository patches; git init -q repository
    git -C repository commit -q --allow-empty -m "$subject"
    git -C repository format-patch -q --root --always -o ../patches --subject-prefix=
    sed -i "s/^Subject:.*/Subject: $subject/" patches/*
    git send-email --quiet --confirm=never --suppress-cc=all --to="$to" patches/*"""
SCRIPTS = {
    "git send-email": "export GIT_AUTHOR_NAME=Bob GIT_AUTHOR_EMAIL=$from GIT_COMMITTER_NAME=Bob"
    f" GIT_COMMITTER_EMAIL=$from{SEND_PATCH}",
    "s-nail": 's-nail -n -S from="Bob <$from>" -s "$subject" "$to" <<<x',
    "mail": 'mail -a "From: Bob <$from>" -s "$subject" "$to" <<<x',
    "mutt": 'mutt -n -F /dev/null -e "set from=$from realname=Bob use_envelope_from=no" -s "$subject" "$to" <<<x',
    "sendmail -t": "printf 'From: Bob <%s>\\nTo: %s\\nSubject: %s\\n\\nx\\n' $from $to $subject | sendmail -t",
    "sendmail -oi": "printf 'Subject: %s\\nFrom: %s (Bob)\\n\\nx\\n' $subject $from | sendmail -oi $to",
    "sendmail -F": "printf 'Subject: %s\\nFROM:\\n  \"Bob, B.\" <%s>\\n\\nx\\n' $subject $from | sendmail -F Bob $to",
}


@pytest.mark.parametrize("program", SCRIPTS)
def test_program_that_names_no_sender_has_the_account_of_its_from(
    qube: Qube, relay_a: Relay, relay_b: Relay, program: str
) -> None:
    """It went by the default account, and showed that to who knows the other one."""
    subject = unique()
    shell(qube, SCRIPTS[program], **{"from": BOB.address, "to": RECIPIENT, "subject": subject})
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (BOB.login, BOB.address)
    assert mail.message["From"].addresses[0].addr_spec == BOB.address
    assert ALICE.address not in mail.raw.decode()
    assert relay_a.received(subject) == []


@pytest.mark.parametrize("program", ["git send-email", "mail", "sendmail -t"])
def test_from_of_no_account_is_told_to_the_user(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, program: str
) -> None:
    subject = unique()
    shell(qube, SCRIPTS[program], **{"from": STRANGER, "to": RECIPIENT, "subject": subject})
    report = refused(qube, subject, relay_a, relay_b, mx)
    for word in (STRANGER, "belongs to no account of this qube", "-f", "senders"):
        assert word in report


HEADERS = {
    "no From": ("", ALICE),
    "local": ("From: root", ALICE),
    "name of the qube": ("From: Cron Daemon <root@mail-from>", ALICE),
    "upper case": ("From: BOB@B.TEST", BOB),
    "quoted": ('From: "x@y.test, <alice@a.test>" <bob@b.test>', BOB),
    "comment": ("From: bob@b.test (alice@a.test (x))", BOB),
    "route": ("From: <@y.test:bob@b.test>", BOB),
    "quoted local part": ('From: "bob"@b.test', BOB),
    "folded": ("From:\n Bob\n\t<bob@b.test>", BOB),
    "twice the same": ("From: bob@b.test, Bob <bob@b.test>", BOB),
    "several and Sender": ("From: x@y.test, bob@b.test\nSender: bob@b.test", BOB),
    "Sender beside one From": ("From: bob@b.test\nSender: alice@a.test", BOB),
    "sent again": ("Resent-From: bob@b.test\nFrom: x@y.test", BOB),
    "sent again, by the first one": (
        "Resent-From: bob@b.test\nResent-From: alice@a.test\nFrom: x@y.test",
        BOB,
    ),
}


@pytest.mark.parametrize("form", HEADERS)
@pytest.mark.parametrize("sender", [None, "user@localhost", "<>"])
def test_from_as_it_is_written(
    qube: Qube, relay_a: Relay, relay_b: Relay, form: str, sender: str | None
) -> None:
    header, account = HEADERS[form]
    subject = unique()
    text = "".join(f"{line}\n" for line in (header, f"Subject: {subject}") if line) + "\nx\n"
    qube.run("sendmail", *(["-f", sender] if sender else []), RECIPIENT, stdin=text, user="user")
    if sender == "<>" and form in ("no From",):
        assert "From header" in refused(qube, subject, relay_a, relay_b)
        return
    relay = {ALICE: relay_a, BOB: relay_b}[account]
    mail = relay.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender.lower()) == (account.login, account.address)


@pytest.mark.parametrize(
    "header",
    [
        "From: x@y.test, bob@b.test",
        "From: bob@b.te\u017ft",
        'From: "bob@b.test',
        "From: Bob <bob@b.test",
        "From: ;",
    ],
)
def test_from_that_names_nobody_is_told_to_the_user(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, header: str
) -> None:
    subject = unique()
    qube.run("sendmail", RECIPIENT, stdin=f"{header}\nSubject: {subject}\n\nx\n", user="user")
    refused(qube, subject, relay_a, relay_b, mx)


def test_explicit_sender_is_obeyed(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    subject = unique()
    text = f"From: {BOB.address}\nTo: {RECIPIENT}\nSubject: {subject}\n\nx\n"
    qube.run("sendmail", "-f", ALICE.address, "-t", stdin=text, user="user")
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
    assert relay_b.received(subject) == []


def test_by_smtp_a_local_sender_has_the_account_of_its_from(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    subject = unique()
    headers = {"From": f"Bob <{BOB.address}>"}
    answers = qube.send_smtp(sender="user@localhost", to=RECIPIENT, subject=subject, headers=headers)
    assert answers["data"][0] == 250
    # send_smtp() has put the sender into a From header of its own, before this one.
    subject = unique()
    script = "import smtplib, sys; smtplib.SMTP('127.0.0.1').sendmail(*sys.argv[1:3], sys.stdin.read())"
    text = f"From: Bob <{BOB.address}>\nSubject: {subject}\n\nx\n"
    qube.run("python3", "-c", script, "user@localhost", RECIPIENT, stdin=text, user="user")
    assert relay_b.wait_for(subject, diagnosis=qube.diagnosis).login == BOB.login
    assert qube.send_smtp(sender="", to=RECIPIENT, subject=subject)[RECIPIENT][0] >= 500
    assert mx.connections() == []
    assert relay_a.received(subject) == []


def test_local_mail_of_any_from_is_delivered(qube: Qube) -> None:
    """As fetchmail and procmail hand it in by sendmail(1), bounces included."""
    for sender in (None, "<>", STRANGER):
        subject = unique()
        command = ("sendmail", "-i", *(["-f", sender] if sender else []), "user@localhost")
        qube.run(*command, stdin=f"From: {STRANGER}\nSubject: {subject}\n\nx\n", user="user")
        qube.wait_for(
            lambda subject=subject: [m for m in qube.maildir() if m["Subject"] == subject], "the local mail"
        )


def test_what_vacation_answers_leaves_by_the_account_of_its_from(
    qube: Qube, relay_a: Relay, relay_b: Relay
) -> None:
    """With -z it names the null sender: the answer lay in the user's own maildir, as sent."""
    subject = unique()
    qube.write(
        "/home/user/.vacation.msg",
        f"From: Bob <{BOB.address}>\nSubject: {subject}\nPrecedence: bulk\n\nAway.\n",
        owner="user:user",
    )
    shell(qube, "vacation -i")
    message = (
        f"From {RECIPIENT} Thu Nov 26 01:00:00 2026\nFrom: {RECIPIENT}\nTo: user@mail-from\nSubject: x\n\nx\n"
    )
    shell(qube, "vacation -z -a bob user", stdin=message)
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.recipients) == (BOB.login, [RECIPIENT])
    assert relay_a.received(subject) == []


def test_sendmail_stays_as_it_is(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """Bcc, DSN options, 8-bit content, an empty message, and its exit code on a recipient that is none."""
    subject = unique()
    text = (
        f"From: {BOB.address}\nTo: {RECIPIENT}\nBcc: hidden@recipients.test\nSubject: {subject}\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n.\n\x00end\n"
    )
    command = ("sendmail", "-i", "-t", "-N", "failure,delay", "-R", "hdrs", "-V", "envelope-id")
    qube.run(*command, stdin=text, user="user")
    mail = relay_b.wait_for(subject, diagnosis=qube.diagnosis)
    assert sorted(mail.recipients) == ["hidden@recipients.test", RECIPIENT]
    assert "hidden" not in mail.raw.decode()
    assert "Gr\u00fc\u00dfe\n.\n" in mail.raw.decode()
    assert relay_a.received(subject) == []
    assert qube.run("sendmail", "-t", stdin="Subject: x\n\nx\n", user="user", check=False).returncode != 0


MILTER = "/etc/postfix/submit-milter"
# How it ends: what stands in it, and what is put in its place.
ENDS = {
    "at once": ("def main() -> None:", "raise SystemExit(1)\n\n\ndef main() -> None:"),
    "before its answer": (
        'elif command == b"E":\n',
        'elif command == b"E":\n            raise SystemExit(1)\n',
    ),
    "amid its answer": (
        'if not answers or answers[-1][0] != b"y":\n',
        "outgoing.flush()\n            raise SystemExit(1)\n            if True:\n",
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_message_waits_while_the_milter_fails(qube: Qube, relay_a: Relay, relay_b: Relay, end: str) -> None:
    """It is neither lost, nor doubled, nor sent by another account; who speaks SMTP is told to come again."""
    text = qube.run("cat", MILTER).stdout
    old, new = ENDS[end]
    assert text.count(old) == 1
    by_sendmail, by_smtp = unique(), unique()
    before = len(qube.journal())
    try:
        qube.write(MILTER, text.replace(old, new), mode="0755")
        message = f"From: {BOB.address}\nTo: {RECIPIENT}\nSubject: {by_sendmail}\n\nx\n"
        qube.run("sendmail", "-t", stdin=message, user="user")
        qube.wait_for(lambda: "submit-milter" in qube.journal()[before:], "the milter to fail")
        answers = qube.send_smtp(sender=BOB.address, to=RECIPIENT, subject=by_smtp)
        assert 400 <= max(code for code, _ in answers.values()) < 500, answers
        assert [entry["queue_name"] for entry in qube.queue()] in ([], ["maildrop"])
        assert qube.run("sh", "-c", "ls /var/spool/postfix/maildrop | wc -l").stdout.strip() == "1"
    finally:
        qube.write(MILTER, text, mode="0755")
    qube.run("postqueue", "-f")
    mail = relay_b.wait_for(by_sendmail, diagnosis=qube.diagnosis)
    assert mail.login == BOB.login
    assert qube.send_smtp(sender=BOB.address, to=RECIPIENT, subject=by_smtp)["data"][0] == 250
    relay_b.wait_for(by_smtp, diagnosis=qube.diagnosis)
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    for subject in (by_sendmail, by_smtp):
        assert len(relay_b.received(subject)) == 1
        assert relay_a.received(subject) == []
