# SPDX-License-Identifier: Apache-2.0
"""Postfix made impatient, for tests that would wait for minutes: shorter than a user may set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .qube import Qube


def set_parameters(qube: Qube, **parameters: str) -> None:
    """Change parameters of the main.cf in use, by hand; the next apply undoes it."""
    qube.run("postconf", "-e", *(f"{name} = {value}" for name, value in parameters.items()))
    # Postfix waits until a main.cf is some seconds old.
    qube.run("touch", "-d", "-1 minute", "/etc/postfix/main.cf")
    qube.run("postfix", "reload")
