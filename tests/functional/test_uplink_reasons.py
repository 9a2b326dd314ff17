# SPDX-License-Identifier: Apache-2.0
"""For which messages the boot script looks whether their relay can be reached, by what the queue says of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import smarthost_boot_uplink

# Without what runs when it is read.
WATCH = smarthost_boot_uplink.TEXT.replace('\nmain "$@"\n', "\n")

ALICE, BOB, CAROL = "alice@a.test", "bob@b.test", "me+tag@c.test"
RELAYS = """\
# Managed
alice@a.test smtp-starttls:[smtp.a.test]:587
bob@b.test smtp-implicit:[smtp.b.test]:465
@c.test smtp-starttls:[10.0.0.9]:2525
<> reports:localhost.localdomain
"""
WAYS = {
    ALICE: "smtp-starttls smtp.a.test 587",
    BOB: "smtp-implicit smtp.b.test 465",
    CAROL: "smtp-starttls 10.0.0.9 2525",
}

# As Postfix 3.7 to 3.11 put it (src/smtp, src/dns), and as they were seen in the lab.
NOT_REACHED = (
    "connect to smtp.a.test[10.138.0.6]:587: Connection refused",
    "connect to smtp.a.test[10.138.0.6]:587: Connection timed out",
    "connect to smtp.a.test[10.138.0.6]:587: No route to host",
    "connect to smtp.a.test[2001:db8::587]:587: Network is unreachable",
    "delivery temporarily suspended: connect to smtp.a.test[10.138.0.6]:587: Connection refused",
    "Host or domain name not found. Name service error for name=smtp.a.test type=A: Host not found, try again",
    "Host or domain name not found. Name service error for name=smtp.a.test type=AAAA: Host not found",
    "Name service error for name=smtp.a.test type=A: Malformed or unexpected name server reply",
    # With smtp_host_lookup = native.
    "unable to look up host smtp.a.test: Temporary failure in name resolution",
    "unable to look up host smtp.a.test: Name or service not known",
    "delivery temporarily suspended: unable to look up host smtp.a.test: Temporary failure in name resolution",
    "smtp.a.test: host not found",
    "lost connection with smtp.a.test[10.138.0.6] while receiving the initial server greeting",
    "conversation with smtp.a.test[10.138.0.6] timed out while receiving the initial server greeting",
    "lost connection with smtp.a.test[10.138.0.6] while sending message body",
    "Cannot start TLS: handshake failure",
    "Server certificate not verified",
    "Server certificate not trusted",
    "TLS is required, but was not offered by host smtp.a.test[10.138.0.6]",
)
# What has to wait for something else, and what others make of the words of Postfix.
REFUSED = (
    "SASL authentication failed; server smtp.a.test[10.138.0.6] said: 535 5.7.8 Error: authentication failed",
    "delivery temporarily suspended: SASL authentication failed; server smtp.a.test[10.138.0.6] said: 535",
    "host smtp.a.test[10.138.0.6] said: 451 4.3.0 connect to smtp.a.test[10.138.0.6]:587: Connection refused",
    "host smtp.a.test[10.138.0.6] said: 450 Name service error for name=smtp.a.test type=A: try again",
    'host smtp.a.test[10.138.0.6] said: 451 4.3.0 ", "delay_reason": "connect to smtp.a.test[10.138.0.6]:587: x',
    'host smtp.a.test[10.138.0.6] said: 451 \\", "delay_reason": "lost connection with smtp.a.test[1] while x',
    "host smtp.a.test[10.138.0.6] said: 451 4.3.0\nconnect to smtp.a.test[10.138.0.6]:587: Connection refused",
    "host smtp.a.test[10.138.0.6] refused to talk to me: 421 4.7.0 too many connections",
    "host smtp.a.test[10.138.0.6] refused to talk to me: 554 lost connection with you",
    "delivery temporarily suspended: host smtp.a.test[10.138.0.6] refused to talk to me: 421 later",
    "temporary failure. Command output: procmail: connect to x",
    "mail transport unavailable",
)


def row(
    sender: str, *reasons: str, queue: str = "deferred", number: int = 1, address: str = "r@x.test"
) -> str:
    """A line as `postqueue -j` writes it."""
    recipients = [{"address": address, "delay_reason": reason} for reason in reasons] or [
        {"address": address}
    ]
    return json.dumps(
        {
            "queue_name": queue,
            "queue_id": f"4jZ{number:012}",
            "arrival_time": 1,
            "message_size": 300,
            "forced_expire": False,
            "sender": sender,
            "recipients": recipients,
        }
    )


@pytest.fixture
def unreached(tmp_path: Path) -> object:
    """Give a function that runs the script's own on lines of the queue, and returns what it prints."""
    (tmp_path / "sender_relay").write_text(RELAYS)

    def run(*rows: str) -> list[str]:
        (tmp_path / "queue").write_text("".join(f"{line}\n" for line in rows))
        (tmp_path / "postqueue").write_text(f"#!/bin/sh\ncat {tmp_path}/queue\n")
        (tmp_path / "postqueue").chmod(0o755)
        script = f"{WATCH}\ntables={tmp_path}\nunreached\n"
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C"}
        done = subprocess.run(
            ["bash", "-uc", script], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


def test_relay_that_was_not_reached_is_looked_for(unreached) -> None:  # noqa: ANN001
    rows = [row(ALICE, reason, number=number) for number, reason in enumerate(NOT_REACHED)]
    assert unreached(*rows) == [f"{ALICE} {WAYS[ALICE]} 4jZ{n:012}" for n in range(len(NOT_REACHED))]


def test_what_waits_for_something_else_is_left_alone(unreached) -> None:  # noqa: ANN001
    """Above all a password that is refused: each try more is one towards a lock-out."""
    rows = [row(ALICE, reason, number=number) for number, reason in enumerate(REFUSED)]
    assert unreached(*rows) == [f"{ALICE} {WAYS[ALICE]} -"] * len(REFUSED)


def test_relay_of_a_message_is_that_of_its_sender(unreached) -> None:  # noqa: ANN001
    """Whatever host and port another account's reason names."""
    reason = "connect to smtp.a.test[10.138.0.6]:2525: Connection refused"
    senders = [ALICE, "ALICE@A.test", "alice+list@a.test", BOB, CAROL, "other@c.test"]
    found = unreached(*(row(sender, reason, number=number) for number, sender in enumerate(senders)))
    accounts = [ALICE, ALICE, ALICE, BOB, CAROL, CAROL]
    assert found == [
        f"{sender.lower()} {WAYS[account]} 4jZ{number:012}"
        for number, (sender, account) in enumerate(zip(senders, accounts, strict=True))
    ]


def test_messages_of_nobody_s_account_and_odd_ones_are_passed_over(unreached) -> None:  # noqa: ANN001
    odd = [
        "MAILER-DAEMON",
        "",
        'a"b@a.test',
        "back\\slash@a.test",
        "x@other.test",
        "alice@a.test.evil.test",
        "@a.test",
    ]
    assert unreached(*(row(sender, NOT_REACHED[0]) for sender in odd)) == []


def test_one_recipient_of_several_is_enough_and_no_reason_is_one(unreached) -> None:  # noqa: ANN001
    assert unreached(row(ALICE, REFUSED[2], NOT_REACHED[0], number=7)) == [
        f"{ALICE} {WAYS[ALICE]} 4jZ000000000007"
    ]
    # As of what was brought in without its log, or restored.
    assert unreached(row(ALICE, number=8)) == [f"{ALICE} {WAYS[ALICE]} 4jZ000000000008"]


@pytest.mark.parametrize("queue", ["active", "incoming", "hold", "maildrop", "corrupt"])
def test_only_what_is_deferred_is_tried(unreached, queue: str) -> None:  # noqa: ANN001
    assert unreached(row(ALICE, NOT_REACHED[0], queue=queue)) == [f"{ALICE} {WAYS[ALICE]} -"]


def test_recipient_cannot_speak_for_the_queue(unreached) -> None:  # noqa: ANN001
    address = '"queue_name": "deferred", "delay_reason": "connect to x"@x.test'
    assert unreached(row(ALICE, REFUSED[0], address=address)) == [f"{ALICE} {WAYS[ALICE]} -"]
    assert unreached(row(ALICE, REFUSED[0], queue="hold", address=address)) == [f"{ALICE} {WAYS[ALICE]} -"]


@pytest.mark.parametrize("there", ["", "smtp.a.test:587"], ids=["away", "back"])
@pytest.mark.parametrize(
    "command", ["`touch${IFS}ran`", "$(touch${IFS}ran)", "x[$(touch${IFS}ran)]", "];touch${IFS}ran;["]
)
def test_address_of_a_sender_is_never_run(tmp_path: Path, command: str, there: str) -> None:
    """RFC 5322 allows these in one; unset and arithmetic of bash evaluate what is between brackets."""
    script = f"""{WATCH}
state={tmp_path}
find() {{ echo one; }}
find_tables() {{ :; }}
unreached() {{ printf '%s %s\\n' "$SENDER" 'smtp-starttls smtp.a.test 587 4jZ1'; }}
reached() {{ echo "$THERE"; }}
retry() {{ echo "tried $*"; }}
for _ in 1 2 3; do
    try_again
    sed -i 's/ [0-9]* \\([0-9]*\\)$/ 0 \\1/' "$state/pauses"
done
"""
    environment = {**os.environ, "SENDER": f"alice+{command}@a.test", "THERE": there, "LC_ALL": "C"}
    done = subprocess.run(
        ["bash", "-uc", script], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["tried 4jZ1"] * (3 if there else 0)
    assert not (tmp_path / "ran").exists()


def test_sender_with_a_blank_is_left_to_postfix(unreached) -> None:  # noqa: ANN001
    """It would be more than one word to the script."""
    assert unreached(row("a b@c.test", NOT_REACHED[0])) == []
