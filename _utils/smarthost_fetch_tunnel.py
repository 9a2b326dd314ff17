# SPDX-License-Identifier: Apache-2.0
"""
Connect fetchmail(1) with a server that is known by a pin or a CA of its own: ``postfix-smarthost tunnel ADDRESS``.

fetchmail compares MD5 fingerprints only, and trusts the system's CAs beside one of its own. It writes here what the
server is to read, and reads what that writes; this program makes the connection, begins TLS, and verifies.

Source: fetchmail(1) on plugin.
"""

from __future__ import annotations

import socket

from smarthost_errors import CommandExecutionError
from smarthost_fetch_state import known
from smarthost_files import to_ascii
from smarthost_places import Places
from smarthost_wire import begin_tls, encrypted, pump, write

# In seconds.
_TIMEOUT = 30


def tunnel(places: Places, address: str) -> int:
    """
    Connect standard input and output with the server of an account, over TLS that is verified.

    places : Places
        The paths of the system.
    address : str
        That of the account.

    Returns 0 when either side has ended it.

    Raises CommandExecutionError where there is no such account, or the server is not known for what it is; OSError
    where it is not reached.
    """
    about = known(places).get(address)
    if about is None:
        raise CommandExecutionError(f"Mail of {to_ascii(address)} is not fetched here.")
    with socket.create_connection((about["server"], about["port"]), _TIMEOUT) as plain:
        greeting = b"" if about["tls_mode"] == "implicit" else begin_tls(plain, about["protocol"])
        with encrypted(plain, about) as secure:
            write(1, greeting)
            pump(secure, 0, 1)
    return 0
