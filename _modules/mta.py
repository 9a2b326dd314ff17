# SPDX-License-Identifier: Apache-2.0
"""Tell which mail transfer agent sendmail(1) is, and select it.

On Fedora several can be installed; the group ``mta`` of alternatives(8) says whose sendmail(1) is used. On
Debian their packages conflict and there is no such group: the installed one is it.

Sources: alternatives(8) and the output that alternatives.c of chkconfig prints; Debian Policy 11.6.
"""

import os
import re

from salt.exceptions import CommandExecutionError

_SENDMAIL = "/usr/sbin/sendmail"
_GROUP = "mta"


def _run(*command: str) -> str | None:
    """Return the standard output, or None when the program is missing or failed."""
    found = __salt__["cmd.which"](command[0])
    if not found:
        return None
    result = __salt__["cmd.run_all"](
        [found, *command[1:]], python_shell=False, ignore_retcode=True, output_loglevel="quiet"
    )
    return None if result["retcode"] else result["stdout"]


def _owners(path: str) -> list[str]:
    """Return the packages that the file belongs to."""
    if __grains__["os_family"] == "Debian":
        found = _run("dpkg-query", "--search", path) or ""
        # "PACKAGE[:ARCHITECTURE], ...: PATH", and lines that tell of diversions.
        lines = [line.removesuffix(f": {path}") for line in found.splitlines() if line.endswith(f": {path}")]
        names = [name for line in lines if not line.startswith("diversion by ") for name in line.split(", ")]
        return sorted(name.partition(":")[0] for name in names)
    found = _run("rpm", "--query", "--queryformat", "%{NAME}\\n", "--file", path) or ""
    return sorted(set(found.split()))


def _short(package: str | None) -> str | None:
    """Name the program by its package: exim4-daemon-light, msmtp-mta, esmtp-run, sendmail-bin."""
    return package.partition("-")[0] if package else None


def _alternatives() -> dict | None:
    shown = _run("alternatives", "--display", _GROUP)
    if shown is None:
        return None
    status = re.search(rf"^{_GROUP} - status is (auto|manual)\.$", shown, re.MULTILINE)
    path = re.search(r"^ link currently points to (/.*)$", shown, re.MULTILINE)
    choices = re.findall(r"^(/.*) - (?:family \S+ )?priority -?[0-9]+$", shown, re.MULTILINE)
    if not status:
        raise CommandExecutionError(f"The output of `alternatives --display {_GROUP}` was not understood")
    return {
        "group": _GROUP,
        "status": status[1],
        "path": path[1] if path else None,
        "choices": sorted(choices),
    }


def current() -> dict:
    """
    Tell which program sendmail(1) is.

    Returns a dictionary:

    sendmail : str or None
        Path of the file that ``/usr/sbin/sendmail`` leads to, None when there is none.

    package : str or None
        The package that it belongs to, None when it belongs to none.

    mta : str or None
        Short name of the mail transfer agent, such as ``postfix``, ``exim4``, ``ssmtp``; None without a
        package.

    alternatives : dict or None
        None where there is no group ``mta``; else a dictionary of ``group``, ``status`` (``auto`` or
        ``manual``), ``path`` (the one in use) and ``choices`` (all paths).

    Raises CommandExecutionError when the output of alternatives(8) is not understood.

    CLI Example:

    .. code-block:: bash

        salt-call --local mta.current
    """
    real = os.path.realpath(_SENDMAIL)
    sendmail = real if os.path.exists(real) else None
    owners: list[str] = []
    if sendmail:
        # On Debian the link itself belongs to the package (msmtp-mta has a link into msmtp); on Fedora every
        # mail transfer agent claims the link, and the file behind it tells.
        if __grains__["os_family"] == "Debian":
            owners = _owners(_SENDMAIL)
        owners = owners or _owners(real)
    package = owners[0] if owners else None
    return {
        "sendmail": sendmail,
        "package": package,
        "mta": _short(package),
        "alternatives": _alternatives(),
    }


def installed_rivals(name: str = "postfix") -> list[str]:
    """
    List the installed packages of other mail transfer agents.

    name : str, default postfix
        Short name of the one that is wanted.

    Returns the names, sorted. On Debian these are the packages that provide ``mail-transport-agent``,
    elsewhere those of the choices of the group ``mta``.

    Raises CommandExecutionError when the output of alternatives(8) is not understood.

    CLI Example:

    .. code-block:: bash

        salt-call --local mta.installed_rivals
    """
    if __grains__["os_family"] == "Debian":
        shown = _run("dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}: ${Provides}\n")
        packages = re.findall(
            r"^installed (\S+):.* mail-transport-agent(?:$|[ ,])", shown or "", re.MULTILINE
        )
    else:
        choices = (_alternatives() or {"choices": []})["choices"]
        packages = [owner for path in choices for owner in _owners(os.path.realpath(path))]
    return sorted({package for package in packages if _short(package) != name})


def select(name: str = "postfix") -> bool:
    """
    Make sendmail(1) that of the mail transfer agent, for good.

    Where there is a group ``mta``, its choice is set by hand (status ``manual``): one with a higher priority
    that is installed later does not take over. Where there is none, nothing can be selected.

    name : str, default postfix
        Short name of the mail transfer agent.

    Returns True.

    Raises CommandExecutionError when the output of alternatives(8) is not understood, when the mail transfer agent is
    not among its choices or cannot be set, or when sendmail(1) is another's all the same.

    CLI Example:

    .. code-block:: bash

        salt-call --local mta.select postfix
    """
    group = _alternatives()
    if group:
        # Not a fixed path: it is /usr/bin/sendmail.postfix where Fedora has merged sbin into bin.
        wanted = [
            path
            for path in group["choices"]
            if os.path.basename(path) in (f"sendmail.{name}", name) or name in _owners(os.path.realpath(path))
        ]
        if not wanted:
            raise CommandExecutionError(
                f"{name} is not among the choices for sendmail(1), which are {', '.join(group['choices'])}: "
                f"install the package {name}"
            )
        done = (group["status"], group["path"]) == ("manual", wanted[0])
        if not done and _run("alternatives", "--set", _GROUP, wanted[0]) is None:
            raise CommandExecutionError(f"`alternatives --set {_GROUP} {wanted[0]}` failed: run it as root")
    now = current()
    if now["mta"] != name:
        raise CommandExecutionError(_not_selected(name, now))
    return True


def _not_selected(name: str, now: dict) -> str:
    if not now["sendmail"]:
        return f"There is no {_SENDMAIL}: install the package {name}"
    if not now["package"]:
        return (
            f"{_SENDMAIL} is {now['sendmail']}, which belongs to no package: remove it and reinstall the "
            f"package {name}"
        )
    return f"{_SENDMAIL} belongs to the package {now['package']}: remove that package and install {name}"
