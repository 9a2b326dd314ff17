# SPDX-License-Identifier: Apache-2.0
"""A stand-in for qubesadmin.vm."""


class QubesVM:
    """Any qube."""
