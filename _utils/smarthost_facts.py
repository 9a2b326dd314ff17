# SPDX-License-Identifier: Apache-2.0
"""What the plan needs to know of this qube."""

from __future__ import annotations

import os
import pwd
from typing import Any

import smarthost_programs
import smarthost_requirements
from smarthost_files import read_if_there
from smarthost_places import Places


def facts(places: Places, user: pwd.struct_passwd) -> dict[str, Any]:
    """
    Return the fields of ``smarthost_plan.Facts``, but for the host name and what depends on the system.

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
