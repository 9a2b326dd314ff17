#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Managed by the Salt formula postfix_smarthost.
"""
Tell smtpd(8) whether the user at the other end of a connection over loopback may submit mail.

SMTP does not say who is there, but the kernel does: the owner of the client's end of the connection. smtpd(8) asks
once, when the connection is made. What it reads afterwards comes over that connection, since it has to write the
greeting first, which fails once the client has left, whoever has the port by then. Run by spawn(8), with the names of
those who may as arguments.

Sources: SMTPD_POLICY_README of Postfix; sock_diag(7), linux/inet_diag.h and proc_pid_net(5) for connections.
"""

from __future__ import annotations

import pwd
import socket
import struct
import sys
from collections.abc import Iterator

ESTABLISHED = 1
# From linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBxI")
ENDS = struct.Struct("!HH16s16s")
# Any interface, any cookie.
ANY = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
ANSWER = struct.Struct("=BBxx 48x 12x II")


def packed(address: str) -> bytes:
    """Return an IP address as the network has it."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def asked(client: tuple[bytes, int], server: tuple[bytes, int]) -> tuple[int, int, int]:
    """Return state, user and inode of the client's end, as the kernel tells for one connection.

    Raises OSError when there is no such connection, and when the kernel, or what confines this process, does not let it
    ask: one cannot tell which.
    """
    family = socket.AF_INET if len(client[0]) == 4 else socket.AF_INET6
    ends = ENDS.pack(client[1], server[1], *(end[0].ljust(16, b"\0") for end in (client, server)))
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << ESTABLISHED) + ends + ANY
    header = HEADER.pack(HEADER.size + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(header + request)
        answer = kernel.recv(4096)
    if HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        raise OSError("no such connection")
    _, state, uid, inode = ANSWER.unpack_from(answer, HEADER.size)
    return state, uid, inode


def listed(client: tuple[bytes, int], server: tuple[bytes, int]) -> Iterator[tuple[int, int, int]]:
    """Yield state, user and inode of what the kernel's tables of all connections hold of the client's end.

    The address counts, not only the port: two users can have the same port on two addresses of loopback.
    """

    def forms(end: tuple[bytes, int]) -> set[str]:
        # A program that speaks IPv6 sees IPv4 as ::ffff:ADDRESS. Words are of the machine's byte order.
        address, port = end
        order = -1 if sys.byteorder == "little" else 1
        return {
            "".join(form[i : i + 4][::order].hex() for i in range(0, len(form), 4)).upper() + f":{port:04X}"
            for form in ({address, bytes(10) + b"\xff\xff" + address} if len(address) == 4 else {address})
        }

    locals_, remotes = forms(client), forms(server)
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split()[:10] for line in lines][1:]
        except OSError:
            continue
        for _, local, remote, state, *_, uid, _, inode in rows:
            if local in locals_ and remote in remotes:
                yield int(state, 16), int(uid), int(inode)


def owners(client: tuple[bytes, int], server: tuple[bytes, int]) -> set[int]:
    """Return the users who own the client's end of a connection."""
    try:
        found = [asked(client, server)]
    except OSError:
        found = list(listed(client, server))
    # A connection that its process has left belongs to nobody: it is not established, or has no inode.
    return {uid for state, uid, inode in found if state == ESTABLISHED and inode}


def name(uid: int) -> str:
    """Return the name of a user, or the number if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def action(request: dict[str, str], allowed: set[int]) -> str:
    """Return the answer to one request: nothing said against it only for the users who may.

    After 521 smtpd(8) closes the connection, so that nobody keeps one who may not use it.
    """
    try:
        client = packed(request["client_address"]), int(request["client_port"])
        server = packed(request["server_address"]), int(request["server_port"])
        found = owners(client, server)
    except (KeyError, ValueError, OSError, struct.error):
        found = set()
    if found and found <= allowed:
        return "DUNNO"
    if not found:
        return "521 5.7.1 It cannot be told whose connection this is"
    others = " and ".join(sorted(name(uid) for uid in found - allowed))
    return f"521 5.7.1 {others} may not submit mail here, only {' and '.join(sorted(map(name, allowed)))} may"


def main() -> None:
    """Answer requests until smtpd(8) closes the connection."""
    allowed = {pwd.getpwnam(user).pw_uid for user in sys.argv[1:]}
    request: dict[str, str] = {}
    for line in sys.stdin:
        key, separator, value = line.rstrip("\n").partition("=")
        if separator:
            request[key] = value
        else:
            sys.stdout.write(f"action={action(request, allowed)}\n\n")
            sys.stdout.flush()
            request = {}


if __name__ == "__main__":
    main()
