# SPDX-License-Identifier: Apache-2.0
"""Keep an alias of aliases(5), compiled."""

from __future__ import annotations

from typing import Any

from salt.exceptions import CommandExecutionError


def present(name: str, target: str, path: str = "/etc/aliases") -> dict[str, Any]:
    """
    Make sure that an alias stands for a target, in the file and in the table that is compiled from it.

    name : str
        The local name.
    target : str
        What it stands for: names and addresses with commas between them.
    path : str
        The file of aliases, which is made (mode 0644) if it is missing. It is compiled into the type of table
        that the installed Postfix uses, as newaliases(1) does, when the compiled table is missing or stale.

    Fails when that is no alias, when the file cannot be read or written, or when it cannot be compiled: the alias is in
    the file then all the same. With ``test=True`` nothing is written; when Postfix is not installed yet, it is taken
    that a state before this one would do it.

    .. code-block:: yaml

        postfix_smarthost-aliases:
          postalias.present:
            - name: root
            - target: user
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"{path} is in place and compiled.",
    }
    try:
        before = __salt__["postalias.get"](name, path)
        if before != target:
            ret["changes"][name] = {"old": before, "new": target}
        if before != target or _is_stale(path):
            ret["changes"]["compiled"] = path
        if not ret["changes"]:
            return ret
        if __opts__["test"]:
            ret.update(result=None, comment=f"{path} would be changed or compiled.")
            return ret
        __salt__["postalias.put"](name, target, path)
    except CommandExecutionError as problem:
        ret.update(result=False, changes={}, comment=str(problem))
        return ret
    try:
        __salt__["postmap.build"](f"auto:{path}", alias=True)
    except CommandExecutionError as problem:
        # The alias is in the file all the same.
        del ret["changes"]["compiled"]
        ret.update(result=False, comment=str(problem))
    else:
        ret["comment"] = f"{path} was changed or compiled."
    return ret


def _is_stale(path: str) -> bool:
    try:
        return __salt__["postmap.stale"](f"auto:{path}")
    except CommandExecutionError:
        if __opts__["test"]:
            return True
        raise
