# SPDX-License-Identifier: Apache-2.0
"""
Configure, run, watch and remove Postfix as the smarthost client of an app qube.

The work is done by the files ``smarthost_*.py`` of ``_utils``.
"""

from __future__ import annotations

from typing import Any

import smarthost_apply
import smarthost_clean
import smarthost_programs
import smarthost_service
import smarthost_settings
import smarthost_status
import smarthost_take_over
from smarthost_files import to_ascii
from smarthost_places import Places

_BOOT_SCRIPT_PUT = "postfix_smarthost.boot_script_put"


def _pillar(key: str) -> Any:  # noqa: ANN401 - a pillar may hold anything
    """Return what a pillar has under a key, None without it; from Salt 3008 on, pillar.get shows stars instead."""
    return __salt__["pillar.raw"]().get(key)


def configure(
    ca_file: str,
    procmail: str,
    prepares: bool = False,
    root: str = "/",
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
    prepares : bool
        Whether this machine is its own template, as a standalone qube is: with ``test``, what the template side
        would bring may then still be missing.
    root : str
        The directory of the root file system.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (names of ``accounts`` and ``files`` that were added, removed or changed,
    never values, and the ``boot_script`` if it had to be that of this version first; empty when nothing changed) and
    ``notes``: sentences that name what of a configuration made by hand is not carried over.

    Raises CommandExecutionError with one sentence for each problem, of which none holds a password.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.configure /etc/ssl/certs/ca-certificates.crt /usr/bin/procmail test=True
    """
    qubes = _pillar("qubes")
    done = smarthost_apply.configure(
        _pillar("postfix_smarthost"),
        {"ca_file": ca_file, "procmail": procmail},
        Places(root),
        template=to_ascii(str(qubes.get("template") or "")) if isinstance(qubes, dict) else "",
        prepares=prepares,
        test=test,
    )
    # For a prediction: what comes after this would find the script in its place.
    __context__[_BOOT_SCRIPT_PUT] = "boot_script" in done["changes"]
    return done


def put_boot_script(root: str = "/", test: bool = False) -> dict[str, str]:
    """
    Make sure that the script is in place that starts Postfix at boot.

    root : str
        The directory of the root file system.
    test : bool
        Only tell what would change.

    Returns what changed, by its path: ``added`` or ``changed``; empty when nothing did.

    Raises CommandExecutionError when it cannot be written.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.put_boot_script test=True
    """
    if test and __context__.get(_BOOT_SCRIPT_PUT):
        return {}
    with smarthost_apply.told_in_a_sentence("activated"):
        return smarthost_programs.put_boot_script(Places(root), test)


def take_over_rc_local(root: str = "/", test: bool = False) -> dict[str, Any]:
    """
    Take the lines out of rc.local that started a Postfix set up by hand, now that the boot script does it.

    A line is left where the script could not be read by its shell without it, such as the only one of a block. All
    others stay byte for byte.

    root : str
        The directory of the root file system.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (``removed``: how many lines; empty when there are none) and ``notes``:
    sentences that name the lines which the user has to take out.

    Raises CommandExecutionError when the file cannot be written; it is as it was then.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.take_over_rc_local test=True
    """
    return smarthost_take_over.rc_local(Places(root).rc_local, test)


def active(root: str = "/") -> bool:
    """
    Tell whether Postfix runs, on this configuration and on the queue that lasts, and is told of an uplink.

    root : str
        The directory of the root file system.

    Returns True if all of it holds. No program is run.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.active
    """
    return smarthost_service.active(Places(root))


def activate(root: str = "/") -> None:
    """
    Mount the configuration and the queue, and start Postfix: what the qube does at each boot.

    root : str
        The directory of the root file system.

    Raises CommandExecutionError with what the boot script said if Postfix does not run afterwards.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.activate
    """
    smarthost_service.activate(Places(root))


def status(root: str = "/") -> dict[str, Any]:
    """
    Tell how mail goes in this qube, without any password.

    root : str
        The directory of the root file system.

    Returns a dictionary of ``active`` (see ``postfix_smarthost.active``), ``tables`` (the directory of lookup tables in
    use, None without a configuration), ``senders`` (the relay of each), ``queue`` (the number of messages in each part
    of the queue that has some: ``deferred`` ones wait for their relay, ``hold`` for the user) and ``notes``: sentences
    on what the user has to do.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.status
    """
    return smarthost_status.status(Places(root))


def remove(root: str = "/", test: bool = False) -> dict[str, Any]:
    """
    Take the configuration of Postfix off an app qube: what ``configure`` and ``activate`` brought.

    The boot script goes first, so that a qube that is killed half-way does not start Postfix again. Messages that
    wait in the queue stay where they are; a queue without messages goes.

    root : str
        The directory of the root file system.
    test : bool
        Only tell what would change.

    Returns a dictionary of ``changes`` (what is ``stopped``, ``unmounted`` and ``removed``; empty when there is
    nothing) and ``notes``: sentences on what is left and how to get at it.

    Raises CommandExecutionError when something cannot be removed.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.remove test=True
    """
    return smarthost_clean.clean(Places(root), test)


def refused(setting: str) -> str | None:
    """
    Tell whether a main.cf parameter may not be set through ``settings``.

    setting : str
        The name of the parameter, as in postconf(5).

    Returns None if it may be set, else why not and what to do.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.refused smtp_tls_security_level
    """
    why = smarthost_settings.refused(setting)
    return "; ".join(why) if why else None
