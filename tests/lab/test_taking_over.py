# SPDX-License-Identifier: Apache-2.0
"""One apply takes over a qube whose Postfix was set up by hand, after the recipe that the formula replaces."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique
from .delivery import assert_delivers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

CONFIG = "/usr/local/etc/postfix"
CONFIGURATION = "postfix_smarthost-appvm-configuration"
SOLE_START = "postfix_smarthost-appvm-sole-start"
OURS = """\
#!/bin/sh
# my own lines

export GREETING="hello  world"
if [ -x /usr/bin/true ]; then
\t/usr/bin/true
fi
"""
ACTIVATION = "mount --bind /usr/local/etc/postfix /etc/postfix\nsystemctl --no-block start postfix\n"
THEIRS = "su user -c 'fetchmail --daemon 60'\n# systemctl --no-block start postfix\ntouch /run/rc-local-ended"

MAIN_CF = """\
compatibility_level = 3.6
mydestination = $myhostname, localhost, localhost.localdomain, localdomain
mynetworks_style = host
inet_protocols = ipv4
smtp_generic_maps = hash:/etc/postfix/generic
local_header_rewrite_clients =
smtp_sender_dependent_authentication = yes
sender_dependent_relayhost_maps = hash:/etc/postfix/sender_relay
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/saslpass
smtp_sasl_security_options =
smtp_tls_security_level = encrypt
smtp_sasl_mechanism_filter = plain, login
smtpd_relay_restrictions = permit_mynetworks, defer_unauth_destination
smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/sender_access
home_mailbox = .maildir/
mailbox_command = /usr/bin/procmail
alias_maps = hash:/etc/aliases
# the user's own
message_size_limit = 20000000
header_checks =
    regexp:/etc/postfix/my_checks
transport_maps = hash:/etc/postfix/my_transport
"""

# In place of fetchmail: hands a message to localhost each tenth of a second, and notes what was taken.
FETCHER = """\
import smtplib, time
number = 0
while True:
    number += 1
    try:
        with smtplib.SMTP("127.0.0.1", local_hostname="localhost", timeout=10) as smtp:
            smtp.sendmail("somebody@c.test", ["user@localhost"], f"Subject: fetched-{number}\\n\\n.\\n")
    except (OSError, smtplib.SMTPException):
        pass
    else:
        with open("/home/user/fetched", "a") as log:
            log.write(f"fetched-{number}\\n")
    time.sleep(0.1)
