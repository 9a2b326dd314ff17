# SPDX-License-Identifier: Apache-2.0
"""Read mappings of the pillar by the keys that they may have, and collect what is wrong with them."""

from __future__ import annotations

from typing import Any

from smarthost_keys import Key, names
from smarthost_readers import Wrong, unknown_key


class Reading:
    """
    The problems of one record, collected while its regular shape is built.

    found
        The problems so far: ASCII sentences that name the place and the key, never a value.
    """

    def __init__(self) -> None:  # noqa: D107 - the class says it
        self.found: list[str] = []

    def tell(self, sentence: str) -> None:
        """Add a problem: a sentence without its full stop."""
        self.found.append(sentence + ".")

    def value(self, mapping: dict, key: Key, where: str = "", otherwise: Any = None) -> Any:  # noqa: ANN401
        """
        Return the regular form of a key, otherwise that of one that is not there or is wrong.

        A key that is required is read even if it is not there, so that its reader asks for it.
        """
        if key.name not in mapping and key.default != "required":
            return key.absent
        try:
            return key.read(mapping.get(key.name))
        except Wrong as problem:
            for told in problem.args:
                begin = where + key.name if told[0] in " :" else where
                self.tell(begin + told)
            return otherwise

    def unknown_keys(self, mapping: dict, keys: tuple[Key, ...], where: str) -> None:
        """Tell of keys that there are not, and show none: `{password, hunter}` and `{password:x}` are keys to YAML."""
        known = names(keys)
        for key in mapping:
            if key not in known:
                self.tell(f"{where} has {unknown_key(key, known)}")
