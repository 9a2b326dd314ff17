# SPDX-License-Identifier: Apache-2.0
"""Whether the configuration in use is the one that the pillar asks for."""

from __future__ import annotations

import os
import pwd
from typing import Any

import smarthost_disk
import smarthost_pillar
import smarthost_plan
import smarthost_programs
import smarthost_requirements
from smarthost_errors import CommandExecutionError
from smarthost_files import read_if_there
from smarthost_in_use import parameter, tables_in_use
from smarthost_places import Places


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


def facts(places: Places, user: pwd.struct_passwd) -> dict[str, Any]:
    """
    Return what the plan needs to know of this qube, but for its host name and what depends on the system.

    places : Places
        The paths of the system.
    user : pwd.struct_passwd
        The user who reads the mail.
    """
    return {
        "uid": user.pw_uid,
        "gid": user.pw_gid,
        "home": user.pw_dir,
        "ipv6": smarthost_requirements.has_ipv6(places),
        "names": tuple(read_if_there(os.path.join(places.config_dir, "own-names")).split()),
        "submit_policy": smarthost_programs.submit_policy(),
        "submit_milter": smarthost_programs.submit_milter(),
    }


def _as_configured(places: Places, user: pwd.struct_passwd) -> dict[str, Any]:
    """Return those facts as they were when the configuration in use was made."""
    # /bin/sh SCRIPT PROCMAIL "$EXTENSION"; without lists there is none.
    words = parameter(places, "mailbox_command").split()
    return facts(places, user) | {
        "hostname": "",
        "ca_file": parameter(places, "smtp_tls_CAfile"),
        "procmail": words[2] if len(words) > 2 else "",
    }
