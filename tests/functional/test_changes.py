# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured: what is new or changed in the pillar is told and made."""

import os
import stat
import time
from collections.abc import Callable

import pytest

from tests.functional.changes import (
    change_account,
    change_default,
    change_discards,
    change_fingerprint,
    change_lists,
    change_password,
    change_relay,
    change_sender,
    change_settings,
    change_username,
)
from tests.functional.qube import ALICES, BOBS, LISTS, SUFFIXES, TABLES, Qube, changed, unchanged


def test_from_nothing(really_checked: Qube, testmode: bool) -> None:
    qube = really_checked
    changes = {
        "accounts": {"added": ["alice@example.com", "bob@example.org", "me@alias.example"]},
        "files": {
            "added": [
                "main.cf",
                "master.cf",
                "submit-policy",
                "submit-milter",
                "own-names",
                "local_recipients",
                "local_relay",
                "local_senders",
                "recipients",
                "sender_canonical",
                "smtp_generic",
                "smtp_header_checks",
                "strange_senders",
                "bounce_templates",
                "forwarded_sender",
                "smtp_delivery_status_filter",
                "smtpd_reject_footers",
                "smtpd_command_filter",
                "sender_relay",
                "saslpass",
                "sender_access",
                "tls_policy",
                "manifest",
            ]
        },
        "maildirs": {"added": [str(qube.home / ".maildir")]},
    }
    changed(qube, changes, testmode)
    if testmode:
        assert not qube.config_dir.exists()
        return
    qube.is_good()
    assert stat.S_IMODE(qube.config_dir.stat().st_mode) == 0o755
    assert stat.S_IMODE(qube.tables.stat().st_mode) == 0o755
    assert qube.query("me@alias.example", "sender_relay") == "smtp-starttls:[mail.example.com]:587"
    assert qube.query("<>", "sender_relay") == "reports:localhost.localdomain"
    assert qube.query("carol@example.com", "sender_relay") is None
    assert qube.query("alice@example.com", "saslpass") == f"alice@example.com:{ALICES}"
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    assert qube.query("spam.example", "sender_access") == "DISCARD"
    assert qube.query("user@localhost", "sender_canonical") == "user@localhost.localdomain"
    assert qube.holding(BOBS) == [
        f"usr/local/etc/postfix/{qube.tables.name}/{name}" for name in ("saslpass", "saslpass.db")
    ]
    assert (qube.config_dir / "main.cf").stat().st_mtime < time.time() - 3, (
        "Postfix waits for a fresh main.cf"
    )


def test_the_umask_does_not_matter(qube: Qube) -> None:
    """Under one of 077, sendmail(1) could not have read main.cf, nor procmail(1) its recipes."""
    umask = os.umask(0o077)
    try:
        qube.applied()
    finally:
        os.umask(umask)
    qube.is_good()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (qube.config_dir, qube.tables)} == {0o755}
    assert stat.S_IMODE((qube.config_dir / "main.cf").stat().st_mode) == 0o644


def test_maildirs_belong_to_the_user(qube: Qube, testmode: bool) -> None:
    qube.record["lists"] = LISTS
    added = qube.apply(testmode).changes["maildirs"]["added"]
    assert added == [str(qube.home / name) for name in (".maildir", ".maildir/list")]
    for name in added:
        assert os.path.isdir(name) is not testmode
        if not testmode:
            status = os.stat(name)
            assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o700, 12345, 54321)


@pytest.mark.parametrize(
    "change",
    [
        change_password,
        change_username,
        change_relay,
        change_sender,
        change_default,
        change_account,
        change_fingerprint,
        change_settings,
        change_lists,
        change_discards,
    ],
)
def test_a_change_is_told_and_made(configured: Qube, change: Callable, testmode: bool) -> None:
    tables = configured.tables
    changed(configured, change(configured), testmode)
    if not testmode:
        configured.is_good()
        # The directory that is in use is not written to.
        assert configured.tables != tables
        assert not tables.exists()


def test_a_removed_or_changed_password_leaves_the_disk(configured: Qube) -> None:
    change_password(configured)
    configured.applied()
    assert configured.holding(BOBS) == []
    change_account(configured)
    configured.applied()
    assert configured.holding(ALICES) == []
    assert len(configured.holding("new-s3cret")) == 2


def test_lists_come_and_go(qube: Qube) -> None:
    qube.record["lists"] = LISTS
    qube.applied()
    smarthost = qube.config_dir.parent / "smarthost"
    (rules,) = smarthost.rglob("procmailrc")
    assert (rules.parent.name[-1], rules.stat().st_mode & 0o7777) == (qube.tables.name[-1], 0o644)
    assert "list/users/" in rules.read_text().splitlines()
    del qube.record["lists"]
    changed(qube, {"files": {"removed": ["deliver", "procmailrc"], "changed": ["main.cf"]}}, test=False)
    assert not smarthost.exists()


# -- types of tables ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lmdb", "cdb", "texthash", "auto"])
def test_the_type_of_tables(really_checked: Qube, kind: str, testmode: bool) -> None:
    qube = really_checked
    qube.record["table_type"] = kind
    ret = qube.apply(testmode)
    assert ret.result is (None if testmode else True), ret.comment
    if testmode:
        return
    qube.is_good()
    suffix = SUFFIXES[qube.modules.postmap.default_type() if kind == "auto" else kind]
    assert {path.name for path in qube.tables.iterdir() if suffix and path.suffix} == {
        f"{name}{suffix}" for name in TABLES if suffix
    }
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    unchanged(qube)


@pytest.mark.parametrize("change", [("hash", "lmdb"), ("texthash", "cdb")])
def test_another_type_of_tables(qube: Qube, change: tuple[str, str]) -> None:
    qube.record["table_type"], other = change
    qube.applied()
    qube.record["table_type"] = other
    changed(qube, {"files": {"changed": ["main.cf", "manifest"]}}, test=False)
    qube.is_good()
    assert {path.suffix for path in qube.tables.iterdir()} == {"", SUFFIXES[other]}
