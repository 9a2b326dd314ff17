# SPDX-License-Identifier: Apache-2.0
"""postfix_tables: what is told of what postmap(1) prints, and how tables and their sources are read."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

import postfix_programs
import postfix_table_files
import postfix_tables

SECRET = "s3cr3t-Passw0rd"


def told(stderr: bytes, source: str = "/etc/postfix/t", code: int = 0) -> str:
    process = subprocess.CompletedProcess(["postmap"], code, b"", stderr)
    return postfix_programs.sentence(postfix_programs.failed(process, source))


# As printed by Postfix 3.7.11, 3.10.13 and 3.11.7.
@pytest.mark.parametrize(
    ("stderr", "sentence"),
    [
        (
            "postmap: warning: /etc/postfix/t, line 3: expected format: key whitespace value",
            "line 3: a key, white space and a value are needed",
        ),
        (
            'postmap: warning: /etc/postfix/t, line 8: record is in "key: value" format; is this an alias file?',
            'line 8: written as for aliases, "key: value"; a key, white space and a value are needed',
        ),
        (
            f"postmap: warning: /etc/postfix/t, line 6: unbalanced '\"' in '\"{SECRET}' -- ignoring this line",
            "line 6: unbalanced quote",
        ),
        (
            f'postmap: warning: /etc/postfix/t, line 4: non-UTF-8 input "{SECRET}" -- ignoring this line',
            "line 4: not UTF-8",
        ),
        (f'postmap: warning: /etc/postfix/t.db: duplicate entry: "{SECRET}"', "duplicate key"),
        (f'postmap: warning: lmdb:/etc/postfix/t: duplicate entry: "{SECRET}"', "duplicate key"),
        (
            "postalias: warning: /etc/postfix/t, line 4: need name:value pair",
            'line 4: not in the form "name: value"',
        ),
        (
            "postalias: warning: /etc/postfix/t, line 6: name must be local and have no domain",
            "line 6: the name of an alias must be local, without a domain",
        ),
        ("postmap: fatal: open database /etc/postfix/t.db: File too large", "File too large"),
        ("postmap: fatal: open /etc/postfix/t.db: Permission denied", "Permission denied"),
        (
            "postmap: warning: unsupported dictionary type: lmdb. Is the postfix-lmdb package installed?\n"
            "postmap: fatal: unsupported map type: lmdb",
            "this Postfix does not have the type; lmdb and cdb are in the packages postfix-lmdb and postfix-cdb",
        ),
        (
            "BDB0641 __db_meta_setup: /etc/postfix/t.db: unexpected file type or format\n"
            "postmap: fatal: open database /etc/postfix/t.db: Invalid argument",
            "Invalid argument; the compiled table is not of this type",
        ),
        (
            "postmap: warning: /etc/postfix/main.cf, line 5: overriding earlier entry: x=y",
            "a warning about main.cf, which `postconf -n` shows",
        ),
        (
            "postmap: warning: /etc/postfix/t: hash/btree support is deprecated.  Please switch to cdb or lmdb.\n"
            "postmap: warning: See /usr/share/doc/postfix/NON_BERKELEYDB_README.gz for more info.",
            "",
        ),
        (f"{SECRET}", "a problem that is not told here because the text might hold a value"),
    ],
)
def test_problems_by_line_and_kind(stderr: str, sentence: str) -> None:
    assert told(stderr.encode()) == sentence


def test_problems_come_by_line_and_once() -> None:
    row = "postmap: warning: /etc/postfix/t, line {}: expected format: key whitespace value\n"
    said = "".join(row.format(line) for line in (10, 9, 10)).encode()
    need = "a key, white space and a value are needed"
    assert told(said) == f"line 9: {need}; line 10: {need}"


def test_an_end_without_a_word_is_told() -> None:
    assert told(b"", code=-25) == "killed by signal 25"
    assert told(b"", code=1) == "exit code 1"
    assert told(b"", code=0) == ""


@given(
    st.lists(
        st.sampled_from(
            ["postmap: ", "warning: ", "fatal: ", "/etc/postfix/t", ", line 7: ", "\n", SECRET, " "]
        )
        | st.sampled_from(sorted(postfix_programs._KINDS))
        | st.text(max_size=5)
    )
)
def test_nothing_of_a_row_is_told(parts: list[str]) -> None:
    """Postfix quotes rows of all its tables in its warnings: no wording of them may get through."""
    sentence = told("".join(parts).encode("utf-8", "surrogatepass"))
    assert SECRET not in sentence
    assert sentence.isascii()


keys = st.from_regex(r"[a-z0-9.@+-]{1,12}", fullmatch=True)


@given(st.lists(st.tuples(keys, st.sampled_from(["row", "comment", "more", "blank"]))))
def test_duplicates_are_found_by_line(lines: list[tuple[str, str]]) -> None:
    forms = {"row": "{} value\n", "comment": "# {} value\n", "more": "  {} value\n", "blank": " \t\n"}
    content = "".join(forms[kind].format(key) for key, kind in lines).encode()
    expected, seen = [], {}
    for number, (key, kind) in enumerate(lines, 1):
        if kind == "row":
            if key in seen:
                expected.append((number, f"duplicate key, as in line {seen[key]}"))
            seen.setdefault(key, number)
    assert postfix_tables._duplicates(content, alias=False) == expected


@pytest.mark.parametrize(
    ("content", "alias"),
    [
        (b"A@example.com x\na@EXAMPLE.com y\n", False),
        (b"root: a\nROOT : b\n", True),
        (b'"a b": a\n"A B": b\n', True),
    ],
)
def test_duplicates_as_postfix_folds_and_quotes(content: bytes, alias: bool) -> None:
    assert postfix_tables._duplicates(content, alias) == [(2, "duplicate key, as in line 1")]


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line)))
def test_unreadable_lines(lines: list[bytes]) -> None:
    def bad(line: bytes) -> bool:
        return b"\0" in line or line.decode("utf-8", "replace").encode() != line

    found = {number for number, _ in postfix_tables._unreadable(b"\n".join(lines))}
    assert found == {number for number, line in enumerate(lines, 1) if bad(line)}


@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb", "cdb"])
@given(data=st.binary(max_size=300))
def test_any_bytes_are_no_table(kind: str, data: bytes) -> None:
    assert postfix_table_files.has_rows(kind, data) is None


@pytest.mark.parametrize("table", ["", "hash", "hash:", ":/etc/postfix/t", "hash:/t\0", "/etc/postfix/t"])
def test_a_table_without_type_or_path(table: str) -> None:
    with pytest.raises(CommandExecutionError, match='A table is named "type:path"'):
        postfix_tables.compiled(table)


def test_a_relative_path() -> None:
    with pytest.raises(
        CommandExecutionError, match="The path of the table hash:sender_relay must be absolute"
    ):
        postfix_tables.build("hash:sender_relay")


@pytest.mark.parametrize("kind", ["dbm", "sdbm"])
def test_types_that_are_not_handled(kind: str) -> None:
    with pytest.raises(CommandExecutionError, match="use one of hash, btree, lmdb, cdb, or texthash"):
        postfix_tables.build(f"{kind}:/etc/postfix/t")


@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("hash:/etc/aliases", "/etc/aliases.db"),
        ("btree:/etc/postfix/a:b", "/etc/postfix/a:b.db"),
        ("lmdb:/etc/postfix/t", "/etc/postfix/t.lmdb"),
        ("cdb:/etc/postfix/t", "/etc/postfix/t.cdb"),
        ("texthash:/etc/postfix/t", None),
        ("regexp:/etc/postfix/t", None),
    ],
)
def test_the_name_of_the_compiled_file(table: str, file: str | None) -> None:
    assert postfix_tables.compiled(table) == file


def test_errors_are_ascii(tmp_path: object) -> None:
    with pytest.raises(CommandExecutionError) as caught:
        postfix_tables.build(f"hash:{tmp_path}/\u00e4")
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    "call", [postfix_tables.types, postfix_tables.default_type, lambda: postfix_tables.query("a", "hash:/t")]
)
def test_without_postfix(monkeypatch: pytest.MonkeyPatch, call: object) -> None:
    monkeypatch.setattr(postfix_programs.shutil, "which", lambda *_, **__: None)
    with pytest.raises(CommandExecutionError, match=r"was not found: install the package postfix$"):
        call()
