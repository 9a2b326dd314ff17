# SPDX-License-Identifier: Apache-2.0
"""The demonstration of README.md runs, and its report is of what the relays saw."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.checkout import ROOT

from .accounts import ALICE, ANN, BOB


def test_the_demonstration_shows_which_account_logged_in_where() -> None:
    command = [sys.executable, "-m", "tests.lab.demo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nAll as promised.\n")
    for account in (ALICE, ANN, BOB):
        row = rf"{account.address} .* {account.relay}:{account.port} +{account.login} +TLSv1\.[23]\n"
        # Once after the apply, once after the restart.
        assert len(re.findall(row, done.stdout)) == 2, done.stdout
    assert done.stdout.count("nothing left the qube; report in ~/.maildir") == 2
    assert "Recipient's MX: no connection" in done.stdout
