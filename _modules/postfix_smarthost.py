# SPDX-License-Identifier: Apache-2.0
"""
Bring the configuration of Postfix onto an app qube, as one transaction.

``/usr/local/etc/postfix``, which lasts, is mounted over ``/etc/postfix`` at each boot. Its ``main.cf`` names one of
two directories of lookup tables. A change is built and checked in a staging directory, its tables go into the
directory that is not in use, and the rename of ``main.cf`` makes it live, so that Postfix never sees a mixture,
whatever is killed and when.

Sources: postfix(1), postconf(1) and master(8) of Postfix 3.7 to 3.11; rename(2); flock(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from salt.exceptions import CommandExecutionError

CONFIG_DIR = "/usr/local/etc/postfix"
RUNNING_CONFIG_DIR = "/etc/postfix"
QUEUE_DIR = "/rw/bind-dirs/var/spool/postfix"
RUNNING_QUEUE_DIR = "/var/spool/postfix"
BOOT_SCRIPT = "/rw/config/rc.local.d/50-postfix-smarthost.rc"

_TABLES = ("tables-a", "tables-b")
_STAGING = "staging"
# In the order in which they are renamed into place: main.cf, which names the tables, last.
_TOP_FILES = ("submit-policy", "master.cf", "main.cf")
_SUFFIXES = {".db": "hash", ".lmdb": "lmdb", ".cdb": "cdb"}
_SASL_PLUGINS = (
    "/usr/lib/*/sasl2/libplain.so*",
    "/usr/lib64/sasl2/libplain.so*",
    "/usr/lib/sasl2/libplain.so*",
)
# What the boot script copies from the template (carry_over).
_CARRIED = ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d", "sasl")
# Directories of the queue that hold messages (postfix(1), QSHAPE_README).
_MESSAGES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "saved")
_BY_HAND = ".by-hand"
# Parameters that a reload does not bring into effect (postconf(5)).
_NEED_RESTART = ("inet_interfaces", "inet_protocols")
# Postfix waits until a main.cf is older than this (src/util/dict.c), in seconds.
_COOL_DOWN = 5
_LOCK_TIMEOUT = 60
_ALIASES = "/etc/aliases"


def configure(
    ca_file: str,
    procmail: str,
    submit_policy: str,
    config_dir: str = CONFIG_DIR,
    prepares: bool = False,
    test: bool = False,
) -> dict[str, Any]:
    """
    Make the configuration of Postfix the one that the pillar of this qube asks for.

    The accounts are read from the pillar key ``postfix_smarthost``. A change is built beside the running
    configuration, checked there by Postfix's own programs, made live by the rename of one link, and followed by a
    reload if Postfix runs. A failure at any point leaves the old configuration in use. Without a change no program
    is run and no file is touched.

    A configuration made by hand is taken over: its main.cf and master.cf are kept beside the new ones under names that
    end in ``.by-hand``, and its tables go.

    ca_file : str
        The system's file of CA certificates, an absolute path.
    procmail : str
        The path of procmail(1), needed only when the pillar has ``lists``.
    submit_policy : str
        The text of the policy service that says who may hand mail in over SMTP, ``files/submit-policy``.
    config_dir : str
        The directory that holds the configuration.
    prepares : bool
        Whether this machine is its own template, as a standalone qube is: with ``test``, what the template side
        would bring may then still be missing.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (names of ``accounts`` and ``files`` that were added, removed or changed,
    never values; empty when nothing changed) and ``notes``: sentences that name what of a configuration made by
    hand is not carried over.

    Raises CommandExecutionError with one sentence for each problem, of which none holds a password.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.configure /etc/ssl/certs/ca-certificates.crt \
            /usr/bin/procmail "$(cat /etc/postfix/submit-policy)" test=True
    """
    pillar = _pillar("postfix_smarthost")
    _raise(__salt__["smarthost_accounts.problems"](pillar))
    record = __salt__["smarthost_accounts.normalise"](pillar)
    user = _user(record["user"])
    _raise([] if test and prepares else _missing_parts(record, ca_file, procmail))
    facts = {
        "hostname": socket.gethostname(),
        "uid": user.pw_uid,
        "gid": user.pw_gid,
        "home": user.pw_dir,
        "ca_file": ca_file,
        "procmail": procmail,
        "submit_policy": submit_policy,
    }
    maildirs = __salt__["smarthost_config.maildirs"](record)
    with _told_in_a_sentence(), contextlib.nullcontext() if test else _lock(config_dir):
        old = _tables_in_use(config_dir)
        new = _TABLES[old == _TABLES[0]] if old else _unused_tables(config_dir)
        plan = __salt__["smarthost_config.plan"](record, new, facts)
        changes = _differences(
            config_dir, old, __salt__["smarthost_config.plan"](record, old, facts) if old else plan
        )
        replace = "files" in changes
        notes = _not_carried_over(config_dir, plan, record, user.pw_dir)
        missing = [name for name in maildirs if not os.path.isdir(os.path.join(user.pw_dir, name))]
        if missing:
            changes["maildirs"] = {"added": [os.path.join(user.pw_dir, name) for name in missing]}
        if changes and not test:
            with _directories(missing, user):
                if replace:
                    _replace(config_dir, old, new, plan, record["user"])
    return {"changes": changes, "notes": notes}


def status(config_dir: str = CONFIG_DIR, queue_dir: str = QUEUE_DIR) -> dict[str, Any]:
    """
    Tell how mail goes in this qube, without any password.

    config_dir : str
        The directory that holds the configuration.
    queue_dir : str
        The directory of the queue that lasts.

    Returns a dictionary of ``active`` (see ``smarthost_service.active``), ``tables`` (the directory of lookup tables in
    use, None without a configuration), ``senders`` (the relay of each), ``queue`` (the number of messages in each part
    of the queue that has some: ``deferred`` ones wait for their relay, ``hold`` for the user) and ``notes``: sentences
    on what the user has to do.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.status
    """
    tables = _tables_in_use(config_dir)
    ways = _read_if_there(os.path.join(config_dir, tables, "sender_relay")) if tables else ""
    rows = __salt__["smarthost_config.rows"](ways)
    counts = {name: _count_files(os.path.join(queue_dir, name)) for name in _MESSAGES}
    is_active = __salt__["smarthost_service.active"](config_dir, queue_dir)
    notes = []
    if tables is None:
        notes.append("There is no configuration: apply postfix_smarthost to this qube.")
    elif not is_active:
        notes.append(
            "Postfix does not run on the configuration: sudo journalctl -b -u qubes-misc-post -u postfix says why."
        )
    if counts["hold"]:
        notes.append(
            f"{_messages(counts['hold'])} held: if another qube has queued mail and this one is its clone or a restored"
            " backup, that one may have sent it since. sudo postsuper -r ALL hold sends it from here, sudo postsuper"
            " -d ALL hold gives it up."
        )
    if counts["deferred"]:
        notes.append(
            f"{_messages(counts['deferred'])} deferred: mailq in the qube says why, and Postfix tries again."
        )
    return {
        "active": is_active,
        "tables": os.path.join(RUNNING_CONFIG_DIR, tables) if tables else None,
        "senders": {sender: way.partition(":")[2] for sender, way in rows.items() if sender != "<>"},
        "queue": {name: count for name, count in counts.items() if count},
        "notes": notes,
    }


def remove(
    config_dir: str = CONFIG_DIR, script: str = BOOT_SCRIPT, queue_dir: str = QUEUE_DIR, test: bool = False
) -> dict[str, Any]:
    """
    Take the configuration of Postfix off an app qube: what ``configure`` and ``activate`` brought.

    The boot script goes first, so that a qube that is killed half-way does not start Postfix again. Messages that
    wait in the queue stay where they are; a queue without messages goes.

    config_dir : str
        The directory that holds the configuration.
    script : str
        The path of the boot script.
    queue_dir : str
        The directory of the queue that lasts.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (what is ``stopped``, ``unmounted`` and ``removed``; empty when there is
    nothing) and ``notes``: sentences on what is left and how to get at it.

    Raises CommandExecutionError when something cannot be removed.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.remove test=True
    """
    with _told_in_a_sentence("taken back"), contextlib.nullcontext() if test else _lock(config_dir):
        removed = [script] if os.path.lexists(script) else []
        if not test:
            _remove("/", *removed)
        changes = __salt__["smarthost_service.deactivate"](config_dir, queue_dir, test)
        others, paths, count = _left_to_remove(config_dir, queue_dir)
        if not test:
            _remove("/", *paths)
    notes = []
    if count:
        notes.append(
            f"{count} message{'s' if count > 1 else ''} not sent yet stay in {queue_dir}. To send them, apply"
            " postfix_smarthost again; to give them up, remove that directory."
        )
    if others:
        notes.append(
            f"Files that the formula does not use stay in {config_dir}: {_ascii(', '.join(others))}."
        )
    changes["removed"] = removed + paths
    return {"changes": {how: what for how, what in changes.items() if what}, "notes": notes}


def _left_to_remove(config_dir: str, queue_dir: str) -> tuple[list[str], list[str], int]:
    """Return the names of others' files, the paths that may go, and the number of messages that keep the queue."""
    there = sorted(os.listdir(config_dir)) if os.path.isdir(config_dir) else []
    ours = {*_TOP_FILES, *_TABLES, *_CARRIED, _STAGING, *_litter(config_dir, None)}
    others = [name for name in there if name not in ours]
    paths = [os.path.join(config_dir, name) for name in there if name in ours]
    if os.path.isdir(config_dir) and not others:
        paths.append(config_dir)
    count = sum(_count_files(os.path.join(queue_dir, name)) for name in _MESSAGES)
    if os.path.isdir(queue_dir) and not count:
        paths.append(queue_dir)
    return others, paths, count


