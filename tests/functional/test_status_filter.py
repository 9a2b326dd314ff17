# SPDX-License-Identifier: Apache-2.0
"""smtp_delivery_status_filter: which of smtp(8)'s final errors wait, as Postfix's own look-up reads the table."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import smarthost_relays

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ("5.4.4 Host or domain name not found. Name service error for name=a.b type=A: Host not found", True),
        (
            "5.4.3 Host or domain name not found. Name service error for name=a.b type=A: Malformed reply",
            True,
        ),
        ("5.4.6 mail for a.b loops back to myself", True),
        ("5.3.0 unable to look up host a.b: Non-recoverable failure in name resolution", True),
        ("5.7.1 host a.b[192.0.2.1] refused to talk to me: 550 5.7.1 no", True),
        ("5.5.0 Protocol error: host a.b[192.0.2.1] said: 220 what (in reply to MAIL FROM command)", True),
        ("5.7.0 host a.b[192.0.2.1] said: 530-5.7.0 Must log in (in reply to MAIL FROM command)", True),
        ("5.7.9 host a.b[192.0.2.1] said: 534 5.7.9 too weak (in reply to MAIL FROM command)", True),
        ("5.4.4 host a.b[192.0.2.1] said: 550 5.4.4 no such domain (in reply to RCPT TO command)", False),
        (
            "5.0.0 host a.b[192.0.2.1] said: 553 x refused to talk to me: 530 (in reply to RCPT TO command)",
            False,
        ),
        (
            "5.7.1 host a.b[192.0.2.1] said: 550 host c[d] said: 530 x (in reply to end of DATA command)",
            False,
        ),
        ("5.3.4 message size 12 exceeds size limit 10 of server a.b[192.0.2.1]", False),
        ("5.6.7 message requires SMTPUTF8, but no server was found that supports SMTPUTF8.", False),
        ("5.1.1 host a.b[192.0.2.1] said: 550 5.1.1 530 Main Street (in reply to RCPT TO command)", False),
    ],
)
def test_trouble_with_the_relay_waits(tmp_path: Path, status: str, waits: bool) -> None:
    (tmp_path / "main.cf").write_text("compatibility_level = 9999\n")
    table = tmp_path / "filter"
    table.write_text(smarthost_relays.STATUS_FILTER)
    found = subprocess.run(
        ["postmap", "-c", str(tmp_path), "-q", status, f"regexp:{table}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    assert found.stdout.rstrip("\n") == (f"4{status[1:]}" if waits else "")
