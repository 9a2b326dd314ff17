# SPDX-License-Identifier: Apache-2.0
"""Whatever may be tuned is tuned to both of its ends: mail is taken, leaves, waits and is reported.

All at once in a minute; one by one in the soak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from smarthost_settings import TUNABLE
from tests.samples import SECRET

from . import direct
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import MX, Relay

# A mail as it comes from a list: over many hosts, in parts of parts, with a boundary as long as they may be.
_OUTER, _INNER = "o" * 70, "i" * 70
_STRUCTURE = {"MIME-Version": "1.0", "Content-Type": f'multipart/mixed; boundary="{_OUTER}"'}
_PARTS = f"""\
--{_OUTER}
Content-Type: message/rfc822

Subject: a message in a message
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="{_INNER}"

--{_INNER}
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Gr\u00fc\u00dfe {"x" * 900}
--{_INNER}--

--{_OUTER}
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

{("QUFB" * 18 + chr(10)) * 600}
--{_OUTER}--
"""
_HOPS = "\n".join(
    f"Received: from h{hop}.test (h{hop}.test [192.0.2.{hop}]) by h{hop + 1}.test with ESMTP id {hop};"
    " Thu, 26 Nov 2026 01:00:00 +0000"
    for hop in range(1, 31)
)
_MANY = [RECIPIENT, *(f"r{number}@recipients.test" for number in range(60))]

# Settings that were taken once, and what they did.
_HARMFUL: dict[str, tuple[str, Any]] = {
    "all mail bounces, and no report is written": ("hopcount_limit", 1),
    "a message is thrown away as it is taken": ("queue_file_attribute_count_limit", 1),
    "nothing is taken": ("message_size_limit", 1),
    "nothing is taken as the disk is too small": ("message_size_limit", "999999999999999"),
    "nothing is taken as the disk is never free": ("queue_minfree", "999999999999999"),
    "daemons kill themselves": ("daemon_timeout", "1s"),
    "the queue manager kills itself": ("qmgr_daemon_timeout", "1s"),
    "one message a decade": ("smtp-starttls_transport_rate_delay", "999w"),
    "one local message a decade": ("local_transport_rate_delay", "999w"),
    "what waits bounces at once": ("maximal_queue_lifetime", 0),
    "a relay that hangs has all processes": ("default_process_limit", 5),
    "a relay that hangs has all the queue": ("qmgr_message_active_limit", 1),
    "a relay that hangs has as many processes as it likes": (
        "smtp-starttls_destination_concurrency_limit",
        0,
    ),
    "a refusal is never told": ("soft_bounce", True),
    "a wrong password holds up the others": ("smtp-starttls_destination_concurrency_failed_cohort_limit", 1),
    "relays far away are never reached": ("smtp_connect_timeout", "1s"),
    "what arrived is sent once more": ("smtp_data_done_timeout", "1s"),
    "what is signed is broken": ("smtp_line_length_limit", 1),
    "fetched mail is refused and lost": ("strict_7bit_headers", True),
}


def ends(which: int) -> dict[str, str]:
    """Each setting at one of its ends; a message must not be larger than the mailbox."""
    chosen = {name: setting.values[which] for name, setting in TUNABLE.items()}
    # This qube has no IPv6, and with a delay each message takes its time.
    slow = [name for name in chosen if name.endswith("_rate_delay")]
    return chosen | {"inet_protocols": "ipv4"} | ({} if which == 0 else dict.fromkeys(slow, "1s"))


@pytest.fixture(scope="module")
def qube(applied_qube: Callable[..., Qube], relay_a: Relay, relay_b: Relay) -> Qube:
    return applied_qube("mail-settings", pillar(ALICE, BOB), relay_a, relay_b)


def tune(qube: Qube, settings: dict[str, Any]) -> direct.Said:
    """Apply the accounts with some settings."""
    qube.pillar = pillar(ALICE, BOB, settings=settings)
    return direct.run(qube)


def assert_all_mail_goes(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """Mail by sendmail(1), by SMTP to many, what is fetched, and the report on a sender without an account."""
    one, many, fetched, stranger = (unique(what) for what in ("one", "many", "fetched", "stranger"))
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=one, body=_PARTS, headers=_STRUCTURE)
    answers = qube.send_smtp(sender=BOB.address, to=_MANY, subject=many)
    assert {code for code, _ in answers.values()} == {220, 250}, answers
    hops = {"X-Fetched": f"yes\n{_HOPS}", **_STRUCTURE}
    answers = qube.send_smtp(
        sender="else@else.test", to="user@localhost", subject=fetched, body=_PARTS, headers=hops
    )
    assert {code for code, _ in answers.values()} == {220, 250}, answers
    qube.send(sender="stranger@c.test", to=RECIPIENT, subject=stranger)
    mail = relay_a.wait_for(one, timeout=60, diagnosis=qube.diagnosis)
    assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    texts = [part.get_content() for part in mail.message.walk() if part.get_content_type() == "text/plain"]
    assert any("Gr\u00fc\u00dfe" in text for text in texts)
    assert relay_b.wait_for(many, timeout=60, diagnosis=qube.diagnosis).login == BOB.login
    qube.wait_for(
        lambda: {fetched, stranger} <= {word for mail in qube.maildir() for word in str(mail).split()},
        "the fetched message and the report",
        60,
    )


@pytest.mark.parametrize("which", [0, -1], ids=["least", "most"])
def test_mail_goes_with_all_settings_at_one_end(
    qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX, which: int
) -> None:
    """What waits meanwhile for a relay that is down goes as well, after a restart and another apply."""
    assert tune(qube, ends(which)).error is None
    assert_all_mail_goes(qube, relay_a, relay_b)
    waiting = unique("waiting")
    qube.network("down")
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=waiting)
    qube.wait_for(
        lambda: [m for m in qube.queue() if m["queue_name"] == "deferred"], "the message to wait", 60
    )
    qube.restart()
    assert direct.run(qube).changes == {}
    qube.network("up")
    qube.run("postqueue", "-f")
    assert relay_a.wait_for(waiting, timeout=90, diagnosis=qube.diagnosis).login == ALICE.login
    assert_all_mail_goes(qube, relay_a, relay_b)
    assert direct.run(qube, pillar=pillar(ALICE, BOB)).error is None
    assert mx.connections() == []


@pytest.mark.parametrize(("name", "value"), _HARMFUL.values(), ids=_HARMFUL)
def test_value_that_takes_a_promise_away_is_refused(qube: Qube, name: str, value: object) -> None:
    before = qube.tree("/usr/local/etc")
    said = direct.run(qube, pillar=pillar(ALICE, BOB, settings={name: value}))
    assert said.error is not None
    assert said.error.startswith(f"settings: {name} ")
    assert said.steps == []
    assert SECRET not in said.error
    assert qube.tree("/usr/local/etc") == before


@pytest.mark.soak
@pytest.mark.parametrize("which", [0, -1], ids=["least", "most"])
@pytest.mark.parametrize("name", sorted(name for name in TUNABLE if not name.endswith("_rate_delay")))
def test_mail_goes_with_one_setting_at_one_end(
    qube: Qube, relay_a: Relay, relay_b: Relay, name: str, which: int
) -> None:
    needed = {"message_size_limit": 100000} if name == "mailbox_size_limit" else {}
    value = ends(which)[name]
    assert tune(qube, {name: value, **needed}).error is None
    # systemd takes many restarts in a row for a failure.
    qube.run("systemctl", "reset-failed", "postfix")
    qube.run("systemctl", "restart", "postfix")
    assert_all_mail_goes(qube, relay_a, relay_b)
    assert direct.run(qube).changes == {}
