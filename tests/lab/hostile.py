# SPDX-License-Identifier: Apache-2.0
"""Submission servers that misbehave: one host, one port for each way of it, and a record of all bytes they got."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lab import Lab
    from .relay import Relay

NAME = "hostile.c.test"


@dataclass(frozen=True)
class Way:
    """One way to misbehave.

    Args:
        port: where.
        reason: what the queue must say about a message for it (a regular expression).
        mode: what the server does; see _SCRIPT.
        certificate: kind of its certificate, one of :data:`.certificates.KINDS`.
        implicit: whether the client speaks TLS from the first byte.
        verified: whether the server is the real one, so that it may see a password.

    """

    port: int
    reason: str
    mode: str
    certificate: str = "valid"
    implicit: bool = False
    verified: bool = False

    @property
    def address(self) -> str:
        """The sender address of the account at this port."""
        return f"port{self.port}@c.test"

    @property
    def password(self) -> str:
        """The password of that account."""
        return f"{self.port}-is-the-port-of-this-secret"


_HANGS = "conversation with .* timed out"
_NO_HANDSHAKE = "Cannot start TLS: handshake failure"
_UNTRUSTED = "Server certificate not (verified|trusted)"
WAYS = {
    "self-signed": Way(2501, _UNTRUSTED, "tls", "self-signed"),
    "wrong name": Way(2502, _UNTRUSTED, "tls", "wrong-name"),
    # Postfix by itself would take it (dot-nexthop, postconf(5)).
    "name below": Way(2521, _UNTRUSTED, "tls", "name-below"),
    "expired": Way(2503, _UNTRUSTED, "tls", "expired"),
    "unknown CA": Way(2504, _UNTRUSTED, "tls", "unknown-ca"),
    "self-signed, implicit TLS": Way(2505, _UNTRUSTED, "tls", "self-signed", implicit=True),
    "wrong name, implicit TLS": Way(2506, _UNTRUSTED, "tls", "wrong-name", implicit=True),
    "expired, implicit TLS": Way(2507, _UNTRUSTED, "tls", "expired", implicit=True),
    "unknown CA, implicit TLS": Way(2508, _UNTRUSTED, "tls", "unknown-ca", implicit=True),
    "no STARTTLS": Way(2509, "TLS is required, but was not offered", "clear"),
    "STARTTLS refused": Way(2510, "TLS is required, but host .* refused to start TLS: 454", "refuse"),
    "STARTTLS stripped by a proxy": Way(2511, "TLS is required, but was not offered", "strip"),
    "clear text where TLS is implicit": Way(2512, _NO_HANDSHAKE, "clear", implicit=True),
    "TLS 1.1 at most": Way(2513, _NO_HANDSHAKE, "old"),
    "TLS 1.1 at most, implicit TLS": Way(2514, _NO_HANDSHAKE, "old", implicit=True),
    "login rejected": Way(2515, "535", "reject", verified=True),
    "weak mechanisms only": Way(
        2516, "offered no compatible authentication mechanisms", "weak", verified=True
    ),
    "no AUTH": Way(2517, "said: 530 5.7.0 Authentication required", "anonymous", verified=True),
    "greets and hangs": Way(2518, _HANGS, "hang"),
    "does not greet": Way(2519, _HANGS, "silent"),
    "greets, hangs after TLS": Way(2520, _HANGS, "hang-in-tls", verified=True),
}

_SCRIPT = r"""
import asyncio, json, ssl, sys, tempfile
JOBS = json.loads(%r)
REAL = (%r, 587)

def context(job):
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(job["certificate"] + job["key"])
        pem.flush()
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.load_cert_chain(pem.name)
    if job["mode"] == "old":
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion.TLSv1_1
        made.set_ciphers("ALL:@SECLEVEL=0")
    return made

def note(job, data):
    print(json.dumps({"port": job["port"], "got": data.decode("latin-1")}), flush=True)