def _count_files(directory: str) -> int:
    return sum(len(files) for _, _, files in os.walk(directory))


def _messages(count: int) -> str:
    return f"{count} message{' is' if count == 1 else 's are'}"


@contextlib.contextmanager
def _told_in_a_sentence(done: str = "written, so the old one stays in use") -> Iterator[None]:
    """Turn a full disk and the like into a sentence; what was done by then is undone where it happened."""
    try:
        yield
    except OSError as problem:
        where = f" ({problem.filename})" if isinstance(problem.filename, str) else ""
        raise CommandExecutionError(
            f"The configuration cannot be {done}: {problem.strerror}{_ascii(where)}."
        ) from None


# -- what the qube is ---------------------------------------------------------------------------------------


def _raise(problems: list[str]) -> None:
    if problems:
        raise CommandExecutionError("\n".join(problems))


def _ascii(text: str) -> str:
    return text.strip().encode("ascii", "replace").decode("ascii")


def _pillar(key: str) -> Any:  # noqa: ANN401 - a pillar may hold anything
    """Return what a pillar has under a key, None without it; from Salt 3008 on, pillar.get shows stars instead."""
    return __salt__["pillar.raw"]().get(key)


def _template() -> str:
    """Return the name of the template of this qube, "" if it has none."""
    qubes = _pillar("qubes")
    return _ascii(str(qubes.get("template") or "")) if isinstance(qubes, dict) else ""


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise CommandExecutionError(
            f"There is no local user {name} to read the mail: name one in postfix_smarthost:user."
        ) from None


