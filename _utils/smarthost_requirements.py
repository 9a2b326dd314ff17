# SPDX-License-Identifier: Apache-2.0
"""What a qube has to have before it can be configured: the parts of its template, a user, a boot that runs scripts."""

from __future__ import annotations

import glob
import os
import pwd
from typing import Any

from smarthost_errors import CommandExecutionError
from smarthost_fetchmailrc import fetched
from smarthost_files import read_if_there, which
from smarthost_places import Places
from smarthost_sorting import sorts


def user(name: str) -> pwd.struct_passwd:
    """Return the local user who reads the mail; raise CommandExecutionError if there is none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise CommandExecutionError(
            f"There is no local user {name} to read the mail: name one in postfix_smarthost:user."
        ) from None


def has_ipv6(places: Places) -> bool:
    """
    Tell whether this qube has an address of IPv6 beyond itself and its link.

    places : Places
        The paths of the system.
    """
    lines = read_if_there(places.ipv6_addresses).splitlines()
    # Address, interface, length of the prefix, scope (0 is global), flags, device.
    return any(line.split()[3] == "00" for line in lines)


def missing(record: dict[str, Any], facts: dict[str, str], places: Places, template: str) -> list[str]:
    """
    Name what the template side should have brought, and the persistence that a qube may lack.

    record : dict
        The regular shape of the pillar.
    facts : dict
        ``ca_file`` and ``procmail``, paths.
    places : Places
        The paths of the system.
    template : str
        The name of the template of this qube, "" if it has none.

    Returns sentences.
    """
    parts = []
    if not which("postfix"):
        parts.append("Postfix")
    elif not any(glob.glob(pattern) for pattern in places.sasl_plugins):
        parts.append("The package with the SASL mechanism PLAIN")
    if not os.path.isfile(facts["ca_file"]):
        parts.append(f"The file of CA certificates {facts['ca_file']}")
    if sorts(record) and not os.access(facts["procmail"], os.X_OK):
        parts.append(f"{facts['procmail']}, which sorts mail into folders,")
    if template:
        remedy = (
            f"apply postfix_smarthost to its template {template}, shut the template down"
            " and restart this qube"
        )
    else:
        remedy = "apply postfix_smarthost.template here first"
    problems = [f"{part} is not installed in this qube: {remedy}." for part in parts]
    asked = dict.fromkeys([*(["fetchmail"] if fetched(record) else []), *record["packages"]])
    for name in asked:
        if not which(name):
            whose = f"its template {template}" if template else "this qube"
            problems.append(
                f"{name} is not installed in this qube: give {whose} packages: [{name}] (docs/fetching.md), then"
                f" {remedy}."
            )
    if os.path.exists(places.custom_persist):
        problems.append(
            "This qube has the service custom-persist, so it does not run /rw/config/rc.local.d at boot and Postfix"
            " would not be started: turn it off (qvm-service QUBE custom-persist off) and restart the qube."
        )
    return problems
