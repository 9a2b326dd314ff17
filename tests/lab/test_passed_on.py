# SPDX-License-Identifier: Apache-2.0
"""Mail that was not written here passes as it is: the signature of who wrote it stays valid.

The signatures are real ones (DKIM, RFC 6376), over the headers that real signers choose; the program is mutt.
"""

from __future__ import annotations

import base64
import email
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import dkim
import pytest

from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .outcome import head

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Mail, Relay

NAME = "work"
# What each signs, as seen in the h= of its signatures; a name that stands there once more than in the message is
# oversigned: it must not be added (RFC 6376 5.4.2).
COMMON = "from to subject date message-id"
SIGNERS = {
    "Google": f"{COMMON} mime-version cc references in-reply-to reply-to",
    "Google, oversigned": f"{COMMON} mime-version cc references in-reply-to {COMMON} cc reply-to",
    "Microsoft": "From Date Subject Message-ID Content-Type MIME-Version X-MS-Exchange-SenderADCheck",
    "Fastmail": "cc content-transfer-encoding content-type content-type date date from from in-reply-to in-reply-to"
    " message-id mime-version references reply-to subject subject to to",
    "lists.debian.org": "X-Mailing-List List-Id List-Post Sender Precedence From To Subject Date Message-ID User-Agent"
    " References In-Reply-To",
    "rspamd": "from from reply-to reply-to subject subject date to to cc cc mime-version mime-version content-type"
    " content-type content-transfer-encoding in-reply-to in-reply-to references references user-agent x-mailer",
    "programs": f"{COMMON} user-agent user-agent x-mailer x-mailer x-originating-ip x-sender x-x-sender cc",
}
# The kind of message that older rules changed: addresses and IDs without a dot, a name like that of a local user.
LETTER = """\
From: root <root@taiga.example>
Sender: user <user@taiga>
To: "Friends of root" <friends@taiga>, list@lists.example,
\troot <root@nas>
Cc: x@nas, friend@gmail
Subject: {}
Date: Thu, 26 Nov 2026 01:00:00 +0000
Message-ID:  <1@taiga>
In-Reply-To: <0@localhost>
References: <x@box> <y@nas.localdomain>
\t<0@localhost>
MIME-Version: 1.0
User-Agent:  Mutt/2.2.13
  (2024-03-09)
X-Mailer: git-send-email  2.47
X-Mailer: a second one
X-Originating-IP: [192.0.2.1]
X-Sender: root@taiga
X-X-Sender: root@taiga
X-Mailing-List: <list@lists.example> archive/latest/1
List-Id: <list.lists.example>
Precedence: list
X-MS-Exchange-SenderADCheck: 1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Gr\u00fc\u00dfe.

\x20
.
From me.


"""


