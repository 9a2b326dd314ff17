# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured: an apply that fails says why, and leaves all as it was."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.changes import change_password
from tests.functional.qube import BOBS, LISTS, Qube, no_programs
from tests.malformed import MALFORMED


@pytest.mark.parametrize("before", [False, True], ids=["first", "later"])
def test_a_malformed_pillar_changes_nothing(
    request: pytest.FixtureRequest, before: bool, testmode: bool
) -> None:
    qube = request.getfixturevalue("configured" if before else "qube")
    world = qube.world()
    for name, malformed, sentences in MALFORMED:
        qube.record = malformed
        with no_programs():
            ret = qube.apply(testmode)
        assert (ret.result, ret.changes, ret.comment) == (False, {}, "\n".join(sentences)), name
        assert qube.world() == world, name


def fail_postconf(qube: Qube) -> str:
    qube.program(
        "postconf",
        'echo "postconf: warning: $2/main.cf: unused parameter: x=y" >&2; exec /usr/sbin/postconf "$@"',
    )
    return "so the old one stays in use: postconf: warning: main.cf: unused parameter"


def fail_check(qube: Qube) -> str:
    qube.program("postfix", 'echo "postfix: fatal: $2/x: bad" >&2; exit 1')
    return "Postfix refuses the configuration, so the old one stays in use: postfix: fatal: x: bad"


def fail_check_without_a_word(qube: Qube) -> str:
    qube.program("postfix", "exit 1")
    return "Postfix refuses the configuration, so the old one stays in use: exit code 1"


def fail_postmap(qube: Qube) -> str:
    qube.program("postmap", f'echo "postmap: fatal: {BOBS}: No space left on device" >&2; exit 1')
    return "was not compiled"


def fail_rows(qube: Qube) -> str:
    """Rows that are lost without a word."""
    qube.program("postmap", 'case $3 in *saslpass) : >"${3#hash:}" ;; esac; exec /usr/sbin/postmap "$@"')
    return "The table tables-a/saslpass was not compiled as it was written."


def fail_types(qube: Qube) -> str:
    qube.program("postconf", 'case "$*" in *-m*) echo static; exit ;; esac; exec /usr/sbin/postconf "$@"')
    return "The Postfix of this qube has no tables of the type hash: set table_type to another one."


def fail_aliases(qube: Qube) -> str:
    for file in (qube.root / "etc").glob("aliases.*"):
        file.unlink()
    return f"{qube.root}/etc/aliases is not compiled: apply postfix_smarthost to this machine again."


def fail_home(qube: Qube) -> str:
    qube.home.rmdir()
    return "No such file or directory"


def fail_maildir(qube: Qube) -> str:
    (qube.home / ".maildir").touch()
    return "File exists"


def fail_link(qube: Qube) -> str:
    """A link of the user's to where only root may write."""
    (qube.root / "of-root").mkdir(mode=0o755)
    (qube.home / ".maildir").symlink_to(qube.root / "of-root")
    qube.record["lists"] = LISTS
    return "Permission denied"


@pytest.mark.parametrize(
    "failure", [function for name, function in [*globals().items()] if name.startswith("fail_")]
)
@pytest.mark.parametrize("before", [False, True], ids=["first", "later"])
def test_a_failure_leaves_all_as_it_was(
    request: pytest.FixtureRequest, failure: Callable, before: bool
) -> None:
    qube = request.getfixturevalue("configured" if before else "qube")
    if before:
        change_password(qube)
        if failure in (fail_home, fail_maildir, fail_link):
            (qube.home / ".maildir").rmdir()
    sentence = failure(qube)
    world = qube.world()
    ret = qube.apply()
    assert (ret.result, ret.changes) == (False, {})
    assert sentence in ret.comment.replace("tables-b", "tables-a")
    assert ret.comment.isascii()
    assert "new-s3cret" not in ret.comment
    assert BOBS not in ret.comment
    assert qube.world() == world


@pytest.mark.parametrize(
    ("call", "number"),
    # Of the calls of os.replace, the last four are the swap.
    [("fsync", 1), ("fchmod", 3), ("mkdir", 4), *(("replace", number) for number in (1, 6, 7, 8, 9))],
)
def test_a_full_disk_leaves_all_as_it_was(
    configured: Qube, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """At several points of the way, those of the swap among them."""
    change_password(configured)
    configured.record["lists"] = LISTS
    world = configured.world()
    real, left = getattr(os, call), [number]

    def full(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        ret = configured.apply()
    assert left[0] <= 0, "the call is not made that often"
    assert (ret.result, ret.changes) == (False, {})
    assert "No space left on device" in ret.comment
    assert "Traceback" not in ret.comment
    assert configured.world() == world


# -- what the qube lacks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (
            "usr/lib/sasl2/libplain.so",
            "The package with the SASL mechanism PLAIN is not installed in this qube",
        ),
        ("ca-certificates.crt", "ca-certificates.crt is not installed in this qube"),
        ("procmail", "procmail, which sorts mail into folders, is not installed in this qube"),
    ],
)
def test_a_template_that_is_not_ready(qube: Qube, testmode: bool, missing: str, sentence: str) -> None:
    qube.record["lists"] = LISTS
    (qube.root / missing).unlink()
    qube._pillar["qubes"] = {"type": "app", "template": "debian-13-mail"}
    world = qube.world()
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert sentence in ret.comment
    assert "apply postfix_smarthost to its template debian-13-mail, shut the template down" in ret.comment
    assert qube.world() == world


def test_without_postfix(qube: Qube, testmode: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert (
        ret.comment == "Postfix is not installed in this qube: apply postfix_smarthost.template here first."
    )
    assert not qube.config_dir.exists()


def test_a_user_that_there_is_not(qube: Qube, testmode: bool) -> None:
    qube.record["user"] = "nobody-here"
    ret = qube.apply(testmode)
    assert (ret.result, ret.changes) == (False, {})
    assert ret.comment == (
        "There is no local user nobody-here to read the mail: name one in postfix_smarthost:user."
    )
    assert not qube.config_dir.exists()
