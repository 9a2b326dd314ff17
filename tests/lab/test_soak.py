# SPDX-License-Identifier: Apache-2.0
"""The long runs: `make soak`. Their figures are in docs/reliability.md."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import SALLY, pillar
from .delivery import send_through_kills, slow_relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube


@pytest.mark.soak
def test_a_thousand_messages_and_twenty_kills(lab: Lab, new_qube: Callable[..., Qube]) -> None:
    """SOAK_SEED chooses the moments of a former run."""
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    relay = slow_relay(lab)
    qube = new_qube(pillar=pillar(SALLY))
    assert direct.run(qube).error is None
    reckoning = send_through_kills(qube, relay, messages=1000, kills=20, seed=seed)
    print(f"seed {seed}: {reckoning}")
    assert len(reckoning.sent) >= 1000
    assert len(reckoning.kills) == 20
    assert sum(count > 1 for count in reckoning.waiting) > 10
    assert reckoning.lost == reckoning.unexplained == []
