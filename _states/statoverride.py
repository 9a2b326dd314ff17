# SPDX-License-Identifier: Apache-2.0
"""Keep owner and mode of a file of a Debian package, through its upgrades: dpkg-statoverride(1).

Where a state finds all as it should be, it runs no program: it reads the file that dpkg keeps.
"""

from __future__ import annotations

from typing import Any

from salt.exceptions import CommandExecutionError

import dpkg_overrides


def present(name: str, user: str, group: str, mode: str) -> dict[str, Any]:
    """
    Make sure that a file is not set-uid or set-gid, neither now nor after an upgrade of its package.

    name : str
        The file, an absolute path. It need not be there yet.
    user, group : str
        Who it belongs to.
    mode : str
        Its permission bits, octal, without a set-uid or set-gid bit.

    An override of somebody else stays, if it sets neither of these bits. Fails when it does, and when
    dpkg-statoverride(1) fails. With ``test=True`` nothing is changed.

    .. code-block:: yaml

        postfix_smarthost-template-procmail:
          statoverride.present:
            - name: /usr/bin/procmail
            - user: root
            - group: root
            - mode: "0755"
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"{name} is as it should be.",
    }
    wanted = dpkg_overrides.Override(user, group, int(mode, 8))
    try:
        before = dpkg_overrides.of(name)
        if before and before.mode & 0o6000:
            ret["result"] = False
            ret["comment"] = (
                f"dpkg-statoverride keeps {name} set-uid or set-gid, by which any local user hands in mail:"
                f" dpkg-statoverride --remove {name}, and apply again."
            )
            return ret
        if before and not dpkg_overrides.has_set_id(name):
            return ret
        ret["changes"][name] = {"old": str(before or "as packaged"), "new": str(before or wanted)}
        if __opts__["test"]:
            ret.update(result=None, comment=f"{name} would lose its set-uid and set-gid bits.")
            return ret
        if not before:
            dpkg_overrides.add(name, wanted)
        dpkg_overrides.take_set_id(name)
    except (CommandExecutionError, OSError) as problem:
        ret.update(result=False, changes={}, comment=str(problem))
    else:
        ret["comment"] = f"{name} has no set-uid and set-gid bits any more."
    return ret


def absent(name: str, user: str, group: str, mode: str, packaged: list[str]) -> dict[str, Any]:
    """
    Make sure that the override of ``present`` is gone, and the file as its package has it.

    name : str
        The file, an absolute path.
    user, group, mode : str
        As they were given to ``present``: another override stays.
    packaged : list
        User, group and octal mode that the package gives the file, if it is there.

    Fails when dpkg-statoverride(1) fails. With ``test=True`` nothing is changed.

    .. code-block:: yaml

        postfix_smarthost-clean-template-procmail:
          statoverride.absent:
            - name: /usr/bin/procmail
            - user: root
            - group: root
            - mode: "0755"
            - packaged: ["root", "mail", "6755"]
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "There is no override."}
    ours = dpkg_overrides.Override(user, group, int(mode, 8))
    try:
        if dpkg_overrides.of(name) != ours:
            return ret
        ret["changes"][name] = {"old": str(ours), "new": "as packaged"}
        if __opts__["test"]:
            ret.update(result=None, comment=f"The override of {name} would be removed.")
            return ret
        owner, owning, bits = packaged
        dpkg_overrides.remove(name, dpkg_overrides.Override(owner, owning, int(bits, 8)))
    except (CommandExecutionError, OSError) as problem:
        ret.update(result=False, changes={}, comment=str(problem))
    else:
        ret["comment"] = f"The override of {name} was removed."
    return ret
