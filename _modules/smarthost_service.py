# SPDX-License-Identifier: Apache-2.0
"""
Run Postfix on the configuration and on the queue that last, or stop it.

Only the name ``postfix`` is given to systemctl(1): what is behind it differs between systems.

Sources: postfix(1) and master(8) of Postfix 3.7 to 3.11; systemctl(1), systemd.unit(5); mount(8), umount(8).
"""

from __future__ import annotations

import os
import smtplib
import subprocess
import time
from collections.abc import Callable

from salt.exceptions import CommandExecutionError

CONFIG_DIR = "/usr/local/etc/postfix"
QUEUE_DIR = "/rw/bind-dirs/var/spool/postfix"
BOOT_SCRIPT = "/rw/config/rc.local.d/50-postfix-smarthost.rc"

_RUNNING_CONFIG_DIR = "/etc/postfix"
_RUNNING_QUEUE_DIR = "/var/spool/postfix"
# Where systemd keeps a transient unit as long as it is there, and what is masked until the next boot.
_UPLINK_TIMER = "/run/systemd/transient/postfix-smarthost-uplink.timer"
_MASK = "/run/systemd/system/postfix.service"
# In seconds.
_TIMEOUT = 20
_BUSY_TIMEOUT = 5


def active(config_dir: str = CONFIG_DIR, queue_dir: str = QUEUE_DIR) -> bool:
    """
    Tell whether Postfix runs, on this configuration and on the queue that lasts, and is told of an uplink.

    config_dir : str
        The directory that holds the configuration.
    queue_dir : str
        The directory of the queue that lasts.

    Returns True if all of it holds. No program is run.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.active
    """
    return uses(config_dir) and _same(_RUNNING_QUEUE_DIR, queue_dir) and os.path.exists(_UPLINK_TIMER)


def uses(config_dir: str = CONFIG_DIR) -> bool:
    """
    Tell whether Postfix runs on a configuration.

    config_dir : str
        The directory that holds the configuration.

    Returns True if it does. No program is run.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.uses
    """
    return _same(_RUNNING_CONFIG_DIR, config_dir) and running()


def running() -> bool:
    """
    Tell whether Postfix runs, from the file in which master(8) keeps its process id.

    Returns True if it does, on whatever configuration. No program is run.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.running
    """
    try:
        with open(f"{_RUNNING_QUEUE_DIR}/pid/master.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip() == "master"
    except (OSError, ValueError):
        return False


def activate(script: str = BOOT_SCRIPT, applying: bool = False) -> None:
    """
    Mount the configuration and the queue, and start Postfix: what the qube does at each boot.

    script : str
        The path of the boot script.
    applying : bool
        Whether an apply is in the midst of a change: the script is then not to wait for its end.

    Raises CommandExecutionError with what the script said if Postfix does not run afterwards.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.activate
    """
    process = _run(script, *(["apply"] if applying else []))
    if process.returncode:
        said = _ascii(process.stderr) or f"{script} failed with exit code {process.returncode}."
        raise CommandExecutionError(said)
    _wait_until(running, "Postfix did not start")


def start() -> None:
    """
    Start Postfix, and wait until it runs.

    Raises CommandExecutionError if it does not run within 20 seconds.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.start
    """
    # systemd starts nothing that has failed some times in a row, with whatever configuration.
    _run("systemctl", "reset-failed", "postfix")
    _systemctl("start")
    _wait_until(running, "Postfix did not start")


def reload() -> None:
    """
    Let Postfix, which runs, read its configuration anew.

    Raises CommandExecutionError if it refuses, or does not run afterwards.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.reload
    """
    _systemctl("reload")
    _wait_until(running, "Postfix did not stay up")


def stop() -> None:
    """
    Stop Postfix, and wait until it is gone: Debian 12 has a unit in front of the one that runs.

    Raises CommandExecutionError if it runs on for 20 seconds.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.stop
    """
    _systemctl("stop")
    _wait_until(lambda: not running(), "Postfix did not stop")


def takes_mail(user: str) -> None:
    """
    Begin to hand in a message for a local user, and take it back.

    Some values that postfix(1) and postconf(1) let pass end the daemons that read them: those that take part in
    this are smtpd(8), cleanup(8), trivial-rewrite(8) and what they ask.

    user : str
        The name of the local user.

    Raises CommandExecutionError with what Postfix says if it does not take the message.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.takes_mail user
    """
    try:
        with smtplib.SMTP("127.0.0.1", local_hostname="localhost", timeout=_TIMEOUT) as smtp:
            smtp.ehlo_or_helo_if_needed()
            answers = [smtp.mail(f"{user}@localhost"), smtp.rcpt(f"{user}@localhost"), smtp.rset()]
    except (OSError, smtplib.SMTPException) as problem:
        answers = [(0, str(problem).encode())]
    for code, text in answers:
        if code != 250:
            said = _ascii(f"{code or ''} {text.decode('utf-8', 'replace')}")
            raise CommandExecutionError(f"Postfix takes no mail with the configuration: {said}.")


def deactivate(
    config_dir: str = CONFIG_DIR, queue_dir: str = QUEUE_DIR, test: bool = False
) -> dict[str, list[str]]:
    """
    Stop what ``activate`` started, and take off what it mounted.

    The configuration goes first: without one, sendmail(1) takes no mail, which the queue of the template would lose.

    config_dir : str
        The directory that holds the configuration.
    queue_dir : str
        The directory of the queue that lasts.
    test : bool
        Only tell what would be done.

    Returns a dictionary of ``stopped`` (units) and ``unmounted`` (directories), both empty when there is nothing.

    Raises CommandExecutionError when something does not stop.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_service.deactivate test=True
    """
    mounted = ((_RUNNING_CONFIG_DIR, config_dir), (_RUNNING_QUEUE_DIR, queue_dir))
    mounts = [path for path, source in mounted if _same(path, source)]
    stopped = ["postfix"] if mounts and running() else []
    timer = os.path.basename(_UPLINK_TIMER)
    if os.path.exists(_UPLINK_TIMER):
        stopped.append(timer)
    if not test:
        if timer in stopped:
            _systemctl("stop", timer)
        if mounts:
            # Whether it runs or is about to.
            stop()
        if os.path.islink(_MASK):
            _run("systemctl", "unmask", "--runtime", "postfix")
        for path, source in mounted:
            _unmount(path, source)
    return {"stopped": stopped, "unmounted": mounts}


def _unmount(path: str, source: str) -> None:
    """Take off all mounts of a directory; what was mounted by hand may lie below ours."""
    while _same(path, source) and os.path.ismount(path):
        deadline = time.monotonic() + _BUSY_TIMEOUT
        while _run("umount", path).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        if _same(path, source) and os.path.ismount(path):
            # A program still hands mail in: what it writes comes to the queue that lasts.
            process = _run("umount", "--lazy", path)
            if process.returncode:
                raise CommandExecutionError(
                    f"{path} cannot be unmounted: {_ascii(process.stderr).rstrip('.')}."
                )


def _same(path: str, other: str) -> bool:
    """Tell whether two directories are one, as they are when one is mounted over the other."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise CommandExecutionError(
                f"{otherwise} within {_TIMEOUT} seconds: journalctl -u postfix in the qube says why."
            )
        time.sleep(0.05)


def _systemctl(action: str, unit: str = "postfix") -> None:
    if _run("systemctl", action, unit).returncode:
        raise CommandExecutionError(
            f"systemctl {action} {unit} failed: journalctl -u {unit} in the qube says why."
        )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )


def _ascii(text: str) -> str:
    return text.strip().encode("ascii", "replace").decode("ascii")
