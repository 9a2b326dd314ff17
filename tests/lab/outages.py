# SPDX-License-Identifier: Apache-2.0
"""Networks that are wrong for a while."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .network import in_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube


@contextlib.contextmanager
def dropped(lab: Lab, port: int) -> Iterator[None]:
    """Let the router drop what goes to a port, and say nothing."""
    rule = ("ipproto", "tcp", "dport", str(port), "blackhole")
    in_namespace(lab.network.leader, "ip", "rule", "add", *rule)
    try:
        yield
    finally:
        in_namespace(lab.network.leader, "ip", "rule", "delete", *rule)


@contextlib.contextmanager
def dead_name_service(lab: Lab) -> Iterator[None]:
    """Let nobody answer for names."""
    lab.network.run("systemctl", "stop", "lab-dns.service")
    try:
        yield
    finally:
        lab.network.run("systemctl", "start", "lab-dns.service")


@contextlib.contextmanager
def without_network(qube: Qube) -> Iterator[None]:
    """Take the uplink off a qube."""
    qube.network("down")
    try:
        yield
    finally:
        qube.network("up")
