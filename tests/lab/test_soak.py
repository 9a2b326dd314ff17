# SPDX-License-Identifier: Apache-2.0
"""The long runs: `make soak`. Their figures are in docs/reliability.md."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, pillar
from .delivery import send_through_kills

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube
    from .relay import Relay


@pytest.mark.soak
def test_a_thousand_messages_and_twenty_kills(
    new_qube: Callable[..., Qube], relay_a: Relay, capsys: pytest.CaptureFixture[str]
) -> None:
    """SOAK_SEED chooses the moments of a former run."""
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    qube = new_qube(pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    reckoning = send_through_kills(qube, relay_a, messages=1000, kills=20, seed=seed)
    with capsys.disabled():
        print(f"\nseed {seed}: {reckoning}")
    assert len(reckoning.sent) >= 1000
    assert len(reckoning.kills) == 20
    assert reckoning.lost == reckoning.unexplained == []
