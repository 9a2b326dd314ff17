# SPDX-License-Identifier: Apache-2.0
"""
Run postmap(1), postalias(1) and postconf(1), and tell what they say without a value of a table in it.

Sources: postmap(1), postalias(1), postconf(1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from smarthost_errors import CommandExecutionError

_CONFIG_DIR = "/etc/postfix"

_ROW = "a key, white space and a value are needed"
_NO_TYPE = (
    "this Postfix does not have the type; lmdb and cdb are in the packages postfix-lmdb and postfix-cdb"
)
# What the programs print -> what is told of it. They quote rows, so nothing of theirs is passed on.
_KINDS = {
    "expected format: key whitespace value": _ROW,
    'record is in "key: value" format': f'written as for aliases, "key: value"; {_ROW}',
    "unbalanced '\"'": "unbalanced quote",
    "non-UTF-8": "not UTF-8",
    "need name:value pair": 'not in the form "name: value"',
    "name must be local": "the name of an alias must be local, without a domain",
    "duplicate entry": "duplicate key",
    "sequence operation is not supported": "this type cannot list its keys",
    "unsupported dictionary type": _NO_TYPE,
    "unsupported map type": _NO_TYPE,
    "unexpected file type or format": "the compiled table is not of this type",
    "main.cf: No such file": "the configuration directory has no main.cf",
    "main.cf": "a warning about main.cf, which `postconf -n` shows",
} | {
    os.strerror(number): os.strerror(number)
    for number in (
        *(errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EINVAL, errno.EIO),
        *(errno.ENOENT, errno.ENOMEM, errno.ENOSPC, errno.EPERM, errno.EROFS),
    )
}

# Debian's Postfix 3.11 says this of each hash and btree table, and builds and reads it as ever.
_DEPRECATED = re.compile(
    r"hash/btree support is deprecated|warning: See \S+/NON_BERKELEYDB_README\S* for more info"
)


def error(sentence: str) -> CommandExecutionError:
    """Any text as an exception in ASCII: dom0 cuts output to it."""
    return CommandExecutionError(sentence.encode("ascii", "backslashreplace").decode("ascii"))


@contextlib.contextmanager
def _config(config_dir: str | None) -> Iterator[list[str]]:
    """Yield the arguments that select the configuration.

    Debian's "No configuration" preset leaves Postfix without main.cf, and then none of its programs runs:
    they get an empty one. Its time is set back because Postfix lets a file of the last seconds "cool down"
    (src/util/dict.c), which takes it about 2 s.
    """
    if config_dir:
        yield ["-c", str(config_dir)]
    elif os.path.exists(f"{_CONFIG_DIR}/main.cf"):
        yield []
    else:
        with tempfile.TemporaryDirectory() as scratch:
            with open(f"{scratch}/main.cf", "w", encoding="ascii") as main_cf:
                main_cf.write("compatibility_level = 3.6\n")
            os.utime(f"{scratch}/main.cf", (0, 0))
            yield ["-c", scratch]


def run(program: str, arguments: list[str], config_dir: str | None) -> subprocess.CompletedProcess[bytes]:
    """Run one of the programs of Postfix, with a configuration directory or an empty one in its place."""
    # subprocess and not cmd.run_all, which logs commands and output at levels that the user chooses: a
    # table's values must not get there. salt-ssh comes without /usr/sbin in PATH.
    path = f"{os.environ.get('PATH') or os.defpath}:/usr/sbin:/usr/bin:/sbin:/bin"
    found = shutil.which(program, path=path)
    if not found:
        raise error(f"{program}(1) was not found: install the package postfix")
    with _config(config_dir) as configuration:
        return subprocess.run(
            [found, *configuration, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )


def _kind(text: str) -> str:
    told = (kind for said, kind in _KINDS.items() if said in text)
    return next(told, "a problem that is not told here because the text might hold a value")


def _problems(stderr: bytes, source: str) -> set[tuple[int, str]]:
    """Reduce what postmap(1) or postalias(1) said to line numbers (0: none) and kinds."""
    problems = set()
    for line in stderr.decode("utf-8", "replace").split("\n"):
        if line.strip() and not _DEPRECATED.search(line):
            position = re.search(re.escape(source) + r", line ([0-9]{1,9})", line)
            problems.add((int(position[1]) if position else 0, _kind(line)))
    return problems


def failed(process: subprocess.CompletedProcess[bytes], source: str) -> set[tuple[int, str]]:
    """Return what a program complained of: numbers of the lines of the source, 0 for none, and what it was."""
    problems = _problems(process.stderr, source)
    if process.returncode < 0:
        problems.add((0, f"killed by signal {-process.returncode}"))
    elif process.returncode > 0 and not problems:
        problems.add((0, f"exit code {process.returncode}"))
    return problems


def sentence(problems: set[tuple[int, str]]) -> str:
    """Put problems into words."""
    return "; ".join(f"line {line}: {kind}" if line else kind for line, kind in sorted(problems))
