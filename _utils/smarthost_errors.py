# SPDX-License-Identifier: Apache-2.0
"""The exception whose text the user reads, in Salt and in the qube's own program, which comes without Salt."""

from __future__ import annotations

try:
    from salt.exceptions import CommandExecutionError
except ImportError:

    class CommandExecutionError(Exception):  # type: ignore[no-redef]
        """A sentence on what is wrong, and how to mend it."""


__all__ = ["CommandExecutionError"]
