# SPDX-License-Identifier: Apache-2.0
"""The lines for mutt; test_programs.py in the lab gives them to the program."""

from __future__ import annotations

import re

import pytest

from smarthost_muttrc import lines


def line(text: str, begin: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(begin)]
    return found


def unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1])


def test_default_account_writes_and_each_address_is_the_own_one() -> None:
    text = lines(["bob@b.test", "alice@a.test", "@whole.test"], [])
    assert line(text, "set from") == 'set from = "bob@b.test"'
    pattern = unquoted(line(text, "alternates").partition(" ")[2])
    for own in ("bob@b.test", "alice@a.test", "anyone@whole.test"):
        assert re.search(pattern, own)
    for other in (
        "xbob@b.test",
        "bob@b.test.example",
        "bob@bxtest",
        "me@whole.test.example",
        "me@xwhole_test",
    ):
        assert not re.search(pattern, other)


@pytest.mark.parametrize("odd", ["a.b+c@d.test", "e{f}|g@d.test", "h*i?@d.test", "$j^k@d.test"])
def test_address_stands_for_itself(odd: str) -> None:
    pattern = unquoted(line(lines([odd], []), "alternates").partition(" ")[2])
    assert re.search(pattern, odd)
    assert not re.search(pattern, odd.replace("d.test", "dxtest"))


def test_folders_are_quoted_and_what_is_the_user_s_own_is_none() -> None:
    text = lines(["bob@b.test"], [".", "drafts", "list/a b", 'list/c"$d', "sent"])
    assert line(text, "mailboxes") == r'mailboxes "+" "+list/a b" "+list/c\"\$d"'
    assert "mailboxes" not in lines(["bob@b.test"], ["sent"])


def test_a_folder_is_written_in_from_its_sender_and_others_from_the_default() -> None:
    text = lines(["bob@b.test", "o'a$b@a.test"], ["list/a.b"], [("list/a.b", "o'a$b@a.test")])
    assert [unquoted(word) for word in re.findall(r'"(?:[^"\\]|\\.)*"', line(text, "folder-hook ."))] == [
        'set from = "bob@b.test"'
    ]
    folder, command = re.findall(r'"(?:[^"\\]|\\.)*"', line(text, 'folder-hook "'))
    assert re.search(unquoted(folder), "/home/user/.maildir/list/a.b")
    assert not re.search(unquoted(folder), "/home/user/.maildir/list/axb")
    assert unquoted(unquoted(command).partition(" = ")[2]) == "o'a$b@a.test"
    assert "folder-hook" not in lines(["bob@b.test"], ["list/a.b"])


def test_an_address_signs_by_its_file_and_others_by_the_usual_one() -> None:
    text = lines(["bob@b.test", "al.ice@a.test"], [], signed=["al.ice@a.test"])
    assert line(text, "send-hook ~A") == r'send-hook ~A "set signature = \"~/.signature\""'
    pattern, command = re.findall(r'"(?:[^"\\]|\\.)*"', line(text, 'send-hook "'))
    assert unquoted(pattern) == r"~f ^al\.ice@a\.test$"
    assert unquoted(command) == 'set signature = "~/.signature-al.ice@a.test"'
    assert "send-hook" not in lines(["bob@b.test"], [])
