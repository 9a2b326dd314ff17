# SPDX-License-Identifier: Apache-2.0
"""A place like Qubes OS to run the formula in; README.md in this directory says how it works."""

from .container import LabError, wait_for
from .lab import Lab
from .qube import Qube, Standalone, Template
from .qubesctl import Applied

__all__ = ["Applied", "Lab", "LabError", "Qube", "Standalone", "Template", "wait_for"]
