# SPDX-License-Identifier: Apache-2.0
"""
Configure, run, watch and remove Postfix as the smarthost client of an app qube.

The work is done by the files ``smarthost_*.py`` of ``_utils``. What no apply needs is imported where it is called.
"""

from __future__ import annotations

from typing import Any

import smarthost_apply
import smarthost_clean
import smarthost_pillar
import smarthost_programs
import smarthost_service
import smarthost_settings
import smarthost_take_over
from smarthost_files import to_ascii
from smarthost_places import here

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
        smarthost_pillar.of_qube(__salt__["pillar.raw"]()),
        {"ca_file": ca_file, "procmail": procmail},
        here(root),
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
        return smarthost_programs.put_boot_script(here(root), test)


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
    return smarthost_take_over.rc_local(here(root).rc_local, test)


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
    return smarthost_service.active(here(root))


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
    smarthost_service.activate(here(root))


def status(root: str = "/") -> dict[str, Any]:
    """
    Tell how mail goes in this qube, without any password.

    root : str
        The directory of the root file system.

    Returns a dictionary of ``active`` (see ``postfix_smarthost.active``), ``since`` (when Postfix was started, None if
    it does not run), ``tables`` (the directory of lookup tables in use, None without a configuration), ``senders`` (the
    relay of each), ``accounts`` (of each: relay, how many messages are ``waiting``, when one was last ``sent`` and last
    ``failed`` since the qube was started, the ``reason`` of that failure, and how its mail is fetched), ``queue`` (the
    number of messages in each part of the queue that has some), ``waiting`` (what is in the queue by account and
    reason: how many, since when, when they are tried next, and the way out), ``as_asked`` (whether an apply would leave
    the configuration as it is; None if it would refuse the pillar) and ``notes``: what the user has to do. Times are
    those of ISO 8601.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.status
    """
    import smarthost_as_asked  # noqa: PLC0415

    return smarthost_as_asked.status(smarthost_pillar.of_qube(__salt__["pillar.raw"]()), here(root))


def verify(account: str = "", to: str = "", root: str = "/") -> dict[str, Any]:
    """
    Ask the relay of each account, side by side, whether it would take mail of it: name, connection, TLS, login, sender.

    account : str
        Only this account: its address.
    to : str
        Send a message by each account whose relay takes mail to this address, and follow it until the relay has it.
    root : str
        The directory of the root file system.

    Returns a dictionary with what was found out about each account, by its address: ``works``, ``text`` (what works, or
    the first thing that does not) and ``way_out``; as ``ADDRESS (fetch)``, whether its mail can be fetched. It takes 30
    seconds at most, with ``to`` a minute. Sets the return code to 1 if an account does not work.

    Raises CommandExecutionError where there is no configuration, or no such account.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.verify alice@example.com to=alice@example.com
    """
    import smarthost_verify  # noqa: PLC0415

    found = smarthost_verify.verify(here(root), account, to)
    if not all(verdict.works for verdict in found):
        __context__["retcode"] = 1
    return {told.account: {"works": told.works, "text": told.text, "way_out": told.way_out} for told in found}


def queue(root: str = "/") -> list[dict[str, Any]]:
    """
    List the messages in the queue, without subject and content.

    root : str
        The directory of the root file system.

    Returns for each, oldest first: ``queue_id``, ``part`` of the queue, ``sender``, ``recipients``, ``size`` in bytes,
    ``arrived``, ``next_try``, ``account``, and ``kind``, ``reason`` and ``way_out`` of its waiting.

    Raises CommandExecutionError where there is no configuration, or Postfix cannot tell.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.queue
    """
    import smarthost_status  # noqa: PLC0415

    return smarthost_status.queue(here(root))


def flush(what: str = "ALL", root: str = "/") -> list[str]:
    """
    Try deferred mail now.

    what : str
        A queue ID, the address of an account, or ``ALL``.
    root : str
        The directory of the root file system.

    Returns the queue IDs of what is tried.

    Raises CommandExecutionError when there is no such message or account.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.flush alice@example.com
    """
    import smarthost_queue  # noqa: PLC0415

    return smarthost_queue.flush(here(root), what)


def hold(what: str, root: str = "/", test: bool = False) -> list[str]:
    """
    Keep messages in the queue until they are released.

    what : str
        A queue ID, the address of an account, or ``ALL``.
    root : str
        The directory of the root file system.
    test : bool
        Only tell which messages it would be.

    Returns the queue IDs of what is held now and was not before.

    Raises CommandExecutionError when there is no such message or account.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.hold ALL test=True
    """
    return _change("hold", what, root, test)


def release(what: str, root: str = "/", test: bool = False) -> list[str]:
    """
    Send messages that are held.

    what : str
        A queue ID, the address of an account, or ``ALL``.
    root : str
        The directory of the root file system.
    test : bool
        Only tell which messages it would be.

    Returns the queue IDs of what was held and is not any more.

    Raises CommandExecutionError when there is no such message or account.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.release ALL
    """
    return _change("release", what, root, test)


def delete(what: str, root: str = "/", test: bool = False) -> list[str]:
    """
    Delete messages from the queue, for good.

    what : str
        A queue ID, the address of an account, or ``ALL``.
    root : str
        The directory of the root file system.
    test : bool
        Only tell which messages it would be.

    Returns the queue IDs of what is deleted.

    Raises CommandExecutionError when there is no such message or account.

    CLI Example:

    .. code-block:: bash

        salt-call --local postfix_smarthost.delete 4B1F2A3C5D test=True
    """
    return _change("delete", what, root, test)


def _change(action: str, what: str, root: str, test: bool) -> list[str]:
    import smarthost_queue  # noqa: PLC0415

    return smarthost_queue.change(here(root), action, what, test)


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
    return smarthost_clean.clean(here(root), test)


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
