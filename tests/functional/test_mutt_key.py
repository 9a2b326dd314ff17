# SPDX-License-Identifier: Apache-2.0
"""The key mutt of the pillar, on disk; what mutt makes of it is in tests/lab/test_mutt_key.py."""

import os
import pwd
from types import SimpleNamespace

import pytest

import smarthost_mutt_line
from tests.functional.qube import Qube


@pytest.fixture(autouse=True)
def _reachable(configured: Qube) -> None:
    """What is the user's, the user has to reach."""
    configured.root.parent.chmod(0o711)


def applied(qube: Qube, test: bool) -> SimpleNamespace:
    """Apply; with test=True nothing is written."""
    before = qube.world()
    ret = qube.apply(test)
    assert ret.result is (None if test and ret.changes else True), ret.comment
    if test:
        assert qube.world() == before
    return ret


def test_the_line_is_told_put_and_taken_back(configured: Qube, testmode: bool) -> None:
    muttrc = configured.home / ".muttrc"
    configured.record["mutt"] = True
    ret = applied(configured, testmode)
    assert ret.changes == {"muttrc": {"added": [str(muttrc)]}}
    assert muttrc.exists() is not testmode
    if testmode:
        return
    status = muttrc.stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)
    assert applied(configured, test=False).changes == {}
    configured.record["mutt"] = False
    assert applied(configured, test=True).changes == {"muttrc": {"removed": [str(muttrc)]}}
    assert applied(configured, test=False).changes == {"muttrc": {"removed": [str(muttrc)]}}
    assert not muttrc.exists()
    assert applied(configured, test=False).changes == {}


@pytest.mark.parametrize("there", [[], ["mutt"], ["neomutt"]])
def test_a_program_that_is_missing_is_told(configured: Qube, there: list[str]) -> None:
    for name in there:
        configured.program(name, "exit 1")
    configured.record["mutt"] = True
    told = applied(configured, test=False).comment
    assert (smarthost_mutt_line.MISSING in told) is (there == [])


@pytest.mark.parametrize(
    "own",
    [
        'source "postfix-smarthost muttrc |"',
        "source 'postfix-smarthost muttrc|'",
        "  source\t'postfix-smarthost  muttrc |' # mine",
    ],
)
def test_a_line_of_the_user_s_is_enough(configured: Qube, own: str) -> None:
    muttrc = configured.home / ".muttrc"
    muttrc.write_text(f"set wrap = 72\n{own}")
    configured.record["mutt"] = True
    assert applied(configured, test=False).changes == {}
    configured.record["mutt"] = False
    assert applied(configured, test=False).changes == {}
    assert muttrc.read_text() == f"set wrap = 72\n{own}"


def test_a_comment_about_the_line_is_none(configured: Qube) -> None:
    muttrc = configured.home / ".muttrc"
    text = '# source "postfix-smarthost muttrc |"\r\nset realname = "\udce4"'
    muttrc.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    os.chown(muttrc, 12345, 54321)
    muttrc.chmod(0o640)
    configured.record["mutt"] = True
    assert applied(configured, test=False).changes == {"muttrc": {"added": [str(muttrc)]}}
    assert muttrc.stat().st_mode & 0o777 == 0o640
    configured.record["mutt"] = False
    applied(configured, test=False)
    assert muttrc.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_file_that_the_user_cannot_read_stays(configured: Qube) -> None:
    muttrc = configured.home / ".muttrc"
    muttrc.write_text("set from = me@example.com\n")
    muttrc.chmod(0o600)
    configured.record["mutt"] = True
    ret = configured.apply()
    assert (ret.result, ret.comment) == (False, f"{muttrc} cannot be read: Permission denied.")
    assert muttrc.read_text() == "set from = me@example.com\n"


@pytest.mark.parametrize(
    "odd", ["a file in the place of a directory", "a directory", "one of root's", "a loop"]
)
def test_odd_files_are_no_hindrance_without_the_key(configured: Qube, odd: str) -> None:
    place = configured.home / ".mutt"
    if odd == "a loop":
        place.symlink_to(".mutt")
    elif odd == "a directory":
        (place / "muttrc").mkdir(parents=True)
    elif odd == "one of root's":
        place.mkdir(mode=0o700)
        (place / "muttrc").write_text("set from = me@example.com\n")
    else:
        place.write_text("")
    assert applied(configured, test=False).changes == {}


def test_another_user_gets_it_and_the_former_one_gives_it_back(
    configured: Qube, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured.record["mutt"] = True
    applied(configured, test=False)
    home = configured.root / "home/other"
    home.mkdir()
    os.chown(home, 23456, 23456)
    other = pwd.struct_passwd(("other", "x", 23456, 23456, "", str(home), "/bin/sh"))
    known = {"user": pwd.getpwnam("user"), "other": other}
    monkeypatch.setattr(pwd, "getpwnam", known.__getitem__)
    configured.record["user"] = "other"
    ret = applied(configured, test=False)
    assert ret.changes["muttrc"] == {
        "added": [str(home / ".muttrc")],
        "removed": [str(configured.home / ".muttrc")],
    }
    assert not (configured.home / ".muttrc").exists()
