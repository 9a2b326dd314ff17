# SPDX-License-Identifier: Apache-2.0
"""The pillar as JSON Schema, for editors, from what ``smarthost_schema`` declares."""

from __future__ import annotations

from typing import Any

from smarthost_keys import Key
from smarthost_schema import ACCOUNTS, ITEMS, RECORD


def json_schema() -> dict[str, Any]:
    """
    Return the schema of a file with records below names, as JSON Schema (Draft 2020-12), for editors.

    It is that of qubes.yaml, and of a pillar that is written by hand, where the name is ``postfix_smarthost``.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mail accounts of postfix_smarthost",
        "type": ["object", "null"],
        "properties": {
            "defaults": {"description": "For all qubes that do not say otherwise.", **_object(RECORD[1:])},
        },
        "additionalProperties": {"$ref": "#/$defs/record"},
        "$defs": {"record": _record()},
    }


def _record() -> dict[str, Any]:
    record = _object(RECORD)
    # The entry of a template has nothing but what is installed there.
    alone = {"required": ["packages"], "maxProperties": 1}
    return {**record, "required": [], "anyOf": [{"required": record["required"]}, alone]}


def _object(keys: tuple[Key, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key.name: _value(key) for key in keys},
        "required": [key.name for key in keys if key.default == "required"],
        "additionalProperties": False,
    }


def _value(key: Key) -> dict[str, Any]:
    said = {"description": key.meaning.replace("\\|", "|")}
    if key.kind in (ACCOUNTS, ITEMS):
        return {**key.kind.schema, **said, "items": _object(key.keys)}
    return {**(_object(key.keys) if key.keys else {}), **key.kind.schema, **said}