def _missing_parts(record: dict[str, Any], ca_file: str, procmail: str) -> list[str]:
    """Name what the template side should have brought, and the persistence that a qube may lack."""
    missing = []
    if not _which("postfix"):
        missing.append("Postfix")
    elif not any(glob.glob(pattern) for pattern in _SASL_PLUGINS):
        missing.append("The package with the SASL mechanism PLAIN")
    if not os.path.isfile(ca_file):
        missing.append(f"The file of CA certificates {ca_file}")
    if record["lists"] and not os.access(procmail, os.X_OK):
        missing.append(f"{procmail}, which sorts mail into lists,")
    template = _template()
    if template:
        remedy = (
            f"apply postfix_smarthost to its template {template}, shut the template down"
            " and restart this qube"
        )
    else:
        remedy = "apply postfix_smarthost.template here first"
    problems = [f"{part} is not installed in this qube: {remedy}." for part in missing]
    if os.path.exists("/run/qubes-service/custom-persist"):
        problems.append(
            "This qube has the service custom-persist, so it does not run /rw/config/rc.local.d at boot and Postfix"
            " would not be started: turn it off (qvm-service QUBE custom-persist off) and restart the qube."
        )
    return problems


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


# -- compare ------------------------------------------------------------------------------------------------


def _differences(
    config_dir: str, tables: str | None, files: dict[str, Any]
) -> dict[str, dict[str, list[str]]]:
    """Return how the configuration on disk differs from the plan, by names."""
    found = _sources(config_dir, tables)
    by_what = {
        "accounts": _account_differences(config_dir, tables, files),
        "files": {
            "added": [path for path in files if path not in found],
            "removed": sorted(found - {*files}) + _litter(config_dir, tables),
            "changed": [
                path
                for path, file in files.items()
                if path in found and not _is_as_planned(os.path.join(config_dir, path), file)
            ]
            + [path for path in (config_dir, os.path.join(config_dir, tables or "")) if _is_other(path)],
        },
    }
    return {
        what: {how: [os.path.basename(name) for name in names] for how, names in by_how.items() if names}
        for what, by_how in by_what.items()
        if any(by_how.values())
    }


