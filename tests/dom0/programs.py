#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for qvm-check, qvm-clone and qvm-create, by the name under which this is run."""

from __future__ import annotations

import os
import sys

import qubesadmin


def main(program: str, words: list[str]) -> int:
    world = qubesadmin.load()
    names = [word for word in words if not word.startswith("-")]
    options = dict(
        word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word
    )
    if program == "qvm-check":
        return 0 if names[0] in world["qubes"] else 1
    if names[-1] in world.get("fails", []):
        print(f"{program}: not enough space", file=sys.stderr)
        return 1
    if program == "qvm-clone":
        source, name = names
        world["qubes"][name] = dict(world["qubes"][source])
    else:
        (name,) = names
        about = {"klass": options["class"], "template": options["template"], "label": options["label"]}
        world["qubes"][name] = about
    world["told"].append(" ".join([program, *words]))
    qubesadmin.save(world)
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
