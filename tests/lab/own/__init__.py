# SPDX-License-Identifier: Apache-2.0
"""What stands around Qubes' own qubesctl, where its sources are given: qubesd, qrexec, the disposables."""
