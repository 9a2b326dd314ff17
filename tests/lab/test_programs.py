# SPDX-License-Identifier: Apache-2.0
"""docs/programs.md: each block of it is given to the program that it is for, and the mail leaves by its account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Mail, Relay

PAGE = (ROOT / "docs/programs.md").read_text(encoding="utf-8")
HOME = "/home/user"
PROGRAMS = ("git-email", "libmailtools-perl", "mutt", "neomutt", "s-nail", "bsd-mailx")


def blocks(kind: str) -> list[str]:
    """The blocks of a language, with this lab's addresses."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    replaced = {"you@example.com": BOB.address, "you@example\\.com": "(alice@a|bob@b)\\.test"}
    return [
        re.sub(r"you@example\\?\.com", lambda match: replaced[match[0]], text).replace(
            "friend@example.net", RECIPIENT
        )
        for text in found
    ]


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    qube = applied_qube("mail-programs", pillar(ALICE, BOB), relay_a, relay_b, packages=PROGRAMS)
    (muttrc,), (mailrc,) = blocks("muttrc"), blocks("mailrc")
    # Where the program has more to say than the account.
    for name, text in {".muttrc": muttrc, ".mailrc": mailrc}.items():
        qube.write(f"{HOME}/{name}", text)
    return qube


def shell(qube: Qube, script: str, **variables: str) -> None:
    words = [f"{name}={value}" for name, value in variables.items()]
    environment = ["env", "-C", HOME, f"HOME={HOME}", "TERM=xterm", *words]
    qube.run(*environment, "bash", "-ec", script, user="user", timeout=60)


def arrived(qube: Qube, relay: Relay, subject: str, account: object = BOB) -> Mail:
    mail = relay.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (account.login, account.address)
    assert mail.message["From"].addresses[0].addr_spec == account.address
    return mail


GIT = """
rm -rf repository patches; git init -q repository
git -C repository commit -q --allow-empty -m "$subject"
git -C repository format-patch -q --root --always -o ../patches --subject-prefix=
sed -i "s/^Subject:.*/Subject: $subject/" patches/*
git send-email --quiet --confirm=never --suppress-cc=all --to="$to" patches/*
"""
COMMANDS = {
    "mutt": 'mutt -s "$subject" "$to" <<<x',
    "neomutt": 'neomutt -s "$subject" "$to" <<<x',
    "git send-email": blocks("sh")[0] + "git config --global user.name Bob\n" + GIT,
    "s-nail": 's-nail -s "$subject" "$to" <<<x',
    "bsd-mailx": f'mail -a "From: {BOB.address}" -s "$subject" "$to" <<<x',
    "a script": blocks("sh")[1].replace("Subject: hello", "Subject: '$subject'"),
    # What message-send-mail-with-sendmail calls with these settings (lisp/gnus/message.el).
    "Emacs": f'printf "From: Bob <{BOB.address}>\\nTo: $to\\nSubject: $subject\\nUser-Agent: Gnus/5.13\\n\\nx\\n" |'
    f" /usr/sbin/sendmail -oi -f {BOB.address} -t",
    "Python": "python3 - <<'EOF'\n"
    + blocks("python")[0].replace('"hello"', "__import__('os').environ['subject']")
    + "\nEOF",
}


@pytest.mark.parametrize("program", COMMANDS)
def test_program_sends_by_the_account_of_its_from(qube: Qube, relay_b: Relay, program: str) -> None:
    subject = unique()
    shell(qube, COMMANDS[program], subject=subject, to=RECIPIENT)
    mail = arrived(qube, relay_b, subject)
    assert mail.recipients == [RECIPIENT]
    assert "User-Agent" not in mail.message


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_answer_leaves_by_the_account_that_was_written_to(qube: Qube, relay_a: Relay, program: str) -> None:
    subject = unique()
    qube.run("rm", "-rf", f"{HOME}/.maildir")
    qube.send_smtp(
        to="user@localhost", sender="friend@far.test", subject=subject, headers={"To": ALICE.address}
    )
    look = ("find", f"{HOME}/.maildir", "-path", "*/new/*", "-type", "f")
    qube.wait_for(lambda: qube.run(*look, check=False).stdout, "the mail")
    keys = (
        "set fast_reply abort_unmodified=no include=no editor=true quit=yes; push <reply><send-message><quit>"
    )
    # In a terminal of a usual size, which curses wants.
    run = f"stty rows 24 cols 80; {program} -e '{keys}'"
    shell(qube, f'script -qec "{run}" /dev/null </dev/null >out || {{ cat out >&2; exit 1; }}')
    mail = arrived(qube, relay_a, f"Re: {subject}", ALICE)
    assert mail.recipients == ["friend@far.test"]


DIALOGUE = """
import smtplib, sys
sender, to, subject = sys.argv[1:]
lines = [
    f"Message-ID: <1@{sender.partition('@')[2]}>",
    "Date: Thu, 26 Nov 2026 10:00:00 +0100",
    "MIME-Version: 1.0",
    "User-Agent: Mozilla Thunderbird",
    f"From: Somebody <{sender}>",
    f"To: {to}",
    f"Subject: {subject}",
    "Content-Type: text/plain; charset=UTF-8; format=flowed",
    "Content-Transfer-Encoding: 8bit",
    "",
    "\u00e4",
    "",
]
text = "\\r\\n".join(lines).encode()
with smtplib.SMTP("localhost", 25) as server:
    assert server.docmd("EHLO", "[127.0.0.1]")[0] == 250
    assert server.docmd("MAIL", f"FROM:<{sender}> BODY=8BITMIME SIZE={len(text)}")[0] == 250
    assert server.docmd("RCPT", f"TO:<{to}>")[0] == 250
    code, said = server.data(text)
    assert code == 250, said
"""


@pytest.mark.parametrize("account", [ALICE, BOB], ids=["alice", "bob"])
def test_identity_of_thunderbird_has_its_account(
    qube: Qube, relay_a: Relay, relay_b: Relay, account: object
) -> None:
    """By SMTP as Thunderbird speaks it, with the settings of the table."""
    assert "| Port | 25 |" in PAGE
    subject = unique()
    qube.run("python3", "-c", DIALOGUE, account.address, RECIPIENT, subject, user="user")
    mail = arrived(qube, relay_a if account is ALICE else relay_b, subject, account)
    assert "\u00e4" in mail.message.get_content()
    assert "User-Agent" not in mail.message
    assert mail.message["Message-ID"] == f"<1@{account.address.partition('@')[2]}>"
