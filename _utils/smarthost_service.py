# SPDX-License-Identifier: Apache-2.0
"""
Run Postfix on the configuration and on the queue that last, or stop it.

Only the name ``postfix`` is given to systemctl(1): what is behind it differs between systems.

Sources: postfix(1) and master(8) of Postfix 3.7 to 3.11; systemctl(1), systemd.unit(5); mount(8), umount(8).
"""

from __future__ import annotations

import os
import smtplib
import socket
import time
from collections.abc import Callable

from smarthost_errors import CommandExecutionError
from smarthost_files import is_same, remove, run, to_ascii
from smarthost_in_use import manifest, tables_in_use
from smarthost_oauth import XOAUTH2
from smarthost_places import Places
from smarthost_services import TAKES_MAIL

# In seconds.
_TIMEOUT = 20
_BUSY_TIMEOUT = 5


def active(places: Places) -> bool:
    """
    Tell whether Postfix runs, on this configuration and on the queue that lasts, and is told of an uplink.

    places : Places
        The paths of the system.

    Returns True if all of it holds, and mail is fetched where it is to be. No program is run.
    """
    return (
        uses(places)
        and (is_same(places.running_queue_dir, places.queue_dir) or os.path.exists(places.disposable))
        and os.path.exists(places.uplink_timer)
        and (not fetches(places) or os.path.exists(places.fetch_unit))
        and (not by_token(places) or os.path.exists(places.oauth_unit))
    )


def by_token(places: Places) -> bool:
    """
    Tell whether an account logs in by XOAUTH2.

    places : Places
        The paths of the system.
    """
    known = manifest(places.config_dir, tables_in_use(places.config_dir))
    return bool(known and XOAUTH2 in known.allowed)


def fetches(places: Places) -> bool:
    """
    Tell whether mail is to be fetched here, as it is not in a disposable.

    places : Places
        The paths of the system.
    """
    known = manifest(places.config_dir, tables_in_use(places.config_dir))
    return bool(known and known.fetches) and not os.path.exists(places.disposable)


def restart_fetching(places: Places) -> None:
    """
    Let the service that fetches mail, if it is there, do so as the configuration now says.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it does not start again.
    """
    if os.path.exists(places.fetch_unit):
        unit = os.path.basename(places.fetch_unit)
        # systemd starts nothing that it has started some times in a row.
        run("systemctl", "reset-failed", unit)
        _systemctl("restart", unit)


def stop_fetching(places: Places) -> None:
    """
    Stop the service that fetches mail, if it is there.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it does not stop.
    """
    if os.path.exists(places.fetch_unit):
        _systemctl("stop", os.path.basename(places.fetch_unit))


def stop_oauth(places: Places) -> None:
    """
    Stop the proxy that logs in with tokens, if it is there.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it does not stop.
    """
    if os.path.exists(places.oauth_unit):
        _systemctl("stop", os.path.basename(places.oauth_unit))


def uses(places: Places) -> bool:
    """
    Tell whether Postfix runs on a configuration.

    places : Places
        The paths of the system.

    Returns True if it does. No program is run.
    """
    return is_same(places.running_config_dir, places.config_dir) and running(places)