def _tables_in_use(config_dir: str) -> str | None:
    """Return the directory of tables that main.cf names, None when this formula did not write it."""
    value = _parameters(os.path.join(config_dir, "main.cf")).get("smtp_tls_policy_maps", "")
    name = os.path.basename(os.path.dirname(value))
    return name if name in _TABLES else None


def _sources(config_dir: str, tables: str | None) -> set[str]:
    """Return the paths of the files there are, without the tables that were compiled from one of them."""
    found = {name for name in _TOP_FILES if os.path.lexists(os.path.join(config_dir, name))}
    if tables is not None and os.path.isdir(os.path.join(config_dir, tables)):
        names = set(os.listdir(os.path.join(config_dir, tables)))
        compiled = {
            name for name in names for suffix in _SUFFIXES if name.removesuffix(suffix) in names - {name}
        }
        found |= {f"{tables}/{name}" for name in names - compiled}
    return found


def _is_other(directory: str) -> bool:
    """Tell whether a directory is there and is not root's, or not one that root alone writes to and all look into."""
    try:
        status = os.stat(directory)
    except OSError:
        return False
    return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (0, 0, 0o755)


def _is_as_planned(path: str, file: Any) -> bool:  # noqa: ANN401 - smarthost_config.File, loaded by Salt
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_uid or status.st_gid:
            return False
        if stat.S_IMODE(status.st_mode) != file.mode or _read(path) != file.content:
            return False
    except OSError:
        return False
    return not file.table or _is_compiled(path)


def _is_compiled(path: str) -> bool:
    """Tell whether a table is compiled, into one type only, or is one that Postfix reads as it is."""
    built = [suffix for suffix in _SUFFIXES if os.path.lexists(path + suffix)]
    kind = _table_type(os.path.dirname(os.path.dirname(path)))
    if kind == "texthash":
        return not built
    if len(built) != 1 or kind not in ("auto", _SUFFIXES[built[0]]):
        return False
    # Without asking a program for the type that Postfix takes: the template compiled the aliases into it.
    if kind == "auto" and not os.path.lexists(_ALIASES + built[0]):
        return False
    return not __salt__["postmap.stale"](f"{_SUFFIXES[built[0]]}:{path}")


