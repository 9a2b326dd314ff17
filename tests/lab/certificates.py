# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for tests, and certificates of every kind that a relay may show."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)

KINDS = ("valid", "self-signed", "wrong-name", "name-below", "expired", "future", "unknown-ca")
"""What :meth:`Authority.issue` can make."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, both PEM.

    Args:
        certificate: the certificate.
        key: the private key.
        fingerprint: SHA-256 of the certificate, as Postfix writes it (``AB:CD:...``).
        key_fingerprint: SHA-256 of the public key (DER), likewise.

    """

    certificate: str
    key: str
    fingerprint: str
    key_fingerprint: str


def _colons(digest: bytes) -> str:
    return digest.hex(":").upper()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    off = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        **off,
    )


class Authority:
    """A certificate authority.

    Args:
        name: its common name.

    """

    def __init__(self, name: str = "Lab CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = (
            self._builder(self._name, self._name, self._key, _NOW - _DAY, _NOW + 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        #: Its own certificate, PEM.
        self.certificate = _pem(certificate)

    @staticmethod
    def _builder(
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        start: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def issue(self, host: str, kind: str = "valid") -> Certificate:
        """Return a new certificate for a host.

        Args:
            host: its name.
            kind: one of :data:`KINDS`.

        """
        if kind not in KINDS:
            raise ValueError(kind)
        if kind == "unknown-ca":
            return Authority("Another CA").issue(host)
        key = ec.generate_private_key(ec.SECP256R1())
        named = {"wrong-name": "other.invalid", "name-below": f"below.{host}"}.get(kind, host)
        days = {"expired": (-30, -1), "future": (1, 30)}.get(kind, (-1, 90))
        start, end = (_NOW + count * _DAY for count in days)
        own = kind == "self-signed"
        certificate = (
            self._builder(_name(named), _name(named) if own else self._name, key, start, end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(named)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key((key if own else self._key).public_key()),
                critical=False,
            )
            .sign(key if own else self._key, hashes.SHA256())
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public)
        return Certificate(
            certificate=_pem(certificate),
            key=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            fingerprint=_colons(certificate.fingerprint(hashes.SHA256())),
            key_fingerprint=_colons(digest.finalize()),
        )
