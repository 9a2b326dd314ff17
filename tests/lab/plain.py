# SPDX-License-Identifier: Apache-2.0
"""A machine without Qubes: no pillar ``qubes``, no ``/rw``, nothing of Qubes' agent but a network."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from .qube import Standalone

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = (
    "home.mount",
    "usr-local.mount",
    "qubes-bind-dirs.service",
    "qubes-misc-post.service",
    "qubes-mount-dirs.service",
)


class Plain(Standalone):
    """A Debian of its own."""

    def binds(self) -> dict[str, tuple[Path, str]]:
        return {there: bound for there, bound in super().binds().items() if there != "/rw"}

    def layers(self) -> list[Path]:
        if all(layer.name != "plain" for layer in self.frozen):
            layer = self.place / "plain"
            units = layer / "etc/systemd/system"
            units.mkdir(parents=True)
            for name in _UNITS:
                (units / name).symlink_to("/dev/null")
            (layer / "usr/bin").mkdir(parents=True)
            # What is not there (overlayfs: whiteouts).
            for name in ("rw", "usr/bin/qubesdb-read"):
                os.mknod(layer / name, stat.S_IFCHR, os.makedev(0, 0))
            for path in (layer, *layer.rglob("*")):
                if path.is_dir():
                    path.chmod(0o755)
            self.frozen.insert(0, layer)
        return super().layers()

    def qubes_pillar(self) -> dict[str, Any]:
        return {}
