# SPDX-License-Identifier: Apache-2.0
"""What the lab reads of a record of strace(1); the lines are strace's own, of version 6.1, but for the environment."""

from pathlib import Path

import pytest

from tests.lab.qubesctl import executed

ENVIRONMENT = "0x7ffc649a8280 /* 38 vars */"


def read(directory: Path, *lines: str) -> list[list[str]]:
    record = directory / "executed"
    record.write_text("".join(f"{line}\n" for line in lines))
    return executed(record)


@pytest.mark.parametrize(
    ("end", "resumed"),
    [
        (") = 0", []),
        (" <unfinished ...>", ["41 <... execve resumed>)             = 0"]),
        # By a thread that is not the first: its process goes on under the number of that one.
        (
            " <pid changed to 40 ...>",
            ["40 +++ superseded by execve in pid 41 +++", "40 <... execve resumed>)             = ?"],
        ),
        # A kill, or the end of the record: it may have been run.
        (" <unfinished ...>", []),
    ],
)
def test_a_program_that_was_run(tmp_path: Path, end: str, resumed: list[str]) -> None:
    begun = (
        f'41 execve("/usr/sbin/postconf", ["postconf", "-d", "a], \\"b\\" \\303\\244"], {ENVIRONMENT}{end}'
    )
    between = f'42 execve("/bin/true", ["true"], {ENVIRONMENT}) = 0'
    assert read(tmp_path, begun, between, *resumed) == [
        ["postconf", "-d", 'a], "b" \xc3\xa4'],
        ["true"],
    ]


def test_a_program_that_was_not_found(tmp_path: Path) -> None:
    """Each directory of PATH in turn, by two processes at once."""
    lines = (
        f'41 execve("/usr/local/sbin/sh", ["sh", "-c", "one"], {ENVIRONMENT} <unfinished ...>',
        f'42 execve("/usr/local/sbin/sh", ["sh", "-c", "two"], {ENVIRONMENT} <unfinished ...>',
        "41 <... execve resumed>)             = -1 ENOENT (No such file or directory)",
        f'41 execve("/usr/sbin/sh", ["sh", "-c", "one"], {ENVIRONMENT}) = -1 ENOENT (No such file or directory)',
        f'41 execve("/bin/sh", ["sh", "-c", "one"], {ENVIRONMENT} <unfinished ...>',
        "42 <... execve resumed>)             = -1 ENOENT (No such file or directory)",
        "41 <... execve resumed>)             = 0",
        f'42 execve("/bin/sh", ["sh", "-c", "two"], {ENVIRONMENT}) = 0',
    )
    assert read(tmp_path, *lines) == [["sh", "-c", "one"], ["sh", "-c", "two"]]


def test_a_failure_is_of_the_program_that_was_begun_last(tmp_path: Path) -> None:
    lines = (
        f'41 execve("/bin/sh", ["sh", "-c", "one"], {ENVIRONMENT} <unfinished ...>',
        "41 <... execve resumed>)             = 0",
        f'41 execve("/usr/local/bin/env", ["env", "--chdir=/", "sh"], {ENVIRONMENT} <unfinished ...>',
        "41 <... execve resumed>)             = -1 ENOENT (No such file or directory)",
    )
    assert read(tmp_path, *lines) == [["sh", "-c", "one"]]


def test_how_the_lab_enters_a_machine_is_no_program_of_it(tmp_path: Path) -> None:
    lines = (
        f'41 execve("/usr/bin/nsenter", ["nsenter", "--target", "9", "sh"], {ENVIRONMENT}) = 0',
        f'41 execve("/usr/bin/env", ["env", "--chdir=/", "-i", "sh"], {ENVIRONMENT} <unfinished ...>',
        "41 <... execve resumed>)             = 0",
        f'41 execve("/bin/sh", [], {ENVIRONMENT}) = 0',
        "41 +++ exited with 0 +++",
    )
    assert read(tmp_path, *lines) == [[]]
