# SPDX-License-Identifier: Apache-2.0
"""A stand-in for qubesadmin.exc."""


class QubesException(Exception):  # noqa: N818 - its name there
    """Any error of Qubes."""


class QubesVMNotStartedError(QubesException):
    """It does not run."""


class QubesDaemonNoResponseError(QubesException):
    """qubesd says nothing."""