def running(places: Places) -> bool:
    """
    Tell whether Postfix runs, from the file in which master(8) keeps its process id.

    places : Places
        The paths of the system.

    Returns True if it does, on whatever configuration. No program is run.
    """
    try:
        with open(_pid_file(places), encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip() == "master"
    except (OSError, ValueError):
        return False


def since(places: Places) -> float | None:
    """
    Tell since when Postfix runs.

    places : Places
        The paths of the system.

    Returns seconds since the epoch, None if it does not run.
    """
    return os.stat(_pid_file(places)).st_mtime if running(places) else None


def _pid_file(places: Places) -> str:
    return f"{places.running_queue_dir}/pid/master.pid"


def activate(places: Places, applying: bool = False) -> None:
    """
    Mount the configuration and the queue, and start Postfix: what the qube does at each boot.

    places : Places
        The paths of the system.
    applying : bool
        Whether an apply is in the midst of a change: the script is then not to wait for its end.

    Raises CommandExecutionError with what the script said if Postfix does not run afterwards.
    """
    if not applying:
        # Whoever applies to a clone wants its mailboxes.
        remove("/", places.fetch_off)
    process = run(places.boot_script, *(["apply"] if applying else []))
    if process.returncode:
        said = to_ascii(process.stderr) or f"{places.boot_script} failed with exit code {process.returncode}."
        raise CommandExecutionError(said)
    _wait_until(lambda: running(places), "Postfix did not start")


def start(places: Places) -> None:
    """
    Start Postfix, and wait until it runs.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it does not run within 20 seconds.
    """
    # systemd starts nothing that has failed some times in a row, with whatever configuration.
    run("systemctl", "reset-failed", "postfix")
    _systemctl("start")
    _wait_until(lambda: running(places), "Postfix did not start")


def enable(places: Places) -> None:
    """
    Have systemd start Postfix at boot, after the boot script: on a machine that is no qube.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it refuses.
    """
    # Which also has systemd read a unit that has changed.
    for path in places.enabled:
        _systemctl("enable", os.path.basename(path))


def disable(places: Places) -> None:
    """
    Take back what ``enable`` did, as long as the units are there.

    places : Places
        The paths of the system.
    """
    for path in places.enabled:
        run("systemctl", "disable", os.path.basename(path))


def reload(places: Places) -> None:
    """
    Let Postfix, which runs, read its configuration anew.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it refuses, or does not run afterwards.
    """
    _systemctl("reload")
    _wait_until(lambda: running(places), "Postfix did not stay up")


def stop(places: Places) -> None:
    """
    Stop Postfix, and wait until it is gone: Debian 12 has a unit in front of the one that runs.

    places : Places
        The paths of the system.

    Raises CommandExecutionError if it runs on for 20 seconds.
    """
    _systemctl("stop")
    _wait_until(lambda: not running(places), "Postfix did not stop")


class _Private(smtplib.LMTP):
    """SMTP over a socket of the file system, which smtplib has for LMTP."""

    ehlo_msg = "ehlo"


def takes_mail(places: Places, user: str) -> None:
    """
    Begin to submit a message for a local user, and take it back; ask the policy service something.

    Some values that postfix(1) and postconf(1) let pass end the daemons that read them: those that take part in
    this are smtpd(8), cleanup(8), trivial-rewrite(8) and what they ask. This does not go over the port of loopback,
    whose address is a setting and whose services may all be busy.

    places : Places
        The paths of the system.
    user : str
        The name of the local user.

    Raises CommandExecutionError with what Postfix says if it does not take the message.
    """
    private = os.path.join(places.running_queue_dir, "private")
    try:
        with _Private(
            os.path.join(private, TAKES_MAIL), local_hostname="localhost", timeout=_TIMEOUT
        ) as smtp:
            smtp.ehlo_or_helo_if_needed()
            answers = [smtp.mail(f"{user}@localhost"), smtp.rcpt(f"{user}@localhost"), smtp.rset()]
        answers.append(_ask(os.path.join(private, "submit-policy")))
    except (OSError, smtplib.SMTPException) as problem:
        answers = [(0, str(problem).encode())]
    for code, text in answers:
        if code != 250:
            said = to_ascii(f"{code or ''} {text.decode('utf-8', 'replace')}")
            raise CommandExecutionError(f"Postfix takes no mail with the configuration: {said}.")


def _ask(policy: str) -> tuple[int, bytes]:
    """Ask the policy service about no connection, and return 250 if it answers at all."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(_TIMEOUT)
        talk.connect(policy)
        talk.sendall(b"request=smtpd_access_policy\n\n")
        answered = talk.recv(1000).startswith(b"action=")
    return (250, b"") if answered else (451, b"submit-policy does not answer: journalctl -u postfix says why")


def deactivate(places: Places, test: bool = False) -> dict[str, list[str]]:
    """
    Stop what ``activate`` started, and take off what it mounted.

    The configuration goes first: without one, sendmail(1) takes no mail, which the queue of the template would lose.

    places : Places
        The paths of the system.
    test : bool
        Only tell what would be done.

    Returns a dictionary of ``stopped`` (units) and ``unmounted`` (directories), both empty when there is nothing.

    Raises CommandExecutionError when something does not stop.
    """
    mounted = (
        (places.running_config_dir, places.config_dir),
        (places.running_queue_dir, places.queue_dir),
    )
    if places.plain:
        mounted = ()
    mounts = [path for path, source in mounted if is_same(path, source)]
    ours = mounts or (places.plain and tables_in_use(places.config_dir))
    stopped = ["postfix"] if ours and running(places) else []
    timer = os.path.basename(places.uplink_timer)
    if os.path.exists(places.uplink_timer):
        stopped.append(timer)
    services = [path for path in (places.fetch_unit, places.oauth_unit) if os.path.exists(path)]
    stopped += map(os.path.basename, services)
    if not test:
        stop_fetching(places)
        if timer in stopped:
            _systemctl("stop", timer)
        if ours:
            # Whether it runs or is about to.
            stop(places)
        stop_oauth(places)
        if os.path.islink(places.mask):
            run("systemctl", "unmask", "--runtime", "postfix")
        for path, source in mounted:
            _unmount(path, source)
    return {"stopped": stopped, "unmounted": mounts}


def _unmount(path: str, source: str) -> None:
    """Take off all mounts of a directory; what was mounted by hand may lie below ours."""
    while is_same(path, source) and os.path.ismount(path):
        deadline = time.monotonic() + _BUSY_TIMEOUT
        while run("umount", path).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        if is_same(path, source) and os.path.ismount(path):
            # A program still hands mail in: what it writes comes to the queue that lasts.
            process = run("umount", "--lazy", path)
            if process.returncode:
                raise CommandExecutionError(
                    f"{path} cannot be unmounted: {to_ascii(process.stderr).rstrip('.')}."
                )


def _wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise CommandExecutionError(
                f"{otherwise} within {_TIMEOUT} seconds: journalctl -u postfix in the qube says why."
            )
        time.sleep(0.05)


def _systemctl(action: str, unit: str = "postfix") -> None:
    if run("systemctl", action, unit).returncode:
        raise CommandExecutionError(
            f"systemctl {action} {unit} failed: journalctl -u {unit} in the qube says why."
        )
