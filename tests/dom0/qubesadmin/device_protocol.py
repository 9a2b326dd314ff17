# SPDX-License-Identifier: Apache-2.0
"""Imported by the module qvm, for PCI devices only."""