"""


def set_up_by_hand(qube: Qube) -> None:
    """Do by hand what the recipe says, with additions of the user, and start the qube anew."""
    files = {
        "main.cf": MAIN_CF,
        "Makefile": "all:\n\tpostmap hash:saslpass\n",
        "generic": f"@localhost {ALICE.address}\n",
        "sender_relay": f"{ALICE.address} [smtp.a.test]:submission\nold@c.test [smtp.c.test]:submission\n",
        "saslpass": f"[smtp.a.test]:submission {ALICE.login}:{ALICE.password}\n",
        "sender_access": "spamdomain1.com DISCARD\n",
        "my_transport": "\n",
        "my_checks": "/^X-Unwanted:/ IGNORE\n",
        "saslpass.old": f"[smtp.a.test]:submission {ALICE.login}:an-older-one\n",
    }
    for name, text in files.items():
        qube.write(f"{CONFIG}/{name}", text)
    stock = "/usr/share/postfix/master.cf.dist"
    qube.run(
        "sh",
        "-c",
        f"sed 's/ y  / n  /' {stock} > {CONFIG}/master.cf && cp /etc/postfix/postfix-files {CONFIG} && cd {CONFIG} &&"
        " echo 'mine unix - n n - - pipe argv=/bin/true' >> master.cf &&"
        " for table in generic saslpass sender_access sender_relay my_transport; do postmap -c . hash:$table; done",
    )
    qube.write("/home/user/.procmailrc", "DEFAULT=$HOME/.maildir/\n", owner="user:user")
    qube.write("/rw/config/rc.local", OURS + ACTIVATION + THEIRS, mode="0755")
    qube.restart()
    qube.wait_for(lambda: qube.run("postqueue", "-p", check=False).returncode == 0, "Postfix to run")


def test_one_apply_takes_over_a_qube_set_up_by_hand(
    new_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    qube = new_qube(pillar=pillar(ALICE, BOB))
    set_up_by_hand(qube)
    waiting, held = unique(), unique()
    relay_a.stop()
    try:
        for subject in (waiting, held):
            qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        qube.wait_for(lambda: len(qube.queue()) == 2, "two messages in the old queue")
        qube.write("/run/fetcher", FETCHER)
        qube.run("systemd-run", "--unit=fetcher", "--uid=user", "python3", "/run/fetcher")
        qube.wait_for(
            lambda: qube.run("test", "-e", "/home/user/fetched", check=False).returncode == 0, "mail"
        )
        before = qube.tree("/rw/config", "/usr/local", "/etc")
        predicted = qube.apply("postfix_smarthost", test=True).check()
        assert qube.tree("/rw/config", "/usr/local", "/etc") == before
        applied = qube.apply("postfix_smarthost").check()
    finally:
        relay_a.start()
    assert applied.changed == predicted.predicted == list(applied.states)
    state = applied.states[CONFIGURATION]
    assert state["changes"] == predicted.states[CONFIGURATION]["changes"]
    assert applied.states[SOLE_START]["changes"] == predicted.states[SOLE_START]["changes"] == {"removed": 2}

    # Byte for byte, but for the two lines.
    assert qube.read("/rw/config/rc.local") == OURS + THEIRS
    assert qube.run("stat", "-c", "%a %U:%G", "/rw/config/rc.local").stdout == "755 root:root\n"
    notes = state["comment"].splitlines()[1:]
    assert notes == [
        "Parameters of main.cf that are not carried over: header_checks, message_size_limit, transport_maps.",
        "Services of master.cf that are not carried over: mine/unix.",
        "Senders that had a relay and have no account now: old@c.test.",
        f"Files that stay in {CONFIG} and are not used: my_checks, my_transport, my_transport.db, saslpass.old.",
        "/home/user/.procmailrc is not read any more: it is when the pillar has lists, or a folder of an account.",
        f"The old main.cf and master.cf are kept as {CONFIG}/main.cf.by-hand and {CONFIG}/master.cf.by-hand.",
    ]
    assert notes == predicted.states[CONFIGURATION]["comment"].splitlines()[1:]
    assert ALICE.password not in applied.printed + predicted.printed
    assert qube.read(f"{CONFIG}/main.cf.by-hand") == MAIN_CF
    left = qube.run("ls", CONFIG).stdout.split()
    assert not {*left} & {"Makefile", "generic", "saslpass", "saslpass.db", "sender_relay", "sender_relay.db"}

    qube.run("postqueue", "-f")
    for subject in (waiting, held):
        mail = relay_a.wait_for(subject, diagnosis=qube.diagnosis)
        assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    # What fetched mail goes on doing so, and nothing that was taken is lost.
    count = len(qube.read("/home/user/fetched").split())
    qube.wait_for(lambda: len(qube.read("/home/user/fetched").split()) > count + 3, "more fetched mail")
    qube.run("systemctl", "stop", "fetcher")
    taken = {*qube.read("/home/user/fetched").split()}
    qube.wait_for(lambda: taken <= {mail["Subject"] for mail in qube.maildir()}, "all that was fetched")

    second = qube.apply("postfix_smarthost").check()
    assert second.changed == []
    assert second.states[CONFIGURATION]["comment"] == "The configuration is in place."
    qube.restart()
    assert qube.run("test", "-e", "/run/rc-local-ended", check=False).returncode == 0
    subjects = {ALICE: unique(), BOB: unique()}
    for account, subject in subjects.items():
        qube.send(sender=account.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subjects[ALICE], diagnosis=qube.diagnosis).login == ALICE.login
    assert relay_b.wait_for(subjects[BOB], diagnosis=qube.diagnosis).login == BOB.login
    assert mx.connections() == []


# In place of mail programs: two that call sendmail(1) without a pause, and note what was taken.
SENDER = """\
import subprocess, sys
who, sender, recipient = sys.argv[1:]
number = 0
while True:
    number += 1
    text = f"Subject: {who}-{number}\\n\\nx\\n"
    if subprocess.run(["sendmail", "-i", "-f", sender, recipient], input=text, text=True).returncode == 0:
        with open(f"/home/user/{who}", "a") as log:
            log.write(f"{who}-{number}\\n")
