# SPDX-License-Identifier: Apache-2.0
"""The mail of a qube: handed over there as mail programs do, found in its queue and in its maildirs."""

from __future__ import annotations

import email
import email.message
import email.policy
import json
from typing import TYPE_CHECKING, Any

from .container import Container

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping


class Mailer(Container):
    """What a test does with the mail of a machine."""

    def send(
        self,
        *,
        to: str | list[str],
        sender: str | None = None,
        subject: str = "",
        body: str = "A message.\n",
        user: str = "user",
        headers: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Hand a message to sendmail(1), as a mail program does.

        Args:
            to: recipient or recipients.
            sender: envelope sender (``-f``) and From header; without it sendmail's own, and no From header.
            subject: of the message.
            body: of the message.
            user: who sends.
            headers: header fields to add.
            check: fail when sendmail exits with anything but 0.

        """
        recipients = [to] if isinstance(to, str) else to
        command = ["sendmail", "-i", *(["-f", sender] if sender is not None else []), "--", *recipients]
        text = compose(sender, recipients, subject, body, headers)
        return self.run(*command, stdin=text, user=user, check=check)

    def send_smtp(
        self,
        *,
        to: str | list[str],
        sender: str,
        subject: str = "",
        body: str = "A message.\n",
        user: str = "user",
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 25,
    ) -> dict[str, tuple[int, str]]:
        """Hand a message to the SMTP server of the machine itself, as fetchmail does.

        Args:
            to: recipient or recipients.
            sender: envelope sender and From header; "" is the null sender.
            subject: of the message.
            body: of the message.
            user: who sends.
            headers: header fields to add.
            host: where to connect.
            port: TCP port.

        Returns:
            the server's answers: ``connect``, ``sender``, each recipient, ``data`` -> (code, text);
            those that came.

        """
        recipients = [to] if isinstance(to, str) else to
        job = {
            "host": host,
            "port": port,
            "sender": sender,
            "recipients": recipients,
            "message": compose(sender, recipients, subject, body, headers),
        }
        done = self.run("python3", "-c", _SMTP, stdin=json.dumps(job), user=user)
        return {step: (code, text) for step, (code, text) in json.loads(done.stdout).items()}

    def maildir(self, folder: str = "", user: str = "user") -> list[email.message.EmailMessage]:
        """Return the messages in a user's maildir, oldest first.

        Args:
            folder: below ~/.maildir; "" is the inbox.
            user: whose.

        """
        script = (
            "import glob, json, os, sys\n"
            "found = [p for d in ('new', 'cur') for p in glob.glob(os.path.join(sys.argv[1], d, '*'))]\n"
            "found.sort(key=os.path.getmtime)\n"
            "json.dump([open(p, encoding='utf-8', errors='surrogateescape').read() for p in found], sys.stdout)\n"
        )
        top = f"/home/{user}/.maildir/{folder}".rstrip("/")
        texts = json.loads(self.run("python3", "-c", script, top).stdout)
        return [_parse(text) for text in texts]

    def queue(self) -> list[dict[str, Any]]:
        """Return the mail queue, as ``postqueue -j`` prints it."""
        return [json.loads(line) for line in self.run("postqueue", "-j").stdout.splitlines()]


def compose(
    sender: str | None, recipients: list[str], subject: str, body: str, headers: Mapping[str, str] | None
) -> str:
    """Return a message as a mail program writes it."""
    fields = {"From": sender} if sender else {}
    fields |= {"To": ", ".join(recipients), "Subject": subject, **(headers or {})}
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n" + body


def _parse(text: str) -> email.message.EmailMessage:
    raw = text.encode("utf-8", "surrogateescape")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


_SMTP = """\
import json, smtplib, sys
job = json.load(sys.stdin)
answers = {}
def note(step, answer):
    answers[step] = (answer[0], answer[1].decode("utf-8", "replace"))
    return answer[0] < 400
def talk():
    smtp = smtplib.SMTP(timeout=30)
    if not note("connect", smtp.connect(job["host"], job["port"])):
        return
    smtp.ehlo_or_helo_if_needed()
    if not note("sender", smtp.mail(job["sender"])):
        return
    accepted = [note(recipient, smtp.rcpt(recipient)) for recipient in job["recipients"]]
    if any(accepted):
        note("data", smtp.data(job["message"].encode("utf-8", "surrogateescape")))
    smtp.quit()
talk()
json.dump(answers, sys.stdout)
"""
