# SPDX-License-Identifier: Apache-2.0
"""
Build a configuration beside the one in use, and let Postfix's own programs read it before it is live.

Sources: postfix(1), postconf(1) of Postfix 3.7 to 3.11.
"""

from __future__ import annotations

import glob
import os
import shutil
import time

import postfix_tables
from smarthost_errors import CommandExecutionError
from smarthost_files import make_public, run, to_ascii, write
from smarthost_places import Places, is_sorting
from smarthost_plan import Plan

# Postfix waits until a main.cf is older than this (src/util/dict.c), in seconds.
_COOL_DOWN = 5


def build(places: Places, staging: str, plan: Plan) -> None:
    """Write and compile a whole configuration directory that only root may look into, and what sorts mail beside it."""
    os.mkdir(staging, 0o700)
    # The directory above may be set-gid, and this one so, too.
    os.chown(staging, 0, 0)
    os.chmod(staging, 0o700)
    # What belongs to the installed Postfix, such as the table types that it can load.
    for pattern in ("dynamicmaps.cf*", "postfix-files*"):
        for path in glob.glob(f"{places.running_config_dir}/{pattern}"):
            copy = shutil.copytree if os.path.isdir(path) else shutil.copy2
            copy(path, os.path.join(staging, os.path.basename(path)))
    written = time.time() - _COOL_DOWN
    for name, file in plan.files.items():
        path = os.path.join(staging, name)
        if is_sorting(name):
            # In its place, which is not in use: files that are moved keep the SELinux label of where they were made.
            path = places.of(name)
            os.makedirs(places.smarthost_dir, exist_ok=True)
            make_public(places.smarthost_dir)
        # Others read main.cf, and the user what sorts mail; what they may not read has a mode of its own.
        if not os.path.isdir(os.path.dirname(path)):
            os.mkdir(os.path.dirname(path))
            make_public(os.path.dirname(path))
        write(path, file.content, file.mode)
        os.chown(path, *file.owner)
        os.utime(path, (written, written))
    kind = plan.manifest.type
    for name, file in plan.files.items():
        if file.rows is not None:
            postfix_tables.build(f"{kind}:{os.path.join(staging, name)}", config_dir=staging)


def preflight(places: Places, staging: str, plan: Plan, template: str) -> None:
    """
    Let Postfix's programs read a configuration before it is live.

    ``postfix check`` passes most broken configurations and postconf(1) exits 0 on them, so each word that these
    say counts as a failure, and what a table must hold is looked up in it.

    Raises CommandExecutionError with what is wrong.
    """
    for option in ("-n", "-M", "-P"):
        _must_be_silent(places, staging, "postconf", "-c", staging, option)
    kind = plan.manifest.type
    if kind == "auto":
        kind = postfix_tables.default_type(config_dir=staging)
    known = postfix_tables.types(config_dir=staging)
    unknown = [needed for needed in (kind, "regexp", "static", "fail", "pipemap") if needed not in known]
    if unknown:
        raise CommandExecutionError(
            "\n".join(
                f"The Postfix of this qube has no tables of the type {needed}: set table_type to another one."
                for needed in unknown
            )
        )
    for name, file in plan.files.items():
        if file.rows is not None:
            found = postfix_tables.keys(f"{kind}:{os.path.join(staging, name)}", config_dir=staging)
            if found != sorted(file.rows):
                raise CommandExecutionError(f"The table {name} was not compiled as it was written.")
    if postfix_tables.stale(f"auto:{places.aliases}", config_dir=staging):
        raise CommandExecutionError(
            f"{places.aliases} is not compiled: apply postfix_smarthost to {template or 'this machine'} again."
        )
    _must_be_silent(places, staging, "postfix", "-c", staging, "check")


def _must_be_silent(places: Places, staging: str, *command: str) -> None:
    process = run(*command)
    # `postfix check` also looks at the configuration in use, which may be what is broken, and at the queue.
    lines = process.stderr.replace(f"{staging}/", "").splitlines()
    system = Places()
    others = (f" {system.running_config_dir}/", f" {system.running_queue_dir}/", "damaged message: ")
    told = "\n".join(line for line in lines if not any(other in line for other in others))
    if told.strip() or process.returncode:
        said = to_ascii(told) or f"exit code {process.returncode}"
        raise CommandExecutionError(f"Postfix refuses the configuration, so the old one stays in use: {said}")