"""


def test_nothing_that_is_handed_in_meanwhile_is_lost(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    """Some was once taken between the copy of the old queue and the mount of the new one, and covered by that."""
    qube = new_qube(pillar=pillar(ALICE))
    set_up_by_hand(qube)
    relay_a.forget()
    qube.write("/run/sender", SENDER)
    names = [unique("sender") for _ in range(2)]
    for name in names:
        command = ("python3", "/run/sender", name, ALICE.address, RECIPIENT)
        qube.run("systemd-run", f"--unit={name}", "--uid=user", *command)
    qube.wait_for(lambda: len(qube.run("ls", "/home/user").stdout.split()) == 2, "mail")
    assert direct.run(qube).error is None
    for name in names:
        qube.run("systemctl", "stop", name)
    taken = [subject for name in names for subject in qube.read(f"/home/user/{name}").split()]
    # A program that had begun before the mount has ended by now.
    qube.run("/rw/config/rc.local.d/50-postfix-smarthost.rc", "uplink")
    qube.wait_for(lambda: not qube.queue(), "the queue to be empty", 120, pause=1)

    def arrived() -> list[str]:
        return [mail.subject for mail in relay_a.received() if mail.subject in {*taken}]

    qube.wait_for(lambda: {*taken} <= {*arrived()}, f"all of {len(taken)} messages", 60, pause=1)
    assert len(taken) > 20
    assert mx.connections() == []


class ByHand:
    """A qube that was set up by hand, again and again.

    Args:
        qube: an untouched one.
        relay: of ALICE.

    """

    def __init__(self, qube: Qube, relay: Relay) -> None:
        self.qube, self.relay = qube, relay
        set_up_by_hand(qube)
        self._kept = qube.rw.with_name("by-hand")
        qube.shutdown()
        subprocess.run(["cp", "-a", str(qube.rw), str(self._kept)], check=True)
        qube.start()
        self.steps = direct.run(qube).steps

    def kill_and_boot(self, step: int) -> bool:
        """Kill the apply that takes it over before a step, cut the power, and send; return whether it had so many."""
        qube = self.qube
        qube.kill()
        subprocess.run(["rm", "-rf", str(qube.rw)], check=True)
        subprocess.run(["cp", "-a", str(self._kept), str(qube.rw)], check=True)
        qube.start()
        killed = direct.run(qube, kill_before=step).killed
        qube.kill()
        qube.start()
        qube.wait_for(lambda: qube.run("pgrep", "-x", "master", check=False).stdout, "Postfix to run")
        # It may wait: the main.cf made by hand, with the new master.cf, has no service that delivers.
        subject = unique()
        qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
        assert direct.run(qube).error is None
        qube.run("postqueue", "-f")
        assert self.relay.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
        assert qube.read("/rw/config/rc.local") == OURS + THEIRS
        return killed


def test_taking_over_that_is_killed_starts_postfix_at_the_next_boot(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    """The lines of rc.local once went before the boot script was there."""
    by_hand = ByHand(new_qube(pillar=pillar(ALICE)), relay_a)
    renames = {step: number for number, step in enumerate(by_hand.steps, 1) if step.startswith("os.rename")}
    for end in (f"-> {direct.BOOT_SCRIPT}", "-> /rw/config/rc.local"):
        # Before the file is there, and after it is.
        (number,) = [number for step, number in renames.items() if step.endswith(end)]
        assert by_hand.kill_and_boot(number)
        assert by_hand.kill_and_boot(number + 1)
    assert_delivers(by_hand.qube, relay_a)
    assert mx.connections() == []


@pytest.mark.soak
def test_taking_over_that_is_killed_at_each_of_its_steps(
    new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    by_hand = ByHand(new_qube(pillar=pillar(ALICE)), relay_a)
    step = 0
    while by_hand.kill_and_boot(step := step + 1):
        pass
    assert step > len(by_hand.steps) - 5
    assert mx.connections() == []
    print(f"by hand, power: {step - 1} steps, {step} messages sent, as many arrived")


def test_lines_of_rc_local_that_need_the_user_are_told(new_qube: Callable[..., Qube], relay_a: Relay) -> None:
    """To take a line out of a longer command, or the only one out of a block, would break the user's script."""
    qube = new_qube(pillar=pillar(ANN))
    script = (
        "#!/bin/sh\n"
        "if true; then\n  mount --bind /usr/local/etc/postfix /etc/postfix\nfi\n"
        "service postfix start || true\n"
    )
    qube.write("/rw/config/rc.local", script, mode="0755")
    for _ in range(2):
        comment = qube.apply("postfix_smarthost").check().states[SOLE_START]["comment"]
        assert [line for line in comment.splitlines() if "rc.local" in line] == [
            f"/rw/config/rc.local still mounts or starts Postfix by itself: take line {number} out."
            for number in (3, 5)
        ]
    assert qube.read("/rw/config/rc.local") == script
    subject = unique()
    qube.send(sender=ANN.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ANN.login


def test_a_broken_change_leaves_what_was_made_by_hand(new_qube: Callable[..., Qube], relay_a: Relay) -> None:
    """A failure of the first apply gives the hand-made configuration back, running."""
    qube = new_qube(pillar=pillar(ALICE))
    set_up_by_hand(qube)
    # Only with the formula's configuration does Postfix not start.
    qube.write(
        "/etc/systemd/system/postfix.service.d/lab.conf",
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q postfix_smarthost /etc/postfix/main.cf'\n",
    )
    qube.run("systemctl", "daemon-reload")
    before = qube.tree("/rw/config", "/usr/local")
    applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    assert "The old configuration is back in use." in applied.states[CONFIGURATION]["comment"]
    assert qube.tree("/rw/config", "/usr/local") == before
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login
