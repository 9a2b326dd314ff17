# SPDX-License-Identifier: Apache-2.0
"""Show what the formula does, from a bare template and a bare qube: ``make demo``.

Each line of the report is what a mail provider's own record says, not what the qube says of itself. The exit code
is 1 if anything is not as the README promises.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from typing import TYPE_CHECKING

import yaml

from . import ALICE, ANN, BOB, RECIPIENT, Lab, LabError, pillar, unique
from .rootfs import RootfsError

if TYPE_CHECKING:
    from .accounts import Account
    from .qube import Qube
    from .relay import Mail, MailHost

ACCOUNTS = (ALICE, ANN, BOB)
UNLISTED = "somebody@else.test"
PATIENCE = 30
"""Seconds that a message may take, and that a step may take without a sign of life."""


class Progress(logging.Handler):
    """Prints each step with the time since the start, and a sign of life while one takes long."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._began = time.monotonic()
        self._told = threading.Event()
        threading.Thread(target=self._remind, daemon=True).start()

    def __call__(self, step: str) -> None:
        self._told.set()
        print(f"[{time.monotonic() - self._began:5.0f} s] {step}", flush=True)

    def emit(self, record: logging.LogRecord) -> None:
        self(record.getMessage())

    def _remind(self) -> None:
        while True:
            self._told.clear()
            if not self._told.wait(PATIENCE):
                self("still at it")


class Demo:
    """The qubes, and what came of the messages.

    Args:
        lab: the lab.

    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lines: list[str] = []
        self.failures: list[str] = []

    def build(self) -> Qube:
        """Return a qube with three accounts; its template and itself were untouched before."""
        for name in dict.fromkeys(account.relay for account in ACCOUNTS):
            self._lab.relay(name)
        # Where the user writes the accounts in dom0; the formula's own pillar reads it.
        file = self._lab.qubesctl.srv / "pillar/base/postfix_smarthost/qubes.yaml"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump({"mail": pillar(*ACCOUNTS)["postfix_smarthost"]}, default_style='"'))
        template = self._lab.template("debian-13-mail")
        template.apply("postfix_smarthost").check()
        qube = self._lab.qube("mail", template=template)
        qube.apply("postfix_smarthost").check()
        return qube

    def send(self, qube: Qube, when: str) -> None:
        """Send from each account and from an address that belongs to none, and note what came of it."""
        self._lab.progress(f"sending {len(ACCOUNTS) + 1} messages {when}")
        subjects = {address: unique() for address in (*(a.address for a in ACCOUNTS), UNLISTED)}
        for address, subject in subjects.items():
            qube.send(sender=address, to=RECIPIENT, subject=subject)
        self._lines += ["", f"{when[:1].upper()}{when[1:]}:"]
        for account in ACCOUNTS:
            self._note(account.address, self._arrival(account, subjects[account.address], qube))
        self._note(UNLISTED, self._bounce(subjects[UNLISTED], qube))
        self._check(not self._lab.mx.connections(), "the recipient's MX was contacted")

    def _arrival(self, account: Account, subject: str, qube: Qube) -> str:
        try:
            qube.wait_for(lambda: self._received(subject), f"the mail of {account.address}", PATIENCE)
        except LabError as error:
            self.failures.append(str(error))
            return "did not arrive"
        found = self._received(subject)
        outcomes = [f"{host.name}:{_port(host, mail)}  {mail.login:<12} {mail.tls}" for host, mail in found]
        facts = [
            (host.name, _port(host, mail), mail.login, mail.sender, mail.recipients) for host, mail in found
        ]
        expected = (account.relay, account.port, account.login, account.address, [RECIPIENT])
        self._check(facts == [expected], f"the mail of {account.address}: {facts} instead of {[expected]}")
        self._check(
            all(mail.tls in ("TLSv1.2", "TLSv1.3") for _, mail in found),
            f"the mail of {account.address} came without TLS",
        )
        return " and ".join(outcomes)

    def _bounce(self, subject: str, qube: Qube) -> str:
        def report() -> bool:
            return any(subject in message.as_string() for message in qube.maildir())

        try:
            qube.wait_for(report, "the report in ~/.maildir", PATIENCE)
            qube.wait_for(
                lambda: UNLISTED not in [mail["sender"] for mail in qube.queue()], "its end", PATIENCE
            )
        except LabError as error:
            self.failures.append(str(error))
            return "no report in ~/.maildir, or still queued"
        got = [host.name for host, _ in self._received(subject)]
        self._check(not got, f"the mail of {UNLISTED} is at {', '.join(got)}")
        return f"at {', '.join(got)}" if got else "nothing left the qube; report in ~/.maildir"

    def _received(self, subject: str) -> list[tuple[MailHost, Mail]]:
        """Return where a message is, whatever host it came to."""
        return [(host, mail) for host in self._lab.relays.values() for mail in host.received(subject)]

    def _note(self, sender: str, outcome: str) -> None:
        self._lines.append(f"  {sender:<20} {RECIPIENT:<22} {outcome}")

    def _check(self, as_promised: bool, failure: str) -> None:
        if not as_promised:
            self.failures.append(failure)

    def report(self) -> str:
        """Return what came of all messages."""
        connections = self._lab.mx.connections()
        head = f"  {'sender':<20} {'recipient':<22} {'relay':<16} {'logged in':<12} TLS"
        foot = f"Recipient's MX: {', '.join(connections) if connections else 'no connection'}"
        failed = ["", "NOT AS PROMISED:", *self.failures] if self.failures else ["", "All as promised."]
        return "\n".join(["", head, *self._lines, "", foot, *failed])


def _port(host: MailHost, mail: Mail) -> int:
    """Return the port that a message came in by, from the log of the host."""
    found = re.search(rf"postfix/(\w+)/smtpd\[\d+\]: {mail.queue_id}: client=", host.log())
    return {"submission": 587, "submissions": 465}[found[1]] if found else 25


def main() -> int:
    """Run the demonstration; return the exit code."""
    progress = Progress()
    logger = logging.getLogger(__package__)
    logger.addHandler(progress)
    logger.setLevel(logging.INFO)
    try:
        with Lab(progress) as lab:
            demo = Demo(lab)
            qube = demo.build()
            demo.send(qube, "after the apply")
            qube.restart()
            demo.send(qube, "after a restart of the qube, nothing applied again")
            report = demo.report()
    except (LabError, RootfsError) as error:
        print(f"\nThe demonstration came to an end: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(report)
    return 1 if demo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
