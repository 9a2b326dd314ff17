# SPDX-License-Identifier: Apache-2.0
"""What was made by hand is recognised, and nothing else is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smarthost_by_hand

MOUNT = "mount --bind /usr/local/etc/postfix /etc/postfix"
START = "systemctl --no-block start postfix"


@pytest.mark.parametrize(
    "line",
    [
        MOUNT,
        START,
        f"  {MOUNT}  # postfix",
        "/bin/mount -o bind /rw/usrlocal/etc/postfix/ /etc/postfix/",
        "/usr/bin/systemctl start postfix.service",
        "systemctl start --no-block postfix",
        "systemctl restart postfix",
    ],
)
def test_a_line_that_activates_goes(line: str) -> None:
    found = smarthost_by_hand.rc_local(f"#!/bin/sh\n{line}\necho done")
    assert found == {"text": "#!/bin/sh\necho done", "removed": 1, "related": []}


@pytest.mark.parametrize(
    ("text", "related"),
    [
        (f"#!/bin/sh\n# {START}\n", []),
        (f"{MOUNT} || exit 1\n", [1]),
        (f"true &&\\\n{START}\n", [2]),
        # Without the rest of their command, the lines that follow would not run.
        (f"mountpoint -q /etc/postfix ||\n  {MOUNT}\ntouch /run/x\n", [2]),
        (f"true && # so\n{START}\n", [2]),
        (f"true |\n{START}\n", [2]),
        (f"cat > /run/x <<END\n{MOUNT}\nEND\n", [2]),
        ("a\nservice postfix start\n", [2]),
        ("mount --bind /home/user/postfix /etc/postfix\n", [1]),
        ("systemctl start postfix@-\n", [1]),
        ("systemctl --no-block start fetchmail\n", []),
        ("mount --bind /usr/local/etc/mutt /etc/mutt\n", []),
        ("ls /etc/postfix\n", []),
        ("", []),
    ],
)
def test_any_other_line_stays(text: str, related: list[int]) -> None:
    assert smarthost_by_hand.rc_local(text) == {"text": text, "removed": 0, "related": related}


# Without what joins lines: test_rc_local_quotes.py has that.
ANYTHING = st.text(st.characters(exclude_characters="<\\'\"`(|&", exclude_categories=["Cs"]))
LINES = st.sampled_from([MOUNT, START, "", "x \t", f"# {START}", "\r"])


@given(st.lists(LINES | st.text(), max_size=9))
def test_nothing_but_what_activates_goes(lines: list[str]) -> None:
    text = "\n".join(lines)
    left = iter(smarthost_by_hand.rc_local(text)["text"].splitlines(keepends=True))
    line = next(left, None)
    gone = []
    for each in text.splitlines(keepends=True):
        if each == line:
            line = next(left, None)
        else:
            gone.append(each.strip("\n"))
    assert line is None
    assert {*gone} <= {MOUNT, START}


@given(st.lists(LINES | ANYTHING, max_size=9), st.booleans())
def test_all_else_stays_character_for_character(lines: list[str], ends: bool) -> None:
    text = "\n".join(lines) + "\n" * ends
    kept = [line for line in re.findall(r"[^\n]*\n|[^\n]+", text) if line.strip("\n") not in (MOUNT, START)]
    assert smarthost_by_hand.rc_local(text)["text"] == "".join(kept)


def test_parameters_over_several_lines() -> None:
    main_cf = "# a = b\n a = b\nx=1\ny =\n  2,\n# between\n  3 = 4\n\nz= $y  5\n"
    assert smarthost_by_hand.parameters(main_cf) == {"a": "b", "x": "1", "y": "2, 3 = 4", "z": "$y 5"}


def test_services_of_a_master_cf() -> None:
    master_cf = "#smtps inet n - y - - smtpd\nsmtp inet n - y - - smtpd\n  -o a=b\nmine unix - n n - - pipe\n  argv=x\n"
    assert smarthost_by_hand.services(master_cf) == {"smtp/inet", "mine/unix"}


def test_what_is_not_carried_over_is_named() -> None:
    old = {
        "main.cf": "relayhost = x\nmynetworks_style = host\nbiff = no\n",
        "master.cf": "smtp inet n - y - - smtpd\nuucp unix - n n - - pipe\nmine unix - n n - - pipe\n",
        "sender_relay": "# c\nA@b.test  [x]:25\nold@b.test [x]:25\n",
    }
    new = {
        "main.cf": "relayhost =\nbiff = no\n",
        "master.cf": "smtp inet n - n - - smtpd\n",
        "sender_relay": "a@b.test smtp:[x]:587\n",
    }
    assert smarthost_by_hand.not_carried_over(old, new) == {
        "parameters": ["relayhost"],
        "services": ["mine/unix"],
        "senders": ["old@b.test"],
    }
