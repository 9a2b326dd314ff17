# SPDX-License-Identifier: Apache-2.0
"""
Names and certificates of relays as a pillar has them.

Pure functions.

Sources: RFC 5890 to 5892 and UTS 46 on names outside ASCII, RFC 7468 on PEM.
"""

from __future__ import annotations

import encodings.idna
import ipaddress
import re
import ssl
import unicodedata

_FULL_STOPS = re.compile("[.\u3002\uff0e\uff61]")
# IDNA2008 takes them as they are; IDNA2003, which is Python's, turns them into others, and so into another domain.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_OTHER_PEM = re.compile(r"-----BEGIN (?!CERTIFICATE-----)")
_MOST = 200_000


def xn_form(domain: str) -> str:
    """
    Return the form of a domain in ASCII, as DNS has it; empty if there is none.

    domain : str
        Its text, with letters of any script.
    """
    try:
        labels = [_xn_label(label) for label in _FULL_STOPS.split(domain)]
    except UnicodeError:
        return ""
    form = ".".join(labels)
    return form if re.fullmatch(r"(?=.{1,253}\Z)(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}", form) else ""


def _xn_label(label: str) -> str:
    label = unicodedata.normalize("NFC", label).lower()
    if _DEVIATIONS & {*label}:
        return "xn--" + label.encode("punycode").decode("ascii")
    return encodings.idna.ToASCII(label).decode("ascii").lower()


def is_ip_address(value: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        # Whatever follows a "%" would be the zone of an IPv6 address.
        return bool(ipaddress.ip_address(value)) and "%" not in value
    except ValueError:
        return False


def is_loopback(relay: str) -> bool:
    """
    Tell whether a relay is an address of this qube itself.

    relay : str
        Its name or address. No name is: who answers for it could say another address.
    """
    try:
        address = ipaddress.ip_address(relay)
    except ValueError:
        return False
    # Whatever follows a "%" would be the zone of an IPv6 address; whether an IPv4 one in it counts depends on the
    # version of Python.
    return address.is_loopback and "%" not in relay and getattr(address, "ipv4_mapped", None) is None


def certificates(text: str) -> str:
    """
    Return the certificates in a PEM text, and nothing else of it.

    text : str
        Of one certificate or several; what stands between them is left out.

    Raises ValueError with the reason if it holds no certificate, or anything else that PEM has a name for.
    """
    if len(text) > _MOST:
        raise ValueError("is too long")
    if _OTHER_PEM.search(text):
        raise ValueError("holds something else than certificates, such as a private key: take that out")
    found = _CERTIFICATE.findall(text)
    if not found or len(found) != text.count("-----BEGIN CERTIFICATE-----"):
        raise ValueError("holds no whole PEM certificate (-----BEGIN CERTIFICATE----- ...)")
    unreadable = ValueError("holds a certificate that cannot be read: copy the file once more")
    try:
        binary = list(dict.fromkeys(ssl.PEM_cert_to_DER_cert(pem) for pem in found))
        whole = "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in binary)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=whole)
    except (ValueError, ssl.SSLError):
        raise unreadable from None
    # OpenSSL passes over one without any bytes, and over bytes behind the end.
    if context.cert_store_stats()["x509"] != len(binary) or not all(map(_is_one_value, binary)):
        raise unreadable
    return whole


def _is_one_value(der: bytes) -> bool:
    """Tell whether DER is one value and nothing behind it (X.690 8.1.3)."""
    size = der[1] & 0x7F if der[1] & 0x80 else 0
    length = int.from_bytes(der[2 : 2 + size], "big") if size else der[1]
    return len(der) == 2 + size + length