async def strip(job, reader, writer):
    theirs, ours = await asyncio.open_connection(*REAL)
    async def pump(source, sink, change):
        while data := await source.read(65536):
            sink.write(change(data))
            await sink.drain()
        sink.close()
    def seen(data):
        note(job, data)
        return data
    await asyncio.gather(
        pump(reader, ours, seen),
        pump(theirs, writer, lambda data: data.replace(b"250-STARTTLS\r\n", b"250-AUTH PLAIN LOGIN\r\n")),
    )

async def talk(job, reader, writer):
    note(job, b"connected")
    mode, encrypted = job["mode"], False
    if job["implicit"] and mode != "clear":
        await writer.start_tls(context(job))
        encrypted = True
    if mode == "strip":
        return await strip(job, reader, writer)
    if mode == "silent":
        return await asyncio.sleep(3600)
    writer.write(b"220 hostile ESMTP\r\n")
    while line := await reader.readline():
        note(job, line)
        verb = line.split()[0].upper() if line.split() else b""
        if mode == "hang" or (mode == "hang-in-tls" and encrypted):
            return await asyncio.sleep(3600)
        if verb in (b"EHLO", b"HELO"):
            offers = ["hostile"]
            if mode not in ("clear",) and not encrypted:
                offers.append("STARTTLS")
            if mode == "weak":
                offers.append("AUTH DIGEST-MD5 NTLM GSSAPI")
            elif mode != "anonymous" and (encrypted or mode in ("clear", "refuse")):
                offers.append("AUTH PLAIN LOGIN")
            *first, last = offers
            writer.write("".join([f"250-{offer}\r\n" for offer in first] + [f"250 {last}\r\n"]).encode())
        elif verb == b"STARTTLS" and mode == "refuse":
            writer.write(b"454 4.7.0 TLS not available\r\n")
        elif verb == b"STARTTLS":
            writer.write(b"220 go ahead\r\n")
            await writer.drain()
            await writer.start_tls(context(job))
            encrypted = True
        elif verb == b"AUTH" and mode == "reject":
            writer.write(b"535 5.7.8 authentication failed\r\n")
        elif verb == b"AUTH":
            writer.write(b"235 2.7.0 welcome\r\n")
        elif verb == b"MAIL" and mode == "anonymous":
            writer.write(b"530 5.7.0 Authentication required\r\n")
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            while (more := await reader.readline()) not in (b".\r\n", b""):
                note(job, more)
            writer.write(b"250 2.0.0 got it\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        else:
            writer.write(b"250 2.0.0 fine\r\n")
        await writer.drain()
    writer.close()

async def main():
    for job in JOBS:
        async def serve(reader, writer, job=job):
            try:
                await talk(job, reader, writer)
            except (OSError, ssl.SSLError) as problem:
                note(job, f"failed: {problem}".encode())
        await asyncio.start_server(serve, "0.0.0.0", job["port"])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Hostile:
    """The host, and what it got.

    Args:
        lab: where to start it.
        real: the relay that it stands before as a proxy.

    """

    def __init__(self, lab: Lab, real: Relay) -> None:
        self.certificates = {name: lab.authority.issue(NAME, way.certificate) for name, way in WAYS.items()}
        jobs = [
            {
                "port": way.port,
                "mode": way.mode,
                "implicit": way.implicit,
                "certificate": self.certificates[name].certificate,
                "key": self.certificates[name].key,
            }
            for name, way in WAYS.items()
        ]
        self._server = lab.server(NAME, _SCRIPT % (json.dumps(jobs), real.address))

    def got(self, way: Way) -> list[str]:
        """Return what clients sent to a port, decrypted where they spoke TLS; ``connected`` for each connection."""
        found = []
        for line in self._server.log().splitlines():
            record = re.search(r'\{"port": .*\}$', line)
            if record and (said := json.loads(record[0]))["port"] == way.port:
                found.append(said["got"])
        return found
