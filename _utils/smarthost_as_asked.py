# SPDX-License-Identifier: Apache-2.0
"""Whether the configuration in use is the one that the pillar asks for."""

from __future__ import annotations

import pwd
from typing import Any

import smarthost_disk
import smarthost_facts
import smarthost_pillar
import smarthost_plan
import smarthost_requirements
import smarthost_status
from smarthost_errors import CommandExecutionError
from smarthost_in_use import parameter, tables_in_use
from smarthost_places import Places


def status(pillar: Any, places: Places) -> dict[str, Any]:  # noqa: ANN401 - a pillar may hold anything
    """
    Tell how mail goes in this qube, and whether that is what the pillar asks for, which only Salt knows.

    pillar : Any
        The value of the pillar key ``postfix_smarthost``.
    places : Places
        The paths of the system.

    Returns what the module function of the same name says.
    """
    told = smarthost_status.status(places)
    as_asked = is_as_asked(pillar, places)
    if told["tables"] and as_asked is False:
        told["notes"].append(
            "The configuration is not what this version of the formula makes of the pillar of this qube:"
            f" {smarthost_status.AGAIN}."
        )
    return {"as_asked": as_asked, **told}


def is_as_asked(pillar: Any, places: Places) -> bool | None:  # noqa: ANN401 - a pillar may hold anything
    """
    Tell whether an apply would leave the configuration in use as it is.

    That a clone has another host name than when the configuration was made is none of the pillar's business.

    pillar : Any
        The value of the pillar key ``postfix_smarthost``.
    places : Places
        The paths of the system.

    Returns False also where there is no configuration, and None where an apply would refuse the pillar, as that of a
    clone which dom0 knows nothing of.
    """
    record, problems = smarthost_pillar.check(pillar)
    if problems:
        return None
    try:
        user = smarthost_requirements.user(record["user"])
    except CommandExecutionError:
        return None
    tables = tables_in_use(places.config_dir)
    if tables is None:
        return False
    return not smarthost_disk.differences(
        places, tables, smarthost_plan.plan(record, tables, _as_configured(places, user))
    )


def _as_configured(places: Places, user: pwd.struct_passwd) -> dict[str, Any]:
    """Return those facts as they were when the configuration in use was made."""
    # /bin/sh SCRIPT PROCMAIL "$EXTENSION"; without lists there is none.
    words = parameter(places, "mailbox_command").split()
    return smarthost_facts.facts(places, user) | {
        "hostname": "",
        "ca_file": parameter(places, "smtp_tls_CAfile"),
        "procmail": words[2] if len(words) > 2 else "",
    }
