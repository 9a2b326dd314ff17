# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.configured: what was changed on disk is healed by one apply."""

import os
from collections.abc import Callable

import pytest

from tests.functional.qube import BOBS, SUFFIXES, TABLES, Qube, unchanged


def drift_compiled_deleted(qube: Qube) -> str:
    (qube.tables / "saslpass.db").unlink()
    return "changed saslpass"


def drift_compiled_emptied(qube: Qube) -> str:
    os.truncate(qube.tables / "saslpass.db", 0)
    return "changed saslpass"


def drift_compiled_older(qube: Qube) -> str:
    os.utime(qube.tables / "saslpass.db", (0, 0))
    return "changed saslpass"


def drift_compiled_of_another_type(qube: Qube) -> str:
    (qube.tables / "saslpass.db").unlink()
    qube.modules.postmap.build(f"lmdb:{qube.tables}/saslpass")
    return "changed saslpass"


def drift_compiled_twice(qube: Qube) -> str:
    qube.modules.postmap.build(f"lmdb:{qube.tables}/saslpass")
    return "changed saslpass"


def drift_compiled_wider(qube: Qube) -> str:
    (qube.tables / "saslpass.db").chmod(0o644)
    return "changed saslpass"


def drift_compiled_owner(qube: Qube) -> str:
    os.chown(qube.tables / "saslpass.db", 12345, -1)
    return "changed saslpass"


def drift_source_wider(qube: Qube) -> str:
    (qube.tables / "saslpass").chmod(0o644)
    return "changed saslpass"


def drift_source_owner(qube: Qube) -> str:
    os.chown(qube.tables / "saslpass", -1, 12345)
    return "changed saslpass"


def drift_source_edited(qube: Qube) -> str:
    with (qube.tables / "sender_access").open("a") as file:
        file.write("evil.example OK\n")
    return "changed sender_access"


def drift_source_deleted(qube: Qube) -> str:
    (qube.tables / "sender_relay").unlink()
    return "added sender_relay"


def drift_source_a_link(qube: Qube) -> str:
    source = qube.tables / "smtp_header_checks"
    source.rename(qube.root / "elsewhere")
    source.symlink_to(qube.root / "elsewhere")
    return "changed smtp_header_checks"


def drift_main_cf_edited(qube: Qube) -> str:
    with (qube.config_dir / "main.cf").open("a") as file:
        file.write("smtp_tls_security_level = may\n")
    return "changed main.cf"


def drift_main_cf_deleted(qube: Qube) -> str:
    (qube.config_dir / "main.cf").unlink()
    return "added main.cf"


def drift_master_cf_edited(qube: Qube) -> str:
    (qube.config_dir / "master.cf").write_text("")
    return "changed master.cf"


def drift_master_cf_deleted(qube: Qube) -> str:
    (qube.config_dir / "master.cf").unlink()
    return "added master.cf"


def drift_tables_deleted(qube: Qube) -> str:
    for file in qube.tables.iterdir():
        file.unlink()
    qube.tables.rmdir()
    return "added sender_relay"


def drift_tables_writable(qube: Qube) -> str:
    qube.tables.chmod(0o777)
    return f"changed {qube.tables.name}"


def drift_directory_writable(qube: Qube) -> str:
    qube.config_dir.chmod(0o777)
    return "changed postfix"


def drift_staging(qube: Qube) -> str:
    (qube.config_dir / "staging").mkdir(mode=0o700)
    (qube.config_dir / "staging/saslpass").write_text(f"bob@example.org bob:{BOBS}\n")
    return "removed staging"


def drift_other_tables(qube: Qube) -> str:
    other = {"tables-a": "tables-b", "tables-b": "tables-a"}[qube.tables.name]
    (qube.config_dir / other).mkdir()
    (qube.config_dir / other / "saslpass").write_text(f"bob@example.org bob:{BOBS}\n")
    return f"removed {other}"


def drift_stray_file(qube: Qube) -> str:
    (qube.tables / "old_table").write_text("x")
    return "removed old_table"


def drift_recipe(qube: Qube) -> str:
    for name in ("Makefile", "saslpass", "saslpass.db", "generic", "sender_relay.db"):
        (qube.config_dir / name).write_text("x")
    return "removed saslpass.db"


@pytest.mark.parametrize(
    "drift", [function for name, function in [*globals().items()] if name.startswith("drift_")]
)
def test_drift_heals_in_one_apply(configured: Qube, drift: Callable, testmode: bool) -> None:
    how, name = drift(configured).split()
    before = configured.world()
    ret = configured.apply(testmode)
    assert name in ret.changes["files"][how]
    assert ret.result is (None if testmode else True)
    if testmode:
        assert configured.world() == before
    else:
        configured.is_good()
        assert configured.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
        unchanged(configured)


def test_a_table_of_another_type_heals_though_any_type_is_asked_for(qube: Qube) -> None:
    """With table_type auto, Postfix looks for its own type only."""
    qube.record["table_type"] = "auto"
    qube.applied()
    default = qube.modules.postmap.default_type()
    other = "cdb" if default == "lmdb" else "lmdb"
    for name in TABLES:
        (qube.tables / f"{name}{SUFFIXES[default]}").unlink()
        qube.modules.postmap.build(f"{other}:{qube.tables}/{name}")
    in_order = ["sender_relay", "saslpass", "sender_access", "tls_policy"]
    assert qube.apply().changes == {"files": {"changed": in_order}}
    assert qube.query("bob@example.org", "saslpass") == f"bob:{BOBS}"
    unchanged(qube)
