# SPDX-License-Identifier: Apache-2.0
"""What a key of the pillar is, for those who declare them: ``smarthost_account_keys`` and ``smarthost_schema``."""

from __future__ import annotations

from typing import Any, NamedTuple

from smarthost_readers import Reader


class Kind(NamedTuple):
    """
    A type of values.

    words
        What README.md calls it.
    schema
        The same in JSON Schema, for editors: what it takes may still be refused.
    """

    words: str
    schema: dict[str, Any]


class Key(NamedTuple):
    """
    A key of the pillar.

    name, kind
        As one writes it.
    default
        What holds without it, in the words of README.md; ``required`` for a key that has to be there.
    meaning
        What README.md says of it.
    read
        What brings a value into its regular form, or says what is wrong with it.
    keys
        Those of the mapping that it holds, or of each of the mappings in its list.
    absent
        The regular form of a key that is not there, unless a rule of ``smarthost_pillar`` finds it.
    """

    name: str
    kind: Kind
    default: str
    meaning: str
    read: Reader
    keys: tuple[Key, ...] = ()
    absent: Any = None


TEXT = Kind("text", {"type": "string"})
FLAG = Kind("true or false", {"type": "boolean"})
PORT = Kind("number", {"type": "integer", "minimum": 1, "maximum": 65535})
LIST = Kind("list", {"type": ["array", "null"], "items": {"type": "string"}})
MAPPING = Kind("mapping", {"type": "object"})


def one_of(*choices: str) -> Kind:
    """Return the type of one of some words."""
    return Kind(", ".join(f"`{choice}`" for choice in choices), {"enum": [*choices]})


def mapping(value: object) -> object:
    """Leave a mapping to who reads its keys."""
    return value


def names(keys: tuple[Key, ...]) -> list[str]:
    """Return the names of some keys, sorted."""
    return sorted(key.name for key in keys)
