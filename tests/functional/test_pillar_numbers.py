# SPDX-License-Identifier: Apache-2.0
"""Numbers in qubes.yaml: a port that begins with a zero is told, and not taken for the octal number of YAML 1.1."""

from pathlib import Path

import pytest

from smarthost_pillar import check, problems
from tests.functional.test_pillar import Dom0

ACCOUNT = "mail:\n  accounts:\n    - {{address: a@example.com, relay: mail.example.com, {}: {}{}}}\n"
PASSWORD = ", password: 'x'"
OCTAL = (
    "Account 1 (a@example.com): port begins with a zero, which makes it another number for YAML: write 465, 587 or the"
    " like."
)


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    return Dom0(tmp_path)


@pytest.mark.parametrize("port", ["0465", "025", "02525", "0587", "01025"])
def test_octal_port_is_told(dom0: Dom0, port: str) -> None:
    dom0.write(ACCOUNT.format("port", port, PASSWORD))
    assert problems(dom0.pillar("mail")["postfix_smarthost"]) == [OCTAL]


@pytest.mark.parametrize(("port", "number"), [("465", 465), ("587", 587), ("0x1D1", 465), ("25", 25)])
def test_other_numbers_are_what_they_are(dom0: Dom0, port: str, number: int) -> None:
    dom0.write(ACCOUNT.format("port", port, PASSWORD))
    record, found = check(dom0.pillar("mail")["postfix_smarthost"])
    assert found == []
    assert record["accounts"][0]["port"] == number


@pytest.mark.parametrize("password", ["123", "0123", "0", "0x1F", "12:34:56", "1_000", "1e3", "true", "~"])
def test_password_that_is_no_text_is_told(dom0: Dom0, password: str) -> None:
    """1e3 is text to YAML 1.1, which wants a point in it."""
    dom0.write(ACCOUNT.format("password", password, ""))
    (told,) = problems(dom0.pillar("mail")["postfix_smarthost"])
    sentence = "Account 1 (a@example.com): password is not text for YAML: put it in quotes."
    assert told == sentence if password != "1e3" else "put the password in single quotes" in told
