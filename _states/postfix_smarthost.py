# SPDX-License-Identifier: Apache-2.0
"""
The app qube's side of a mail qube: its configuration is the pillar's, and Postfix runs on it.

The work is done by the execution module of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from salt.exceptions import CommandExecutionError

# What has failed in this run, which the last state says once more.
_FAILED = "postfix_smarthost.failed"


def configured(
    name: str,
    ca_file: str,
    procmail: str,
    prepares: bool = False,
    root: str = "/",
) -> dict[str, Any]:
    """
    Make sure that Postfix is configured for the accounts in the pillar key ``postfix_smarthost``.

    name : str
        The directory that holds the configuration, an absolute path.
    ca_file : str
        The system's file of CA certificates, an absolute path.
    procmail : str
        The path of procmail(1).
    prepares : bool
        Whether this machine is its own template, as a standalone qube is: with ``test=True``, what the template
        side would bring may then still be missing.
    root : str
        The directory of the root file system.

    Fails when something is wrong with the pillar, when the qube lacks a part that it needs, or when the configuration
    cannot be written or Postfix refuses it: the old one stays in use then. With ``test=True`` nothing is written; the
    changes that are predicted are those that would be made, but for what only Postfix itself can refuse. The changes
    name accounts and files, never a value. What of a configuration made by hand is not carried over is named in the
    comment.

    .. code-block:: yaml

        postfix_smarthost-configured:
          postfix_smarthost.configured:
            - name: /usr/local/etc/postfix
            - ca_file: /etc/ssl/certs/ca-certificates.crt
            - procmail: /usr/bin/procmail
    """
    ret = _told(
        name,
        lambda test: __salt__["postfix_smarthost.configure"](
            ca_file=ca_file, procmail=procmail, prepares=prepares, root=root, test=test
        ),
        "The configuration is in place.",
        "The configuration {} changed.",
    )
    __context__[_FAILED] = "" if ret["result"] is not False else ret["comment"]
    return ret


def _told(name: str, do: Callable[[bool], dict[str, Any]], unchanged: str, changed: str) -> dict[str, Any]:
    """Let a module do something, or only tell what it would do, and say what it has done, and its notes."""
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": ""}
    try:
        done = do(__opts__["test"])
    except CommandExecutionError as problem:
        ret.update(result=False, comment=str(problem))
        return ret
    ret["changes"] = done["changes"]
    if not ret["changes"]:
        comment = unchanged
    elif __opts__["test"]:
        ret["result"] = None
        comment = changed.format("would be")
    else:
        comment = changed.format("was")
    ret["comment"] = "\n".join([comment, *done["notes"]])
    return ret


def boot_script(name: str, root: str = "/") -> dict[str, Any]:
    """
    Make sure that the script is in place that starts Postfix at boot.

    name : str
        Its path, which is always ``/rw/config/rc.local.d/50-postfix-smarthost.rc``.
    root : str
        The directory of the root file system.

    Fails when it cannot be written. With ``test=True`` nothing is written.

    .. code-block:: yaml

        postfix_smarthost-boot-script:
          postfix_smarthost.boot_script:
            - name: /rw/config/rc.local.d/50-postfix-smarthost.rc
    """
    ret = _told(
        name,
        lambda test: {
            "changes": __salt__["postfix_smarthost.put_boot_script"](root=root, test=test),
            "notes": [],
        },
        "The boot script is in place.",
        "The boot script {} written.",
    )
    if ret["result"] is False:
        __context__[_FAILED] = ret["comment"]
    return ret


def sole_start(name: str, root: str = "/") -> dict[str, Any]:
    """
    Make sure that the user's boot script does not start Postfix: the formula's own does.

    name : str
        The path of rc.local. Lines that mount ``/usr/local/etc/postfix`` and start Postfix are taken out; all others
        stay byte for byte. It has to come after the formula's own boot script is in place, so that a qube that is
        killed between the two starts Postfix all the same.
    root : str
        The directory of the root file system.

    Fails when the file cannot be written. With ``test=True`` nothing is written. The comment names the lines that the
    user has to take out.

    .. code-block:: yaml

        postfix_smarthost-sole-start:
          postfix_smarthost.sole_start:
            - name: /rw/config/rc.local
    """
    return _told(
        name,
        lambda test: __salt__["postfix_smarthost.take_over_rc_local"](root=root, test=test),
        "No line had to be taken out.",
        "What starts Postfix {} taken out.",
    )


def verified(name: str, root: str = "/") -> dict[str, Any]:
    """
    Make sure that the relay of each account would take mail of it.

    name : str
        The address of the one account that is asked about, ``ALL`` for each.
    root : str
        The directory of the root file system.

    Fails when an account does not work; the comment has a line for each. Nothing is changed. With ``test=True`` no
    relay is asked.

    .. code-block:: yaml

        postfix_smarthost-verify:
          postfix_smarthost.verified:
            - name: ALL
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": ""}
    if __opts__["test"]:
        ret["comment"] = "The relays would be asked."
        return ret
    try:
        found = __salt__["postfix_smarthost.verify"]("" if name == "ALL" else name, root=root)
    except CommandExecutionError as problem:
        ret.update(result=False, comment=str(problem))
        return ret
    ret["result"] = all(told["works"] for told in found.values())
    import smarthost_verify  # noqa: PLC0415 - no apply needs it

    ret["comment"] = "\n".join(
        smarthost_verify.Verdict(account, **told).line() for account, told in found.items()
    )
    return ret


