# SPDX-License-Identifier: Apache-2.0
"""A password that a program in dom0 prints at the apply."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_check_in_dom0 import Dom0 as Checked
from tests.functional.test_pillar import SECRET, Dom0

ACCOUNT = "mail: {{accounts: [{{address: you@gmail.com, password_command: {}}}]}}\n"


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    return Dom0(tmp_path)


def arrived(dom0: Dom0, *words: str) -> dict[str, Any]:
    dom0.write(ACCOUNT.format(json.dumps(words)))
    return dom0.pillar("mail")["postfix_smarthost"]


@pytest.mark.parametrize(
    "printed",
    [f"{SECRET}\\n", SECRET, f"{SECRET}\\r\\nlogin: me\\n", f"{SECRET}\\n\\n"],
    ids=["a line", "no line break", "CRLF and more lines", "an empty line"],
)
def test_first_line_is_the_password(dom0: Dom0, printed: str, capfd: pytest.CaptureFixture) -> None:
    (account,) = arrived(dom0, "printf", printed)["accounts"]
    assert account == {
        "address": "you@gmail.com",
        "password_base64": base64.b64encode(SECRET.encode()).decode(),
    }
    assert SECRET not in "".join(capfd.readouterr())


def test_no_shell_reads_it(dom0: Dom0, tmp_path: Path) -> None:
    (account,) = arrived(dom0, "echo", f"$(touch {tmp_path}/ran); `touch {tmp_path}/ran`")["accounts"]
    assert base64.b64decode(account["password_base64"]).startswith(b"$(touch")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sh", "-c", f"echo {SECRET}; echo {SECRET} >&2; exit 3"], "ended with exit code 3."),
        (["/nowhere/pass", SECRET], "cannot be run (No such file or directory)."),
        (["/etc"], "cannot be run (Permission denied)."),
        (["true"], "printed no password."),
        (["printf", "\\n"], "printed no password."),
        (["printf", "\\377\\n"], "printed what is not UTF-8."),
        (["sh", "-c", "kill -9 $$"], "ended with exit code -9."),
    ],
    ids=["fails", "not there", "not a program", "nothing", "an empty line", "Latin-1", "killed"],
)
def test_failure_is_a_sentence_and_nothing_is_sent(
    dom0: Dom0, words: list[str], said: str, capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    record = arrived(dom0, *words)
    assert record == {"errors": [f"{dom0.qubes_yaml}: account 1: password_command {said}"]}
    for output in (str(record), caplog.text, *capfd.readouterr()):
        assert SECRET not in output


def test_one_that_hangs_is_given_up(dom0: Dom0) -> None:
    program = dom0.root / "postfix_smarthost/init.sls"
    program.write_text(program.read_text().replace("TIMEOUT = 120", "TIMEOUT = 1"))
    assert arrived(dom0, "sleep", "60")["errors"][0].endswith("did not end within 1 seconds.")


@pytest.mark.parametrize("value", ["pass mail/me", "[]", "[1]", "{a: b}", "~"])
def test_it_is_a_list_of_words(dom0: Dom0, value: str) -> None:
    dom0.write(ACCOUNT.format(value))
    (error,) = dom0.pillar("mail")["postfix_smarthost"]["errors"]
    assert error.endswith(
        "account 1: password_command must be a list of words: the program and its arguments."
    )


def test_one_beside_a_password_is_refused(dom0: Dom0) -> None:
    dom0.write(ACCOUNT.format(f"[echo, x], password: '{SECRET}'"))
    (error,) = dom0.pillar("mail")["postfix_smarthost"]["errors"]
    assert error.endswith("account 1 has password and password_command: keep one of the two.")


def test_that_of_another_qube_is_not_run(dom0: Dom0, tmp_path: Path) -> None:
    other = ACCOUNT.format(f"[touch, {tmp_path}/ran]").replace("mail:", "work:")
    dom0.write(f"mail: {{accounts: [{{address: you@gmail.com, password: '{SECRET}'}}]}}\n{other}")
    assert "accounts" in dom0.pillar("mail")["postfix_smarthost"]
    assert dom0.pillar("vault") == {}
    assert not (tmp_path / "ran").exists()


def test_check_does_not_run_it(tmp_path: Path) -> None:
    place = tmp_path / "dom0"
    place.mkdir()
    checked = Checked(place)
    assert checked.check(ACCOUNT.format(f"[touch, {tmp_path}/ran]")) == (0, "qubes.yaml is good.\n")
    assert not (tmp_path / "ran").exists()