def _table_type(config_dir: str) -> str:
    """Return the type of table that a main.cf names, auto for that of the installed Postfix."""
    value = _parameters(os.path.join(config_dir, "main.cf")).get("smtp_tls_policy_maps", "")
    kind = value.partition(":")[0]
    return "auto" if kind.startswith("$") else kind


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def _read_if_there(path: str) -> str:
    try:
        return _read(path)
    except OSError:
        return ""


def _parameters(main_cf: str) -> dict[str, str]:
    """Return the parameters of a main.cf that the plan wrote: one to a line."""
    pairs = (
        line.partition("=")
        for line in _read_if_there(main_cf).split("\n")
        if "=" in line and not line.startswith("#")
    )
    return {name.strip(): value.strip() for name, _, value in pairs}


def _unused_tables(config_dir: str) -> str:
    """Return a directory of tables that is not there: without its main.cf, Postfix may still run on the other one."""
    return next((name for name in _TABLES if not os.path.lexists(os.path.join(config_dir, name))), _TABLES[0])


def _litter(config_dir: str, tables: str | None) -> list[str]:
    """Return what an interrupted apply or the hand-made set-up has left, none of which Postfix needs."""
    left = [name for name in (*_TABLES, _STAGING) if name != tables]
    left += [name + suffix for name in __salt__["smarthost_by_hand.files"]() for suffix in ("", *_SUFFIXES)]
    return [name for name in left if os.path.lexists(os.path.join(config_dir, name))]


def _account_differences(config_dir: str, tables: str | None, files: dict[str, Any]) -> dict[str, list[str]]:
    """Compare the senders of the running configuration with those of the plan: how each is sent and logs in."""

    def rows(text: str) -> dict[str, str]:
        return {key: value for key, value in __salt__["smarthost_config.rows"](text).items() if key != "<>"}

    planned = {os.path.basename(path): file.content for path, file in files.items()}
    old: dict[str, dict[str, str]] = {}
    new: dict[str, dict[str, str]] = {}
    for name in ("sender_relay", "saslpass"):
        new[name] = rows(planned[name])
        old[name] = rows(_read_if_there(os.path.join(config_dir, tables, name))) if tables else {}
    before, after = old["sender_relay"], new["sender_relay"]
    return {
        "added": sorted({*after} - {*before}),
        "removed": sorted({*before} - {*after}),
        "changed": sorted(
            sender
            for sender in {*before} & {*after}
            if any(old[name].get(sender) != new[name].get(sender) for name in old)
        ),
    }


# -- take over what was made by hand -----------------------------------------------------------------------


def _is_by_hand(config_dir: str, files: dict[str, Any]) -> bool:
    """Tell whether there is a main.cf that this formula did not write: it would begin as the planned one does."""
    main_cf = _read_if_there(os.path.join(config_dir, "main.cf"))
    return bool(main_cf) and not main_cf.startswith(files["main.cf"].content.split("\n", 1)[0])


