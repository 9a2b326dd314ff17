# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan and smarthost_sorting: where mail to the user goes."""

import re

import pytest

import smarthost_places
import smarthost_sorting
from smarthost_pillar import normalise
from tests.postfix_syntax import parameters
from tests.samples import ALICE
from tests.unit.plans import LISTS, main_cf, plan, services


def test_local_mail_goes_to_the_maildir() -> None:
    parameters = main_cf()
    assert parameters["home_mailbox"] == ".maildir/"
    assert parameters["mailbox_command"] == ""
    assert not [name for name in plan() if smarthost_places.is_sorting(name)]
    options = services()["reports unix"]
    for name in ("reports_uid", "reports_gid", "reports_home"):
        assert any(f"${name}" in option for option in options)
    assert (parameters["reports_uid"], parameters["reports_gid"], parameters["reports_home"]) == (
        "1000",
        "1001",
        "/home/user",
    )


def test_lists_are_sorted_by_procmail() -> None:
    files = plan({"lists": LISTS}, tables="tables-b")
    command = dict(parameters(files["main.cf"].content))["mailbox_command"]
    deliver = "/usr/local/etc/smarthost/sorting-b/deliver"
    assert command == f'/bin/sh {deliver} /usr/bin/procmail "$EXTENSION" || exit 75'
    # What cannot be sorted stays in the maildir: by itself procmail has a spool that is lost at shutdown.
    assert 'DEFAULT="$maildir/" ORGMAIL="$maildir/" ' in files["sorting-b/deliver"].content
    lines = files["sorting-b/procmailrc"].content.split("\n")
    assert lines[1:5] == [
        "SHELL=/bin/sh",
        "MAILDIR=$HOME/.maildir",
        "INCLUDERC=$HOME/.procmailrc",
        "MAILDIR=$HOME/.maildir",
    ]
    # A folder that ends in a slash is a maildir.
    assert [line for line in lines if line.endswith("/") and "=" not in line] == ["list/users/", "b/"]


def sorted_into(header: str) -> str | None:
    """The folder of the first recipe that matches, as procmail: extended expressions, not case sensitive."""
    lines = plan({"lists": LISTS})["sorting-a/procmailrc"].content.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("* ") and re.search(line[2:], header, re.IGNORECASE | re.MULTILINE):
            return lines[number + 1]
    return None


@pytest.mark.parametrize(
    ("header", "folder"),
    [
        ("List-Id: <users.example.com>", "list/users/"),
        ("list-id: Users of it <Users.Example.com>", "list/users/"),
        ("List-Id: users.example.com", "list/users/"),
        ("List-Id: <qubes-users.example.com>", None),
        ("List-Id: <x.users.example.com>", None),
        ("List-Id: <x+users.example.com>", None),
        ("List-Id: <users.example.com.au>", None),
        ("List-Id: <usersxexample.com>", None),
        ("X-List-Id: <users.example.com>", None),
        ("List-Id: <a+b.example>", "b/"),
        ("List-Id: <aab.example>", None),
    ],
)
def test_a_list_is_known_by_its_whole_identifier(header: str, folder: str | None) -> None:
    assert sorted_into(header) == folder


def test_folders_that_procmail_needs() -> None:
    record = {"lists": [*LISTS, {"list_id": "c", "folder": "x/y/z"}, {"list_id": "d", "folder": "list/d"}]}
    regular = normalise({"accounts": [ALICE]} | record)
    assert smarthost_sorting.maildirs(regular) == [".maildir", ".maildir/list", ".maildir/x", ".maildir/x/y"]
    assert smarthost_sorting.maildirs(normalise({"accounts": [ALICE]})) == [".maildir"]
