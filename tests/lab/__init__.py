# SPDX-License-Identifier: Apache-2.0
"""A place like Qubes OS to run the formula in; README.md in this directory says how it works."""

from .accounts import ALICE, ANN, BOB, RECIPIENT, Account, pillar, unique
from .applied import Applied
from .container import wait_for
from .errors import LabError
from .lab import Lab
from .qube import Entry, Qube, Standalone, Template
from .relay import MX, Login, Mail, Relay, Server

__all__ = [
    "ALICE",
    "ANN",
    "BOB",
    "MX",
    "RECIPIENT",
    "Account",
    "Applied",
    "Entry",
    "Lab",
    "LabError",
    "Login",
    "Mail",
    "Qube",
    "Relay",
    "Server",
    "Standalone",
    "Template",
    "pillar",
    "unique",
    "wait_for",
]
