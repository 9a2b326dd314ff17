# SPDX-License-Identifier: Apache-2.0
"""
Files, programs and locks, as everything here handles them.

Sources: rename(2), flock(2), fsync(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator

from smarthost_errors import CommandExecutionError

# What salt-ssh leaves out of PATH.
_SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"


def to_ascii(text: str) -> str:
    """Return text without white space at its ends and as dom0 can show it: it cuts output to ASCII."""
    return text.strip().encode("ascii", "replace").decode("ascii")


def which(program: str) -> str | None:
    """Return the path of a program, None if it is not there."""
    return shutil.which(program, path=f"{os.environ.get('PATH') or os.defpath}:{_SBIN}")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """
    Run a program without a shell and without input, in the C locale.

    command : str
        The program and its arguments.

    Returns what it said and how it ended. Nothing is logged: what a program of Postfix says may hold a password.

    Raises CommandExecutionError when there is no such program.
    """
    program = which(command[0])
    if program is None:
        raise CommandExecutionError(f"{command[0]} was not found.")
    return subprocess.run(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


def read(path: str) -> str:
    """Return the text of a file, whatever bytes it holds; see ``rewrite``."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def read_if_there(path: str) -> str:
    """Return the text of a file, "" if it cannot be read."""
    try:
        return read(path)
    except OSError:
        return ""


def write(path: str, text: str, mode: int) -> None:
    """
    Make a file that is not there, with all of its text on the disk.

    path : str
        Its path.
    text : str
        Its text.
    mode : int
        Its permission bits, whatever the umask is.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        # Below a directory that is set-gid, as /usr/local/etc of many a Debian, a file gets another group.
        os.fchown(descriptor, os.geteuid(), os.getegid())
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def rewrite(path: str, text: str | bytes, mode: int = 0o644) -> None:
    """
    Replace a file whole, or make it; a kill leaves the old one or the new one.

    path : str
        Its path; the target of a link is replaced, not the link.
    text : str or bytes
        What is to be in it.
    mode : int
        The permission bits of a new file. One that is there keeps owner, mode and extended attributes, such as its
        SELinux label.

    Raises OSError when it cannot be written; it is as it was then.
    """
    path = os.path.realpath(path)
    descriptor, written = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fchmod(descriptor, mode)
            if os.path.exists(path):
                before = os.stat(path)
                os.fchown(descriptor, before.st_uid, before.st_gid)
                shutil.copystat(path, written)
                os.utime(written)
            os.fsync(descriptor)
        os.replace(written, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(written)
        raise
    sync(os.path.dirname(path))


@contextlib.contextmanager
def acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """Do something with the rights of a user, whose links must not lead root elsewhere."""
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def sync(directory: str) -> None:
    """Bring the names in a directory onto the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(directory: str, *names: str) -> None:
    """Remove files and whole directories; what is not there is no error."""
    for name in names:
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def make_public(directory: str) -> None:
    """Let all look into a directory, whatever the umask is, and root alone write to it."""
    os.chown(directory, 0, 0)
    os.chmod(directory, 0o755)  # noqa: S103 - the programs of the user read main.cf


def is_public(directory: str) -> bool:
    """Tell whether a directory is root's, and one that root alone writes to and all look into."""
    status = os.stat(directory)
    return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, 0o755)


def count_files(directory: str) -> int:
    """Return how many files there are in a directory and below it."""
    return sum(len(files) for _, _, files in os.walk(directory))


def is_same(path: str, other: str) -> bool:
    """Tell whether two directories are one, as they are when one is mounted over the other."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


@contextlib.contextmanager
def locked(path: str, timeout: float, otherwise: str) -> Iterator[None]:
    """
    Keep others out, by a file that its owner alone can lock: flock(2) asks for no right to write.

    path : str
        The file, which is made if it is missing, as is the directory that it is in.
    timeout : float
        How long to wait for another one, in seconds.
    otherwise : str
        The sentence for when that was not enough.

    Raises CommandExecutionError then.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise CommandExecutionError(otherwise)
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
