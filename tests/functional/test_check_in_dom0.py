# SPDX-License-Identifier: Apache-2.0
"""The check of qubes.yaml in dom0: all problems at once, each with its line, and no value."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.dom0.dom0 import install

SECRET = "y0urP4ssw0rd"


class Dom0:
    """A copy of what README.md puts into dom0."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.qubes_yaml = install(place)

    def check(self, text: str | None, mode: int = 0o600) -> tuple[int, str]:
        if text is not None:
            self.qubes_yaml.write_text(text, encoding="utf-8")
            self.qubes_yaml.chmod(mode)
        program = str(self.place / "dom0/postfix_smarthost_check.py")
        ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
        assert ended.stderr == ""
        assert SECRET not in ended.stdout
        assert ended.stdout.isascii()
        return ended.returncode, ended.stdout.replace(str(self.qubes_yaml), "qubes.yaml")


@pytest.fixture(scope="module")
def dom0(tmp_path_factory: pytest.TempPathFactory) -> Dom0:
    return Dom0(tmp_path_factory.mktemp("dom0"))


GOOD = f"""\
mail:
  accounts:
    - address: you@gmail.com
      password: '{SECRET}'
"""
BAD = {
    "two entries, each with its own": (
        GOOD.replace("password:", "pasword:")
        + GOOD.replace("mail:", "work:", 1).replace("you@gmail.com", "you@gmial.com"),
        [
            "line 3, column 7: mail: Account 1 (you@gmail.com) has an unknown key: did you mean password.",
            "line 3, column 7: mail: Account 1 (you@gmail.com) has no password",
            "line 7, column 7: work: Account 1 (you@gmial.com): gmial.com is no provider that is known here: did you",
        ],
    ),
    "a tab": (GOOD + "\tlists: []\n", ["qubes.yaml: line 5 is indented with a tab; YAML wants blanks."]),
    "an open quote, and one that closes it": (
        GOOD.replace(f"{SECRET}'", SECRET) + GOOD.replace("mail:", "work:"),
        ["qubes.yaml: the quote opened in line 4, column 17, is not closed in that line"],
    ),
    "without quotes": (GOOD.replace("'", ""), ["mail: line 4: put the password in single quotes"]),
    "a comment": (
        GOOD.replace(f"'{SECRET}'", f"{SECRET} #x"),
        ["mail: line 4: put the password in single quotes"],
    ),
    "typographic quotes": (
        GOOD.replace(f"'{SECRET}'", f"'\u2018{SECRET}\u2019'"),
        ["line 3, column 7: mail: Account 1 (you@gmail.com): the password begins or ends with a typographic"],
    ),
    "packages of a template that there are not": (
        f"{GOOD}debian-13-mail:\n  packages: [alpine]\n",
        ["line 6, column 3: debian-13-mail: package 1 must be one of fetchmail, mutt, neomutt."],
    ),
    "no name of a qube above the accounts": (
        GOOD.replace("mail:\n", ""),
        ["qubes.yaml: accounts has no name of a qube above it: write one"],
    ),
    "no name, and no indentation": (
        GOOD.replace("mail:\n", "").replace("\n  ", "\n").removeprefix("  "),
        ["qubes.yaml: accounts has no name of a qube above it: write one"],
    ),
    "a forgotten dash": (
        GOOD.replace("- address", "  address"),
        [
            "line 2, column 3: mail: accounts must be a list with at least one account (each item begins with a dash)."
        ],
    ),
    "an entry twice": (GOOD + GOOD, ["qubes.yaml: line 5 has the same key as line 1; keep one of the two."]),
    "a key twice": (
        GOOD + f"      password: '{SECRET}'\n",
        ["qubes.yaml: line 5 has the same key as line 4; keep one of the two."],
    ),
    "a number": (
        GOOD.replace(f"'{SECRET}'", "12345"),
        ["line 3, column 7: mail: Account 1 (you@gmail.com): password"],
    ),
    "no accounts": ("mail: {}\n", ["line 1, column 7: mail: "]),
    "an account for no provider": (
        GOOD.replace("gmail.com", "own.example"),
        ["line 3, column 7: mail: Account 1 (you@own.example): "],
    ),
    "defaults that a qube cannot have": (
        "defaults: {setings: {}}\n" + GOOD,
        ["line 3, column 3: mail: postfix_smarthost has an unknown key: did you mean settings."],
    ),
    "nested in itself": (
        "mail: &a\n  settings: &b {message_size_limit: *b}\n  accounts: []\n",
        ["line 1, column 7: mail: ", "line 1, column 7: mail: "],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_each_problem_is_told_with_its_line(dom0: Dom0, what: str) -> None:
    text, expected = BAD[what]
    code, said = dom0.check(text)
    assert code == 1
    lines = said.splitlines()
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        assert line.startswith(words)


def test_good_file_and_the_example_are_good(dom0: Dom0) -> None:
    assert dom0.check(GOOD) == (0, "qubes.yaml is good.\n")
    example = (ROOT / "pillar/postfix_smarthost/qubes.yaml.example").read_text(encoding="utf-8")
    assert dom0.check(example) == (0, "qubes.yaml is good.\n")
    template = "debian-13-mail:\n  packages: [fetchmail]\n"
    assert dom0.check(GOOD + template) == (0, "qubes.yaml is good.\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: b",
        "*abc",
        "%abc",
        "@abc",
        "`abc",
        '"a\\qb"',
        '"\\x1"',
        '"\\u12 "',
        "[abc",
        "{abc",
        "&a b",
        "!abc",
        "|abc",
    ],
)
def test_password_that_is_no_text_for_yaml_is_told_with_its_line(dom0: Dom0, text: str) -> None:
    code, said = dom0.check(GOOD.replace(f"'{SECRET}'", text))
    assert code == 1
    assert re.match(r"(qubes\.yaml: |mail: |line 3, column 7: mail: )", said)
    assert "quotes" in said
    assert "abc" not in said


def test_file_from_another_system_is_good(dom0: Dom0) -> None:
    """With CRLF, and with the mark that some editors put first."""
    assert dom0.check("\ufeff" + GOOD) == (0, "qubes.yaml is good.\n")
    assert dom0.check(GOOD.replace("\n", "\r\n")) == (0, "qubes.yaml is good.\n")


def test_missing_file_and_one_that_others_can_read_are_told(dom0: Dom0) -> None:
    dom0.qubes_yaml.unlink(missing_ok=True)
    code, said = dom0.check(None)
    assert (code, said.startswith("qubes.yaml is missing: copy qubes.yaml.example there")) == (1, True)
    code, said = dom0.check(GOOD, 0o644)
    assert (code, said) == (
        1,
        "qubes.yaml: it holds passwords and has mode 0644; run chmod 0600 on it in dom0.\n",
    )


def test_page_names_the_program() -> None:
    readme = (ROOT / "docs/package.md").read_text(encoding="utf-8")
    assert re.search(
        r"sudo /srv/formulas/base/postfix_smarthost-formula/dom0/postfix_smarthost_check\.py$", readme, re.M
    )
