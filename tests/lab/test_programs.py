# SPDX-License-Identifier: Apache-2.0
"""docs/programs.md: each block of it is given to the program that it is for, and the mail leaves by its account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import smarthost_muttrc
from tests.checkout import ROOT

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .test_account_of_from import SEND_PATCH, shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Mail, Relay

PAGE = (ROOT / "docs/programs.md").read_text(encoding="utf-8")
HOME = "/home/user"
OWN = pillar(
    ALICE, BOB.record(default=True), lists=[{"list_id": "users.example.org", "folder": "list/users"}]
)
PROGRAMS = ("git-email", "libmailtools-perl", "mutt", "neomutt", "s-nail", "bsd-mailx", "sudo")


def blocks(kind: str) -> list[str]:
    """The blocks of a language, with this lab's addresses."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return [
        text.replace("you@example.com", BOB.address).replace("friend@example.net", RECIPIENT)
        for text in found
    ]


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    qube = applied_qube("mail-programs", OWN, relay_a, relay_b, packages=PROGRAMS)
    (muttrc,), (mailrc,) = blocks("muttrc"), blocks("mailrc")
    # Where the program has more to say than the account.
    for name, text in {".muttrc": muttrc, ".mailrc": mailrc}.items():
        qube.write(f"{HOME}/{name}", text)
    # As Qubes has it.
    qube.write("/etc/sudoers.d/qubes", "user ALL=(ALL) NOPASSWD: ALL\n", mode="0440")
    return qube


def arrived(qube: Qube, relay: Relay, subject: str, account: object = BOB) -> Mail:
    mail = relay.wait_for(subject, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (account.login, account.address)
    assert mail.message["From"].addresses[0].addr_spec == account.address
    return mail


COMMANDS = {
    "mutt": 'mutt -s "$subject" "$to" <<<x',
    "neomutt": 'neomutt -s "$subject" "$to" <<<x',
    "git send-email": blocks("sh")[0] + "git config --global user.name Bob" + SEND_PATCH,
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


# In a terminal of a usual size, which curses wants.
TERMINAL = (
    'script -qec "stty rows 24 cols 80; $command" /dev/null </dev/null >out || { cat out >&2; exit 1; }'
)
SET = "set fast_reply abort_unmodified=no include=no editor=true quit=yes;"
OTHER = "ann@far.test"


def keys(qube: Qube, program: str, pressed: str) -> None:
    """Have a program read the inbox, and press keys."""
    shell(qube, TERMINAL, TERM="xterm", command=f"{program} -e '{SET} push {pressed}'")


@pytest.fixture
def inbox(qube: Qube) -> str:
    """Give the subject of a mail to alice, and to somebody else, that has just come in."""
    subject = unique()
    qube.run("rm", "-rf", f"{HOME}/.maildir")
    headers = {"To": f"{ALICE.address}, {OTHER}", "Message-ID": f"<{subject}@far.test>"}
    qube.send_smtp(to="user@localhost", sender="friend@far.test", subject=subject, headers=headers)
    look = ("find", f"{HOME}/.maildir", "-path", "*/new/*", "-type", "f")
    qube.wait_for(lambda: qube.run(*look, check=False).stdout, "the mail")
    return subject


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
@pytest.mark.parametrize(
    ("key", "recipients"),
    [("<reply>", ["friend@far.test"]), ("<group-reply>", [OTHER, "friend@far.test"])],
    ids=["answer", "answer to all"],
)
def test_answer_leaves_by_the_account_that_was_written_to(
    qube: Qube, relay_a: Relay, program: str, inbox: str, key: str, recipients: list[str]
) -> None:
    """The own address is none of those who get it."""
    keys(qube, program, f"{key}<send-message><quit>")
    mail = arrived(qube, relay_a, f"Re: {inbox}", ALICE)
    assert sorted(mail.recipients) == sorted(recipients)
    assert mail.message["In-Reply-To"] == f"<{inbox}@far.test>"


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_what_is_passed_on_leaves_and_keeps_who_wrote_it(
    qube: Qube, relay_a: Relay, relay_b: Relay, program: str, inbox: str
) -> None:
    """Forwarded, it is the user's own message; bounced, it stays that of who wrote it."""
    keys(qube, program, f"<forward-message>{RECIPIENT}<enter><send-message><quit>")
    forwarded = re.compile(rf".*{inbox}.*")
    (mail,) = qube.wait_for(
        lambda: [
            m for relay in (relay_a, relay_b) for m in relay.received() if forwarded.match(m.subject or "")
        ],
        "the forwarded mail",
    )
    assert mail.message["From"].addresses[0].addr_spec == mail.sender
    assert mail.recipients == [RECIPIENT]
    keys(qube, program, f"<bounce-message>{RECIPIENT}<enter>y<quit>")
    bounced = relay_b.wait_for(inbox, diagnosis=qube.diagnosis)
    assert bounced.message["From"] == "friend@far.test"
    assert (bounced.login, bounced.recipients) == (BOB.login, [RECIPIENT])


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_folders_are_those_that_there_are(qube: Qube, program: str, inbox: str) -> None:
    qube.run(
        "mkdir", "-p", *(f"{HOME}/.maildir/list/{name}/{part}" for name in "ab" for part in ("cur", "new"))
    )
    lines = qube.run("/usr/local/bin/postfix-smarthost", "muttrc").stdout.splitlines()
    assert lines[-1] == 'mailboxes "+" "+list/a" "+list/b"'
    # neomutt's exit code is 1 then, whatever it finds.
    told = qube.run("env", f"HOME={HOME}", program, "-Q", "folder", "-Q", "from", user="user", check=False)
    assert BOB.address in told.stdout
    assert told.stderr == ""
    assert inbox


def test_odd_addresses_arrive_in_mutt_as_they_are(qube: Qube) -> None:
    """Those that RFC 5322 lets be: quotes, variables, commands and comments mean something to mutt."""
    for odd in ("o'brien", "a$HOME", "b`id`", "c#d", "e{f}|g", "m%n", "~p", "=q"):
        address = f"{odd}@b.test"
        qube.write("/run/muttrc", smarthost_muttrc.lines([address, "@whole.test"], []))
        for program in ("mutt", "neomutt"):
            told = qube.run(program, "-n", "-F", "/run/muttrc", "-D", check=False).stdout
            (found,) = [line for line in told.splitlines() if re.match(r"(set )?from ?=", line)]
            value = re.sub(r"\\(.)", r"\1", found.partition("=")[2].strip()[1:-1])
            assert value == address, (program, found)


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
