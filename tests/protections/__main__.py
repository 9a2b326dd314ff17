# SPDX-License-Identifier: Apache-2.0
"""Take out the protections whose names hold the words given, or all: ``python -m tests.protections WORDS``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.checkout import ROOT
from tests.protections import PROTECTIONS
from tests.protections.protection import Protection, take_out

AT_ONCE = 2


def fails_without(protection: Protection) -> tuple[bool, str]:
    """Return whether the test of a protection fails without it, and what pytest said last.

    A test that could not begin has not failed: no error in a fixture counts.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "checkout"
        ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__")
        shutil.copytree(ROOT, place, ignore=ignored)
        take_out(protection, place)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", protection.test]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    said = next((line for line in reversed(done.stdout.splitlines()) if line), done.stderr)
    return done.returncode == 1 and bool(re.search(r"\d+ failed", said)) and "error" not in said, said


def main() -> int:
    """Print what became of each protection whose name holds the words given, of all without any."""
    words = " ".join(sys.argv[1:])
    chosen = [protection for protection in PROTECTIONS if words in protection.what]
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for protection, (failed, said) in zip(chosen, pool.map(fails_without, chosen), strict=True):
            survived += not failed
            print(f"{'seen to fail' if failed else 'NOT SEEN'}: {protection.what}: {said}", flush=True)
    print(f"{len(chosen) - survived} passed, {survived} failed")
    return survived != 0


if __name__ == "__main__":
    sys.exit(main())
