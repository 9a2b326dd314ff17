# SPDX-License-Identifier: Apache-2.0
"""Select the mail transfer agent that sendmail(1) belongs to.

Packages are not installed or removed here: ``pkg.installed`` and ``pkg.removed`` do that.
"""

from salt.exceptions import CommandExecutionError


def _differences(name: str, now: dict) -> dict:
    changes = {}
    if now["mta"] != name:
        changes["mta"] = {"old": now["mta"], "new": name}
    if now["alternatives"] and now["alternatives"]["status"] != "manual":
        changes["status"] = {"old": now["alternatives"]["status"], "new": "manual"}
    return changes


def selected(name: str) -> dict:
    """
    Ensure that sendmail(1) is that of a mail transfer agent.

    Where there is a group ``mta`` of alternatives(8), as on Fedora, its choice is set by hand, so that no
    other one takes over when it is installed later. On Debian the packages conflict and nothing can be
    selected: the state only looks.

    name : str
        Short name of the mail transfer agent, for example ``postfix``.

    Fails when sendmail(1) still belongs to another one afterwards, or when the output of alternatives(8) is not
    understood. With ``test=True`` nothing is selected. When the mail transfer agent is not installed yet, it is taken
    that a state before this one would do it: on Debian no change is predicted then, as its package needs no
    selecting.

    .. code-block:: yaml

        postfix_smarthost-mta:
          mta.selected:
            - name: postfix
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": f"sendmail(1) is that of {name}"}
    try:
        before = __salt__["mta.current"]()
        changes = _differences(name, before)
        if not changes:
            return ret
        if __opts__["test"]:
            if __grains__["os_family"] == "Debian":
                ret["comment"] = f"Once {name} is installed, sendmail(1) is that of {name}"
                return ret
            ret.update(result=None, changes=changes, comment=f"Would have selected the sendmail(1) of {name}")
            return ret
        __salt__["mta.select"](name)
    except CommandExecutionError as err:
        ret.update(result=False, comment=str(err))
        return ret
    ret.update(changes=changes, comment=f"Selected the sendmail(1) of {name}")
    return ret
