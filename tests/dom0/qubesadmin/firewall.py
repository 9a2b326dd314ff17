# SPDX-License-Identifier: Apache-2.0
"""A stand-in for qubesadmin.firewall: rules that are in order as the real one writes them, and no others."""

from __future__ import annotations

import re

_RULE = re.compile(
    r"action=(accept|drop)( proto=(tcp|udp))?( dsthost=[a-z0-9._-]+| dst4=[0-9.]+/\d+| dst6=[0-9a-f:]+/\d+)?"
    r"( dstports=\d+-\d+)?( specialtarget=dns)?"
)


class Rule:
    def __init__(self, rule: str) -> None:
        if not _RULE.fullmatch(rule):
            raise ValueError(rule)
        self.rule = rule

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.rule == other.rule

    def __hash__(self) -> int:
        return hash(self.rule)