def _not_carried_over(config_dir: str, files: dict[str, Any], record: dict[str, Any], home: str) -> list[str]:
    """Say what a configuration made by hand does that the planned one does not."""
    if not _is_by_hand(config_dir, files):
        return []
    planned = {os.path.basename(path): file.content for path, file in files.items()}
    names = ("main.cf", "master.cf", "sender_relay")
    old = {name: _read_if_there(os.path.join(config_dir, name)) for name in names}
    found = __salt__["smarthost_by_hand.not_carried_over"](old, planned)
    ours = {*_TOP_FILES, *_TABLES, *_CARRIED, _STAGING, *_litter(config_dir, None)}
    others = sorted({*os.listdir(config_dir)} - ours - {name + _BY_HAND for name in _TOP_FILES})
    notes = [
        f"{what}: {_ascii(', '.join(items))}."
        for what, items in (
            ("Parameters of main.cf that are not carried over", found["parameters"]),
            ("Services of master.cf that are not carried over", found["services"]),
            ("Senders that had a relay and have no account now", found["senders"]),
            (f"Files that stay in {config_dir} and are not used", others),
        )
        if items
    ]
    procmailrc = os.path.join(home, ".procmailrc")
    sorted_before = "procmail" in __salt__["smarthost_by_hand.parameters"](old["main.cf"]).get(
        "mailbox_command", ""
    )
    if sorted_before and not record["lists"] and os.path.exists(procmailrc):
        notes.append(f"{_ascii(procmailrc)} is not read any more: it is when the pillar has lists.")
    kept = " and ".join(os.path.join(config_dir, name + _BY_HAND) for name in ("main.cf", "master.cf"))
    return [*notes, f"The old main.cf and master.cf are kept as {kept}."]


