# SPDX-License-Identifier: Apache-2.0
"""
Log in to a relay with a password, by each mechanism by which Postfix would, or with a token, as the proxy does.

Sources: RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5), RFC 5802 and 7677 (SCRAM);
smarthost_oauth_login for XOAUTH2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from smarthost_oauth_login import xoauth2

if TYPE_CHECKING:
    import smtplib

# What a relay may ask for takes about a second.
_ITERATIONS = 2_000_000
_GO_ON = 334
_LONGEST_INITIAL = 490


def log_in(smtp: smtplib.SMTP, mechanism: str, user: bytes, password: bytes) -> tuple[int, bytes]:
    """
    Log in, and return the code and the text of the last answer: 235 if the relay has let this user in.

    smtp : smtplib.SMTP
        The connection, after EHLO.
    mechanism : str
        One of ``smarthost_relays.MECHANISMS``, or XOAUTH2.
    user, password : bytes
        The login; for XOAUTH2 the password is the token.
    """
    if mechanism == "XOAUTH2":
        return _by_token(smtp, user, password)
    if mechanism == "PLAIN":
        return smtp.docmd("AUTH", f"PLAIN {encoded(bytes(1) + user + bytes(1) + password)}")
    if mechanism == "LOGIN":
        code, said = smtp.docmd("AUTH", "LOGIN")
        for answer in (user, password):
            if code == _GO_ON:
                code, said = smtp.docmd(encoded(answer))
        return code, said
    if mechanism == "CRAM-MD5":
        code, said = smtp.docmd("AUTH", mechanism)
        if code != _GO_ON:
            return code, said
        digest = hmac.new(password, base64.b64decode(said), "md5").hexdigest().encode()
        return smtp.docmd(encoded(user + b" " + digest))
    return _scram(smtp, mechanism, user, password)


def _by_token(smtp: smtplib.SMTP, user: bytes, token: bytes) -> tuple[int, bytes]:
    initial = xoauth2(*(text.decode("utf-8", "surrogateescape") for text in (user, token)))
    # A longer initial response goes by itself (RFC 4954 4).
    if len(initial) < _LONGEST_INITIAL:
        code, said = smtp.docmd("AUTH", f"XOAUTH2 {initial}")
    else:
        code, said = smtp.docmd("AUTH", "XOAUTH2")
        if code == _GO_ON:
            code, said = smtp.docmd(initial)
    # What is wrong, in JSON; what counts is the answer to an empty line.
    return smtp.docmd("") if code == _GO_ON else (code, said)


def encoded(data: bytes) -> str:
    """Return bytes as they go over the line (RFC 4648)."""
    return base64.b64encode(data).decode("ascii")


def _scram(smtp: smtplib.SMTP, mechanism: str, user: bytes, password: bytes) -> tuple[int, bytes]:
    algorithm = mechanism.removeprefix("SCRAM-").replace("SHA-", "sha")
    name = user.replace(b"=", b"=3D").replace(b",", b"=2C")
    bare = b"n=" + name + b",r=" + secrets.token_hex(16).encode()
    code, said = smtp.docmd("AUTH", f"{mechanism} {encoded(b'n,,' + bare)}")
    if code != _GO_ON:
        return code, said
    try:
        first = base64.b64decode(said)
        fields = dict(field.split(b"=", 1) for field in first.split(b","))
        salt, rounds = base64.b64decode(fields[b"s"]), int(fields[b"i"])
        if not 0 < rounds <= _ITERATIONS:
            raise ValueError
        last = b"c=biws,r=" + fields[b"r"]
    except (ValueError, KeyError, binascii.Error):
        return 501, b"(its part of the login cannot be read)"

    def signed(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, algorithm).digest()

    key = signed(hashlib.pbkdf2_hmac(algorithm, password, salt, rounds), b"Client Key")
    signature = signed(hashlib.new(algorithm, key).digest(), b",".join((bare, first, last)))
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    code, said = smtp.docmd(encoded(last + b",p=" + encoded(proof).encode()))
    # The relay shows that it knows the password, too; that it is the right one, its certificate has told.
    return smtp.docmd("") if code == _GO_ON else (code, said)
