# SPDX-License-Identifier: Apache-2.0
"""Postfix's own programs read what is planned as it was meant."""

import os
import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

import smarthost_pillar
import smarthost_plan
import smarthost_settings
from tests.functional.qube import BOBS, Qube, unchanged
from tests.records import CASES, FACTS, password, randoms, record
from tests.samples import ALICE


def bulk_query(table: Path, config_dir: Path, kind: str, keys: list[str]) -> dict[str, str]:
    """Look up many keys at once: postmap(1) prints those that it has, with a tab before the value."""
    found = subprocess.run(
        ["/usr/sbin/postmap", "-c", config_dir, "-q", "-", f"{kind}:{table}"],
        input="".join(f"{key}\n" for key in keys).encode(),
        capture_output=True,
        check=True,
    )
    assert found.stderr == b""
    lines = found.stdout.decode("utf-8").split("\n")[:-1]
    return {key: value for key, _, value in (line.partition("\t") for line in lines)}


@pytest.mark.parametrize("kind", ["hash", "lmdb", "cdb", "texthash"])
def test_postfix_reads_the_tables_as_they_were_meant(
    loaders: object, tmp_path: Path, config_dir: Path, kind: str
) -> None:
    """Passwords of any shape through Postfix's own programs, hundreds in one table."""

    @given(randoms)
    @settings(max_examples=max(2, CASES // 500), deadline=None, phases=["generate"])
    def check(random: Random) -> None:
        passwords = [password(random) for _ in range(500)]
        accounts = [
            ALICE | {"address": f"{number}@example.com", "username": f"{number}", "password": text}
            for number, text in enumerate(passwords)
        ]
        files = smarthost_plan.plan(
            smarthost_pillar.normalise({"accounts": accounts}), "tables-a", FACTS
        ).files
        source = tmp_path / "saslpass"
        source.write_bytes(files["tables-a/saslpass"].content.encode())
        os.utime(source, (0, 0))
        loaders.modules.postmap.build(f"{kind}:{source}", config_dir=str(config_dir))
        meant = {f"{number}@example.com": f"{number}:{text}" for number, text in enumerate(passwords)}
        assert bulk_query(source, config_dir, kind, [*meant]) == meant

    check()


# An apply takes as long as the reading of hundreds of passwords.
@given(randoms)
@settings(max_examples=max(2, CASES // 50), deadline=None, phases=["generate"])
def each_record_is_applied(qube: Qube, random: Random) -> None:
    qube.record = record(random) | {"user": "user"}
    qube.applied()
    regular = smarthost_pillar.normalise(qube.record)
    for account in regular["accounts"]:
        for sender in account["senders"]:
            login = f"{account['username']}:{account['password']}" if account["auth"] == "password" else None
            assert qube.query(sender, "saslpass") == login
    unchanged(qube)


def test_any_good_pillar_is_applied(really_checked: Qube) -> None:
    each_record_is_applied(really_checked)


def test_postfix_knows_each_setting_that_may_be_tuned(
    configured: Qube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the least and the greatest value that is taken; postmap(1) reads those that all programs share."""
    for which in (0, -1):
        configured.record["settings"] = {
            name: setting.values[which] for name, setting in smarthost_settings.TUNABLE.items()
        } | {"message_size_limit": smarthost_settings.TUNABLE["message_size_limit"].values[0]}
        configured.applied()
        assert configured.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