def removed(name: str, root: str = "/") -> dict[str, Any]:
    """
    Make sure that nothing of the configuration is left: neither files nor mounts nor Postfix running on them.

    name : str
        The directory that holds the configuration, an absolute path.
    root : str
        The directory of the root file system.

    Fails when something does not stop or cannot be removed. With ``test=True`` nothing is done. Messages
    that were not sent stay in the queue; the comment counts them and says how to get at them.

    .. code-block:: yaml

        postfix_smarthost-clean-appvm:
          postfix_smarthost.removed:
            - name: /usr/local/etc/postfix
    """
    return _told(
        name,
        lambda test: __salt__["postfix_smarthost.remove"](root=root, test=test),
        "There is no configuration.",
        "The configuration {} removed.",
    )


def active(name: str, root: str = "/") -> dict[str, Any]:
    """
    Make sure that Postfix runs, on the configuration and on the queue that last.

    name : str
        The directory that holds the configuration, an absolute path.
    root : str
        The directory of the root file system.

    Fails when the script fails, or when Postfix does not run within 20 seconds after it. When ``configured`` or
    ``boot_script`` has failed in the same run, it does nothing and fails with the same words: the person at the console
    reads the end of what Salt prints. It has to come after these two without a ``require``, of which Salt would say
    only that it failed. With ``test=True`` the script is not run, and a change is predicted if Postfix is not active.

    .. code-block:: yaml

        postfix_smarthost-active:
          postfix_smarthost.active:
            - name: /usr/local/etc/postfix
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "Postfix is active."}
    failed = __context__.pop(_FAILED, "")
    if failed:
        ret.update(result=False, comment=f"Postfix is left as it was:\n{failed}")
        return ret
    if __salt__["postfix_smarthost.active"](root=root):
        return ret
    ret["changes"] = {"postfix": "active"}
    if __opts__["test"]:
        ret["result"] = None
        ret["comment"] = "Postfix would be activated."
        return ret
    try:
        __salt__["postfix_smarthost.activate"](root=root)
    except CommandExecutionError as problem:
        ret.update(result=False, changes={}, comment=str(problem))
    else:
        ret["comment"] = "Postfix was activated."
    return ret


def off(name: str, stop: bool = True) -> dict[str, Any]:
    """
    Make sure that the service of Postfix is not started at boot, and does not run.

    name : str
        The service.
    stop : bool
        Whether to stop it if it runs.

    Fails when the service cannot be disabled or stopped. With ``test=True`` nothing is done. When the service is not
    installed yet, it is taken that a state before this one would install it, and that the package then enables it as
    Debian's does (Fedora's presets do not). ``service.disabled`` and ``service.dead`` predict wrongly there.

    .. code-block:: yaml

        postfix_smarthost-template-service:
          postfix_smarthost.off:
            - name: postfix
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} is off."}
    if __salt__["service.available"](name):
        enabled = __salt__["service.enabled"](name)
        running = stop and __salt__["service.status"](name)
    else:
        enabled, running = __opts__["test"] and __grains__["os_family"] == "Debian", False
    if enabled:
        ret["changes"]["enabled"] = {"old": True, "new": False}
    if running:
        ret["changes"]["running"] = {"old": True, "new": False}
    if not ret["changes"]:
        return ret
    if __opts__["test"]:
        ret.update(result=None, comment=f"{name} would be turned off.")
        return ret
    done = (not enabled or __salt__["service.disable"](name)) and (
        not running or __salt__["service.stop"](name)
    )
    if done:
        ret["comment"] = f"{name} was turned off."
    else:
        ret.update(
            result=False,
            changes={},
            comment=f"{name} cannot be turned off: systemctl status {name} says why.",
        )
    return ret