@cache
def key() -> tuple[bytes, bytes]:
    """Return a private key, and the record of its public one in DNS."""
    private = subprocess.run(
        ["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True
    ).stdout
    public = subprocess.run(
        ["openssl", "rsa", "-pubout", "-outform", "DER"], input=private, capture_output=True, check=True
    ).stdout
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def is_valid(message: bytes) -> bool:
    return dkim.verify(message, dnsfunc=lambda _, **__: key()[1])


def letter(subject: str, headers: str, canonicalization: str) -> bytes:
    """Return a signed message, as it lies in a maildir."""
    text = LETTER.format(subject).encode()
    how = tuple(canonicalization.encode().split(b"/"))
    names = headers.lower().encode().split()
    signature = dkim.sign(text, b"s", b"taiga.example", key()[0], include_headers=names, canonicalize=how)
    signed = (
        b"Return-Path: <root@taiga.example>\nDelivered-To: alice@a.test\n"
        b"Received: from taiga.example (taiga.example [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTPS id 1\n"
        b"\tfor <alice@a.test>; Thu, 26 Nov 2026 01:00:01 +0000 (UTC)\n"
        b"Received: from taiga (localhost [127.0.0.1]) by taiga.example; Thu, 26 Nov 2026 01:00:00 +0000\n"
        + signature.replace(b"\r\n", b"\n")
        + text
    )
    assert is_valid(signed)
    return signed


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    return applied_qube(NAME, pillar(ALICE, BOB), relay_a, relay_b, packages=("mutt", "s-nail"))


MUTTRC = f"""\
set sendmail="/usr/sbin/sendmail -oem -oi"
set from={BOB.address} hostname={NAME} user_agent=yes mbox_type=Maildir folder=~/box
set bounce=yes quit=yes abort_unmodified=no editor=true mime_forward=yes
unset record wait_key
"""


def mutt(qube: Qube, message: bytes, keys: str, settings: str = "") -> None:
    """Put a message into a maildir, and let mutt read that and be given some keys."""
    folder = "/home/user/box"
    qube.run("rm", "-rf", folder)
    qube.run("mkdir", "-p", *(f"{folder}/{part}" for part in ("cur", "new", "tmp")), user="user")
    script = "import base64, sys; open(sys.argv[1], 'wb').write(base64.b64decode(sys.stdin.read()))"
    qube.run(
        "python3", "-c", script, f"{folder}/new/1", stdin=base64.b64encode(message).decode(), user="user"
    )
    qube.write("/home/user/muttrc", f'{MUTTRC}{settings}\npush "{keys}<quit>"\n', owner="user:user")
    terminal = f"stty rows 40 cols 120; TERM=linux mutt -F /home/user/muttrc -f {folder}"
    qube.run("script", "-qec", terminal, "/dev/null", user="user", timeout=30)


BOUNCE = f"<bounce-message>{RECIPIENT}<enter>"


def arrived(qube: Qube, relay: Relay, subject: str) -> Mail:
    return relay.wait_for_mail(
        lambda mail: subject in mail.raw.decode(errors="replace"), subject, diagnosis=qube.diagnosis
    )


@pytest.mark.parametrize("canonicalization", ["simple/simple", "relaxed/relaxed"])
@pytest.mark.parametrize("signer", SIGNERS)
def test_signature_of_a_bounced_message_stays_valid(
    qube: Qube, relay_b: Relay, signer: str, canonicalization: str
) -> None:
    subject = unique()
    mutt(qube, letter(subject, SIGNERS[signer], canonicalization), BOUNCE)
    mail = arrived(qube, relay_b, subject)
    assert is_valid(mail.raw), mail.raw.decode()
    # By whom it is sent again is in Resent-From; and of this qube itself it shows nothing.
    assert (mail.login, mail.sender, mail.recipients) == (BOB.login, BOB.address, [RECIPIENT])
    top = head(mail).partition("Received: from taiga.example")[0]
    assert f"Resent-From: {BOB.address}\n" in top
    assert NAME not in top
    assert not {name for name in mail.message if name.startswith("Passed-On")}


@pytest.mark.parametrize("way", ["sendmail", "smtp"])
def test_signature_stays_valid_however_it_is_handed_in(qube: Qube, relay_a: Relay, way: str) -> None:
    """By s-nail, by sendmail(1) of a script, and by SMTP."""
    subject = unique()
    message = letter(subject, SIGNERS["programs"], "simple/simple")
    script = {
        "sendmail": "import subprocess, sys; subprocess.run(['sendmail', '-i', '-f', *sys.argv[1:3]], input=data)",
        "smtp": "import smtplib, sys; smtplib.SMTP('127.0.0.1').sendmail(*sys.argv[1:3], data)",
    }[way]
    script = f"import base64, sys; data = base64.b64decode(sys.stdin.read())\n{script}"
    command = ("python3", "-c", script, ALICE.address, RECIPIENT)
    qube.run(*command, stdin=base64.b64encode(message).decode(), user="user")
    mail = arrived(qube, relay_a, subject)
    assert is_valid(mail.raw), mail.raw.decode()


def test_signature_of_an_attached_message_stays_valid(qube: Qube, relay_b: Relay) -> None:
    subject = unique()
    message = letter(subject, SIGNERS["programs"], "simple/simple")
    mutt(qube, message, f"<forward-message>{RECIPIENT}<enter><enter><send-message>")
    mail = arrived(qube, relay_b, subject)
    inner = mail.raw.partition(b"Content-Type: message/rfc822")[2].partition(b"\n\n")[2]
    inner = inner.rpartition(b"\n--")[0].rpartition(b"\n--")[0] or inner.rpartition(b"\n--")[0]
    assert is_valid(inner), mail.raw.decode()
    assert NAME not in head(mail)


def test_message_that_is_edited_as_a_new_one_is_written_here(qube: Qube, relay_b: Relay) -> None:
    """The resend-message of mutt keeps headers of the old one, if told so, and shows the qube in those of its own."""
    subject = unique()
    message = letter(subject, SIGNERS["programs"], "simple/simple").replace(
        b"root <root@taiga", b"Bob <bob@b"
    )
    message = message.replace(b"bob@b.example>", b"bob@b.test>").replace(
        b"list@lists.example,\n\troot <root@nas>", b""
    )
    text = email.message_from_bytes(message)
    for name in ("To", "Cc", "Sender"):
        del text[name]
    text["To"] = RECIPIENT
    mutt(qube, text.as_bytes(), "<resend-message><send-message>", "unset weed\nunignore *")
    mail = arrived(qube, relay_b, subject)
    assert NAME not in head(mail)
    assert "Mutt" not in head(mail)


def test_own_trace_lines_are_taken_out_of_what_is_passed_on(qube: Qube, relay_b: Relay) -> None:
    subject = unique()
    message = letter(subject, SIGNERS["Fastmail"], "relaxed/relaxed")
    trace = (
        f"Delivered-To: user@localhost.localdomain\nX-Original-To: user@{NAME}\n"
        f"Received: from imap.a.test by {NAME} with POP3 (fetchmail-6.4.39) for <user@localhost>\n"
        "Received: by localhost.localdomain (Postfix, from userid 1000)\n\tid 1; Thu, 26 Nov 2026 01:00:00 +0000\n"
    )
    mutt(qube, trace.encode() + message, BOUNCE)
    mail = arrived(qube, relay_b, subject)
    assert is_valid(mail.raw), mail.raw.decode()
    text = head(mail)
    assert [
        word for word in ("localhost.localdomain\n", "userid", "fetchmail", NAME) if word in text
    ] == [], text
    assert text.count("Received:") == 2
