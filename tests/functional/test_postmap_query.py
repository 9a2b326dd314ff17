# SPDX-License-Identifier: Apache-2.0
"""postmap.query and postmap.keys: what Postfix reads in a table."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

from tests.functional.tables import COMPILED, SECRET, Table


def test_query_of_what_cannot_be_read(make_table: Callable) -> None:
    table = make_table("hash")
    table.write()
    with pytest.raises(CommandExecutionError, match=r"cannot be queried: No such file or directory$"):
        table.query("alice@example.com")
    with pytest.raises(CommandExecutionError, match=r"cannot be read: No such file or directory$"):
        table.postmap.keys(f"cdb:{table.source}")


@pytest.mark.parametrize("key", ["", "-", "a\0b"])
def test_keys_that_postmap_takes_for_something_else(table: Table, key: str) -> None:
    table.write()
    table.build()
    with pytest.raises(CommandExecutionError, match='A key can be neither empty nor "-" nor hold a NUL byte'):
        table.query(key)


def test_query_of_an_old_table(make_table: Callable) -> None:
    """Postfix warns of a table that is older than its source; that is not an error."""
    table = make_table("hash")
    table.write()
    table.build()
    now = table.file.stat().st_mtime - 1000
    os.utime(table.source, (now, now))
    os.utime(table.file, (now - 1000, now - 1000))
    assert table.query("alice@example.com") == f"alice:{SECRET}"
    assert table.query("carol@example.com") is None


keys = st.from_regex(r"[a-z0-9.@+][a-z0-9.@+-]{0,20}", fullmatch=True)
values = st.text(
    st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), min_size=1, max_size=255
)
# What C's isspace() takes for white space, which Postfix trims.
SPACE = " \t\v\f\r"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(COMPILED)), rows=st.dictionaries(keys, values, min_size=1, max_size=4))
def test_rows_come_back_or_the_build_fails(
    loaders: object, config_dir: Path, kind: str, rows: dict[str, str]
) -> None:
    """Whatever a value is, it is there afterwards as it was, or nothing was built: never something in between."""
    with tempfile.TemporaryDirectory() as directory:
        table = Table(loaders.modules.postmap, kind, Path(directory), config_dir)
        table.write("".join(f"{key} {value}\n" for key, value in rows.items()))
        if not all(value.strip(SPACE) for value in rows.values()):
            with pytest.raises(CommandExecutionError, match="a key, white space and a value are needed"):
                table.build()
            assert not table.file.exists()
            return
        table.build()
        assert table.keys() == sorted(rows)
        assert {key: table.query(key) for key in rows} == {k: v.strip(SPACE) for k, v in rows.items()}
