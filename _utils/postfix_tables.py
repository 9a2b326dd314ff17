# SPDX-License-Identifier: Apache-2.0
"""
Build and read Postfix lookup tables with postmap(1), postalias(1) and postconf(1): what the module postmap does.

A table is named as Postfix names it, ``type:path``, for example ``hash:/etc/postfix/sender_relay``. The path
is the source text; a type that is compiled has the compiled table beside it, with a suffix of its own. The
type ``auto`` stands for Postfix's own ``default_database_type``.

A table may hold passwords. Only :py:func:`query` returns values; no other function, error or log line holds
one.

Sources: postmap(1), postalias(1), postconf(1), and DATABASE_README in Postfix's documentation.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterator

from postfix_programs import error, failed, run, sentence
from postfix_table_files import cdb_keys, has_rows
from smarthost_files import locked, sync
from smarthost_places import Places

# Of all builds: a source that others may read, as /etc/aliases, others may lock. In seconds.
LOCK = os.path.join(Places().state_dir, "tables.lock")
LOCK_TIMEOUT = 60
# What the type adds to the name of the source, from Postfix's src/util/dict_*.h.
_SUFFIXES = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
_UNHANDLED = ("dbm", "sdbm")
# Types that Postfix reads as they stand; others are looked up in `postconf -m`, which costs a process.
_PLAIN = ("texthash", "regexp", "pcre", "cidr", "static", "inline", "fail")


def _split(table: str, config_dir: str | None) -> tuple[str, str]:
    kind, separator, name = str(table).partition(":")
    if not (kind and separator and name) or "\0" in name:
        raise error('A table is named "type:path", for example hash:/etc/postfix/sender_relay')
    if kind == "auto":
        kind = default_type(config_dir)
    if kind in _SUFFIXES and not name.startswith("/"):
        raise error(f"The path of the table {table} must be absolute")
    return kind, name


def _parts(table: str, config_dir: str | None) -> tuple[str, str, str | None]:
    """Return type, source and compiled file; the last is None for a type that is not compiled."""
    kind, name = _split(table, config_dir)
    if kind in _SUFFIXES:
        return kind, name, name + _SUFFIXES[kind]
    usable = f"use one of {', '.join(_SUFFIXES)}, or texthash, which is not compiled"
    if kind in _UNHANDLED:
        raise error(f"Tables of type {kind} are not built here: {usable}")
    if kind not in _PLAIN and kind not in types(config_dir):
        raise error(f"This Postfix has no table type {kind}: {usable}")
    return kind, name, None


def _rows(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and text of each line that starts a row, as Postfix's readllines() sees it."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip() and not line[:1].isspace() and not line.startswith(b"#"):
            yield number, line


def _unreadable(content: bytes) -> list[tuple[int, str]]:
    """Find what Postfix drops or cuts: depending on version and main.cf it warns, or does not."""
    problems = []
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            problems.append((number, "not UTF-8"))
        if b"\0" in line:
            problems.append((number, "a NUL byte"))
    return problems


def _duplicates(content: bytes, alias: bool) -> list[tuple[int, str]]:
    """Find the lines of duplicate keys: postmap(1) tells the key, which is not repeated here, and no line."""
    seen: dict[str, int] = {}
    problems = []
    pattern = re.compile(rb'"(?:[^"\\]|\\.)*"|[^:\s]+' if alias else rb'"(?:[^"\\]|\\.)*"|\S+')
    for number, line in _rows(content):
        match = pattern.match(line)
        key = (match[0] if match else line).decode("utf-8", "replace").casefold()
        if key in seen:
            problems.append((number, f"duplicate key, as in line {seen[key]}"))
        seen.setdefault(key, number)
    return problems


@contextlib.contextmanager
def _locked(path: str) -> Iterator[int]:
    """Yield a descriptor of the source while no other build runs."""
    with locked(LOCK, LOCK_TIMEOUT, f"{path} was not compiled: another table is being compiled."):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _sweep(directory: str, prefix: str) -> None:
    """Remove what a build that was killed left behind; the lock is held, so nobody works there."""
    for entry in os.listdir(directory):
        if re.fullmatch(re.escape(prefix) + "[a-z0-9_]{8}", entry):
            shutil.rmtree(os.path.join(directory, entry), ignore_errors=True)


def _publish(built: str, target: str, source: int, like: os.stat_result, alias: bool) -> None:
    """Give the compiled table owner, mode, SELinux label and time of its source, and rename it into place."""
    descriptor = os.open(built, os.O_RDWR | os.O_CLOEXEC)
    try:
        mine = os.fstat(descriptor)
        if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)
        # local(8) locks an alias table of the type hash to read it, and what others may read, they may lock.
        os.fchmod(descriptor, like.st_mode & (0o600 if alias and built.endswith(".db") else 0o666))
        with contextlib.suppress(OSError):  # no SELinux here
            os.setxattr(descriptor, "security.selinux", os.getxattr(source, "security.selinux"))
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(built, target)
    sync(os.path.dirname(target))


def _compile(
    table: tuple[str, str, str], alias: bool, source: int, config_dir: str | None
) -> set[tuple[int, str]]:
    kind, path, target = table
    directory, name = os.path.split(path)
    prefix = f".{name}.postmap-"
    _sweep(directory, prefix)
    # Before it is read: a source that changes during the build leaves a stale table.
    like = os.fstat(source)
    with open(source, "rb", closefd=False) as reader:
        content = reader.read()
    work = tempfile.mkdtemp(prefix=prefix, dir=directory)
    try:
        # A copy that belongs to this process: postmap takes on the rights of the source's owner, who cannot
        # write here.
        copy = f"{work}/{name}"
        with open(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writer:
            writer.write(content)
        process = run("postalias" if alias else "postmap", [f"{kind}:{copy}"], config_dir)
        problems = {*_unreadable(content), *failed(process, copy)}
        duplicates = _duplicates(content, alias)
        if (0, "duplicate key") in problems and duplicates:
            problems = problems - {(0, "duplicate key")} | set(duplicates)
        if not problems:
            _publish(copy + _SUFFIXES[kind], target, source, like, alias)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return problems


def build(table: str, alias: bool = False, config_dir: str | None = None) -> bool:
    """
    Compile a table beside itself and rename it into place.

    What is left half-way, by a kill too, is a directory that the next build removes. What goes in, comes out and is
    raised is said in ``postmap.build``.
    """
    kind, path, target = _parts(table, config_dir)
    if target is None:
        return False
    try:
        with _locked(path) as source:
            problems = _compile((kind, path, target), alias, source, config_dir)
    except OSError as err:
        problems = {(0, err.strerror or type(err).__name__)}
    if problems:
        raise error(f"{path} was not compiled, {target} is left as it was: {sentence(problems)}") from None
    return True


def compiled(table: str, config_dir: str | None = None) -> str | None:
    """Return the path of the compiled file of a table, whether it is there or not; see ``postmap.compiled``."""
    return _parts(table, config_dir)[2]


def stale(table: str, config_dir: str | None = None) -> bool:
    """Tell whether a table has to be built; see ``postmap.stale``."""
    kind, path, target = _parts(table, config_dir)
    if target is None:
        return False
    try:
        source = os.stat(path)
        with open(path, "rb") as reader:
            wants_rows = any(True for _ in _rows(reader.read()))
    except OSError as err:
        raise error(f"{path}, the source of a table, cannot be read: {err.strerror}") from None
    try:
        built = os.lstat(target)
        if (
            not stat.S_ISREG(built.st_mode)
            or built.st_mtime_ns < source.st_mtime_ns
            or built.st_uid != source.st_uid
            or stat.S_IMODE(built.st_mode) & ~stat.S_IMODE(source.st_mode)
        ):
            return True
        with open(target, "rb") as reader:
            filled = has_rows(kind, reader.read())
    except OSError:
        return True
    return filled is None or (wants_rows and not filled)


def query(key: str, table: str, config_dir: str | None = None) -> str | None:
    """Look up a key in a table, as ``postmap -q`` does; see ``postmap.query``."""
    kind, name = _split(table, config_dir)
    key = str(key)
    # postmap(1) reads keys from its standard input for "-".
    if key in ("", "-") or "\0" in key:
        raise error('A key can be neither empty nor "-" nor hold a NUL byte')
    process = run("postmap", ["-q", key, f"{kind}:{name}"], config_dir)
    if process.returncode == 0:
        return process.stdout.removesuffix(b"\n").decode("utf-8", "backslashreplace")
    # A key that is not there is exit code 1 without a word, or with a warning, such as that of an old table.
    if process.returncode == 1 and not re.search(rb"^postmap: (?!warning: )", process.stderr, re.MULTILINE):
        return None
    raise error(f"{kind}:{name} cannot be queried: {sentence(failed(process, name))}")


def keys(table: str, config_dir: str | None = None) -> list[str]:
    """List the keys of a table, without the values; see ``postmap.keys``."""
    kind, name, target = _parts(table, config_dir)
    if kind == "cdb":
        try:
            found = cdb_keys(target)
        except OSError as err:
            raise error(f"{target} cannot be read: {err.strerror}") from None
        except struct.error:
            raise error(f"{target} cannot be read: the compiled table is not of this type") from None
    else:
        process = run("postmap", ["-s", f"{kind}:{name}"], config_dir)
        if process.returncode:
            raise error(f"{kind}:{name} cannot be listed: {sentence(failed(process, name))}")
        found = [line.split(b"\t", 1)[0] for line in process.stdout.split(b"\n")[:-1]]
    return sorted(key.removesuffix(b"\0").decode("utf-8", "backslashreplace") for key in found)


def _postconf(arguments: list[str], config_dir: str | None) -> list[str]:
    process = run("postconf", arguments, config_dir)
    if process.returncode:
        raise error(f"postconf(1) failed: {sentence(failed(process, 'main.cf'))}")
    return process.stdout.decode("utf-8", "backslashreplace").split()


def types(config_dir: str | None = None) -> list[str]:
    """List the table types that the installed Postfix has; see ``postmap.types``."""
    return sorted(set(_postconf(["-m"], config_dir)))


def default_type(config_dir: str | None = None) -> str:
    """Return the type that ``auto`` stands for, Postfix's ``default_database_type``; see ``postmap.default_type``."""
    return _postconf(["-h", "default_database_type"], config_dir)[0]
