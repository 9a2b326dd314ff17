# SPDX-License-Identifier: Apache-2.0
"""
What is in a certificate, as far as Python's ssl does not tell it.

Pure functions. Sources: X.690 8.1 on the encoding, RFC 5280 4.1 on the fields; smtp_tls_fingerprint_cert_match in
postconf(5) on what Postfix compares.
"""

from __future__ import annotations

import hashlib

_CONTEXT_0 = 0xA0


def fingerprints(der: bytes) -> set[str]:
    """
    Return the SHA-256 fingerprints of a certificate and of its public key, each as ``AA:BB:...``.

    der : bytes
        The certificate.

    Raises ValueError when it is none.
    """
    return {hashlib.sha256(data).digest().hex(":").upper() for data in (der, _public_key(der))}


def _public_key(der: bytes) -> bytes:
    """Return the subjectPublicKeyInfo: the field after version, serial, signature, issuer, validity and subject."""
    fields = _content(_content(der))
    if fields[:1] == bytes([_CONTEXT_0]):
        fields = fields[_size(fields) :]
    for _ in range(5):
        fields = fields[_size(fields) :]
    return fields[: _size(fields)]


def _content(der: bytes) -> bytes:
    """Return the content of the first value."""
    header, length = _header(der)
    return der[header : header + length]


def _size(der: bytes) -> int:
    header, length = _header(der)
    return header + length


def _header(der: bytes) -> tuple[int, int]:
    """Return the number of bytes of the first value's header, and of its content."""
    if len(der) < 2:
        raise ValueError("the certificate cannot be read")
    if der[1] < 0x80:
        return 2, der[1]
    size = der[1] & 0x7F
    length = int.from_bytes(der[2 : 2 + size], "big")
    if len(der) < 2 + size + length:
        raise ValueError("the certificate cannot be read")
    return 2 + size, length
