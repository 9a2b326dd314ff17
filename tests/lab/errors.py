# SPDX-License-Identifier: Apache-2.0
"""What the lab raises."""


class LabError(AssertionError):
    """Something in the lab did not come about; the message holds what is needed to see why."""
