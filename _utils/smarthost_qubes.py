# SPDX-License-Identifier: Apache-2.0
"""
What an entry of qubes.yaml says of the qube itself, for dom0 to make it by.

Pure functions. Source of the names: qubes/vm/__init__.py (validate_name) of qubes-core-admin; no name may be longer
than 31 characters.
"""

from __future__ import annotations

import re
from typing import Any

from smarthost_readers import Wrong, unknown_key

CLONE, LABEL = "debian-13-xfce", "yellow"
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,30}", re.ASCII)
_RESERVED = ("none", "default", "dom0", "Domain-0")


def is_name(value: object) -> bool:
    """Tell whether a qube may be called so."""
    return (
        isinstance(value, str)
        and _NAME.fullmatch(value) is not None
        and value not in _RESERVED
        and not value.endswith("-dm")
    )


def name(value: object) -> str:
    """Read the name of a qube."""
    if isinstance(value, str) and is_name(value):
        return value
    raise Wrong(" must be the name of a qube, as qvm-ls shows it")


def label(value: object) -> str:
    """Read the name of a label; dom0 knows which there are."""
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", value):
        return value
    raise Wrong(" must be the name of a label, such as yellow")


def tag(value: object) -> str:
    """Read a tag (validate_tag of qubes-core-admin)."""
    if isinstance(value, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", value):
        return value
    raise Wrong(" must be a tag: letters, digits, _ and -")


def read(value: object, keys: tuple[Any, ...]) -> dict[str, Any]:
    """
    Read the mapping.

    value : object
        What stands there.
    keys : tuple
        The keys that it may have, as ``smarthost_schema`` has them.

    Returns the regular form, with what is left out; raises Wrong with all that is wrong.
    """
    if not isinstance(value, dict):
        raise Wrong(" must be a mapping, such as {template: debian-13-mail}")
    known = {key.name for key in keys}
    wrong = [f": there is {unknown_key(given, sorted(known))}" for given in value if given not in known]
    found = {}
    for key in keys:
        found[key.name] = key.absent
        if key.name in value:
            try:
                found[key.name] = key.read(value[key.name])
            except Wrong as problem:
                wrong += [f": {key.name}{told}" if told[0] in " :" else f": {told}" for told in problem.args]
    if not found["template"]:
        found["clone"] = found["clone"] or CLONE
        found["template"] = template_of(found["clone"])
    if wrong:
        raise Wrong(*wrong)
    return found


def template_of(clone: str) -> str:
    """Return what a template for mail is called that is cloned from another one."""
    for end in ("-xfce", "-gnome", "-minimal"):
        clone = clone.removesuffix(end)
    return f"{clone}-mail"