# -- change -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _lock(config_dir: str) -> Iterator[None]:
    """Keep a second apply out; the lock is on the directory above, so it leaves no file."""
    parent = os.path.dirname(config_dir)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise CommandExecutionError(
                    "Another apply is changing the mail configuration of this qube: wait for it and apply again."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _directories(names: list[str], user: pwd.struct_passwd) -> Iterator[None]:
    """Make directories below the home of the user, and take them away again if what follows fails."""
    made = []
    home = os.open(user.pw_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            # As the user, whose links must not lead root elsewhere.
            os.setegid(user.pw_gid)
            os.seteuid(user.pw_uid)
            try:
                os.mkdir(name, 0o700, dir_fd=home)
            finally:
                os.seteuid(0)
                os.setegid(0)
            made.append(name)
        yield
    except BaseException:
        for name in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=home)
        raise
    finally:
        os.close(home)


def _replace(config_dir: str, old: str | None, new: str, files: dict[str, Any], user: str) -> None:
    """Build the plan in a staging directory, check it there, and make it live."""
    os.makedirs(config_dir, exist_ok=True)
    _remove(config_dir, _STAGING)
    staging = os.path.join(config_dir, _STAGING)
    try:
        with _old_one_named(config_dir):
            _build(staging, files)
            _preflight(staging, files)
        _remove(config_dir, new)
        _make_live(config_dir, old, new, files, user)
    finally:
        _remove(config_dir, _STAGING)
        if not os.listdir(config_dir):
            os.rmdir(config_dir)
    _remove(config_dir, *_litter(config_dir, new))
    _open(config_dir)


def _open(directory: str) -> None:
    """Let all look into a directory, whatever the umask is, and root alone write to it."""
    os.chown(directory, 0, 0)
    os.chmod(directory, 0o755)  # noqa: S103 - the programs of the user read main.cf


@contextlib.contextmanager
def _old_one_named(config_dir: str) -> Iterator[None]:
    """Let each refusal say what is in use now."""
    try:
        yield
    except CommandExecutionError as problem:
        kept = " The old configuration stays in use."
        if "stays in use" in str(problem) or not os.path.lexists(os.path.join(config_dir, "main.cf")):
            kept = ""
        raise CommandExecutionError(f"{problem}{kept}") from None


def _build(staging: str, files: dict[str, Any]) -> None:
    """Write and compile a whole configuration directory that only root may look into."""
    os.mkdir(staging, 0o700)
    # What belongs to the installed Postfix, such as the table types that it can load.
    for pattern in ("dynamicmaps.cf*", "postfix-files*"):
        for path in glob.glob(f"{RUNNING_CONFIG_DIR}/{pattern}"):
            copy = shutil.copytree if os.path.isdir(path) else shutil.copy2
            copy(path, os.path.join(staging, os.path.basename(path)))
    written = time.time() - _COOL_DOWN
    for name, file in files.items():
        path = os.path.join(staging, name)
        # Others read main.cf, and the user what sorts mail; what they may not read has a mode of its own.
        if not os.path.isdir(os.path.dirname(path)):
            os.mkdir(os.path.dirname(path))
            _open(os.path.dirname(path))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(file.content)
            stream.flush()
            os.fchmod(descriptor, file.mode)
            os.fsync(descriptor)
        os.utime(path, (written, written))
    kind = _table_type(staging)
    for name, file in files.items():
        if file.table:
            __salt__["postmap.build"](f"{kind}:{os.path.join(staging, name)}", config_dir=staging)


def _preflight(staging: str, files: dict[str, Any]) -> None:
    """
    Let Postfix's programs read a configuration before it is live.

    ``postfix check`` passes most broken configurations and postconf(1) exits 0 on them, so each word that these
    say counts as a failure, and what a table must hold is looked up in it.
    """
    for option in ("-n", "-M", "-P"):
        _must_be_silent(["postconf", "-c", staging, option], staging)
    kind = _table_type(staging)
    if kind == "auto":
        kind = __salt__["postmap.default_type"](config_dir=staging)
    known = __salt__["postmap.types"](config_dir=staging)
    _raise(
        [
            f"The Postfix of this qube has no tables of the type {needed}: set table_type to another one."
            for needed in (kind, "regexp", "static", "fail")
            if needed not in known
        ]
    )
    for name, file in files.items():
        if file.table:
            wanted = sorted(__salt__["smarthost_config.rows"](file.content))
            if (
                __salt__["postmap.keys"](f"{kind}:{os.path.join(staging, name)}", config_dir=staging)
                != wanted
            ):
                raise CommandExecutionError(f"The table {name} was not compiled as it was written.")
    if __salt__["postmap.stale"](f"auto:{_ALIASES}", config_dir=staging):
        raise CommandExecutionError(
            f"{_ALIASES} is not compiled: apply postfix_smarthost to {_template() or 'this machine'} again."
        )
    _must_be_silent(["postfix", "-c", staging, "check"], staging)


def _must_be_silent(command: list[str], staging: str) -> None:
    process = _run(command)
    # `postfix check` also looks at the configuration in use, which may be what is broken, and at the queue.
    lines = process.stderr.replace(f"{staging}/", "").splitlines()
    others = (f" {RUNNING_CONFIG_DIR}/", f" {RUNNING_QUEUE_DIR}/", "damaged message: ")
    told = "\n".join(line for line in lines if not any(other in line for other in others))
    if told.strip() or process.returncode:
        said = _ascii(told) or f"exit code {process.returncode}"
        raise CommandExecutionError(f"Postfix refuses the configuration, so the old one stays in use: {said}")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    program = _which(command[0])
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


def _needs_restart(config_dir: str, old: str, files: dict[str, Any]) -> bool:
    """
    Tell whether Postfix has to be down while the configuration is switched.

    Until a reload is through, a message already routed could meet the new password table: when a sender moves to
    another relay, the old relay must not be offered the new password.
    """
    planned = {os.path.basename(path): file.content for path, file in files.items()}
    before = _read_if_there(os.path.join(config_dir, "main.cf")).split("\n")
    if {line for line in before if line.startswith(_NEED_RESTART)} - {*planned["main.cf"].split("\n")}:
        return True
    ways = __salt__["smarthost_config.rows"](_read_if_there(os.path.join(config_dir, old, "sender_relay")))
    new_ways = __salt__["smarthost_config.rows"](planned["sender_relay"])
    return any(new_ways.get(sender, way) != way for sender, way in ways.items())


def _make_live(config_dir: str, old: str | None, new: str, files: dict[str, Any], user: str) -> None:
    """Put a staged configuration in place; if Postfix does not run with it, put the old one back."""
    staging = os.path.join(config_dir, _STAGING)
    service = _Service(config_dir, old, files)
    # The old files stay here until Postfix runs on the new ones.
    kept = {name: os.path.join(staging, f"{name}.old") for name in _TOP_FILES}
    for name, copy in kept.items():
        if os.path.lexists(os.path.join(config_dir, name)):
            shutil.copy2(os.path.join(config_dir, name), copy, follow_symlinks=False)
    by_hand = ("main.cf", "master.cf") if _is_by_hand(config_dir, files) else ()
    try:
        for name in by_hand:
            _keep(os.path.join(config_dir, name))
        service.before()
        _switch(staging, config_dir, new)
        service.after(user)
    except BaseException as failure:
        for name, copy in kept.items():
            if os.path.lexists(copy):
                os.replace(copy, os.path.join(config_dir, name))
            else:
                _remove(config_dir, name)
        _remove(config_dir, *(name + _BY_HAND for name in by_hand))
        back = service.resume()
        _remove(config_dir, new)
        if isinstance(failure, CommandExecutionError):
            raise CommandExecutionError(f"{failure}{back}") from None
        raise


class _Service:
    """Postfix, while its configuration is switched."""

    def __init__(self, config_dir: str, old: str | None, files: dict[str, Any]) -> None:
        self._call = {
            name: __salt__[f"smarthost_service.{name}"]
            for name in ("activate", "reload", "running", "start", "stop", "takes_mail")
        }
        self._runs = __salt__["smarthost_service.uses"](config_dir)
        # Where it was made by hand, nothing is known of it.
        self._restart = old is None or _needs_restart(config_dir, old, files)
        # One that somebody has stopped is tried all the same, as the next boot would: else it was too late to go back.
        self._tried = not self._runs and old is not None and os.access(BOOT_SCRIPT, os.X_OK)
        self._is_new = not os.path.lexists(os.path.join(config_dir, "main.cf"))

    def before(self) -> None:
        """Let it be down while the files are switched, where that matters."""
        if self._runs and self._restart:
            self._call["stop"]()

    def after(self, user: str) -> None:
        """Let it run on the new files; raise CommandExecutionError if it does not."""
        if self._runs:
            self._call["start" if self._restart else "reload"]()
            self._call["takes_mail"](user)
        elif self._tried:
            self._call["activate"](BOOT_SCRIPT, applying=True)
            self._call["takes_mail"](user)
            # The state that follows starts it, and says so.
            self._call["stop"]()

    def resume(self) -> str:
        """Let it run on the old files, which are back; return what has become of them, in a sentence."""
        if self._is_new:
            return ""
        try:
            if self._tried:
                self._call["activate"](BOOT_SCRIPT, applying=True)
            elif self._runs and self._restart:
                if self._call["running"]():
                    self._call["stop"]()
                self._call["start"]()
            elif self._runs:
                # One that runs is not stopped: it may not come up again.
                self._call["reload" if self._call["running"]() else "start"]()
        except CommandExecutionError as problem:
            return f" The old configuration is back, but {problem}"
        return " The old configuration is back in use."


def _keep(path: str) -> None:
    """Copy a file that was made by hand; root alone may read the copy, whatever it holds."""
    if os.path.lexists(path):
        shutil.copyfile(path, path + _BY_HAND)
        os.chmod(path + _BY_HAND, 0o600)


def _switch(staging: str, config_dir: str, tables: str) -> None:
    """Rename what is staged into place; main.cf, which names the tables, last: with it everything changes."""
    _sync(os.path.join(staging, tables))
    for name in (tables, *_TOP_FILES):
        os.replace(os.path.join(staging, name), os.path.join(config_dir, name))
        if _which("restorecon") and os.path.exists("/sys/fs/selinux/enforce"):
            # The labels follow the path under /rw, of which /usr/local is a mount.
            _run(
                [
                    "restorecon",
                    "-RF",
                    os.path.join(config_dir, name).replace("/usr/local/", "/rw/usrlocal/", 1),
                ]
            )
        _sync(config_dir)


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(config_dir: str, *names: str) -> None:
    for name in names:
        path = os.path.join(config_dir, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
