# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for dom0 of Qubes OS: qubesadmin on a world in a file, the states ``qvm``, and the programs ``qvm-*``."""
