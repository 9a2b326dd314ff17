# SPDX-License-Identifier: Apache-2.0
"""The keys of an account that say how its relay is reached, verified and logged in to: what is refused, and how."""

from __future__ import annotations

import base64
import re
import ssl
from typing import TYPE_CHECKING, Any

import pytest

import smarthost_names
import smarthost_relays
import smarthost_requirements
from smarthost_pillar import normalise, problems
from smarthost_places import Places
from tests.lab.certificates import Authority
from tests.samples import ALICE, BOB, FINGERPRINT, SECRET

if TYPE_CHECKING:
    from pathlib import Path

CA = Authority().certificate
WHERE = "Account 1 (alice@example.com): "
CLEAR_ELSEWHERE = (
    "tls: mode none is for a program in this qube only, with 127.0.0.1, ::1 or localhost for relay: anywhere else the"
    " password and the mail would be in clear text."
)
DER = ssl.PEM_cert_to_DER_cert(CA)
BODY = CA.partition("-----\n")[2].partition("\n-----")[0]


def told(**changes: Any) -> list[str]:  # noqa: ANN401
    """What is said of ALICE's account with some changes; one to None takes the key out."""
    account = {key: value for key, value in (ALICE | changes).items() if value is not None}
    sentences = problems({"accounts": [account]})
    assert [sentence for sentence in sentences if SECRET in sentence or not sentence.isascii()] == []
    return [sentence.removeprefix(WHERE) for sentence in sentences]


def regular(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    account = {key: value for key, value in (ALICE | changes).items() if value is not None}
    (made,) = normalise({"accounts": [account]})["accounts"]
    return made


# -- without a login ------------------------------------------------------------------------------------------


def test_an_account_without_a_login_has_none() -> None:
    made = regular(auth="none", password=None)
    assert (made["auth"], made["username"], made["password"]) == ("none", "", "")
    assert smarthost_relays.logins([made]) == {}
    assert smarthost_relays.routes([made]) == {
        "alice@example.com": "smtp-starttls-noauth:[mail.example.com]:587"
    }


@pytest.mark.parametrize(
    "extra", [{}, {"password": None, "username": "al"}, {"password": None, "password_base64": ""}]
)
def test_an_account_without_a_login_has_no_password_either(extra: dict[str, Any]) -> None:
    assert told(auth="none", **extra) == [
        "auth: none logs in nowhere: leave out username and password, or auth."
    ]


@pytest.mark.parametrize("auth", ["", "None", "plain", "XOAUTH2", "oauth2", False, 0, ["none"], {}])
def test_another_way_to_log_in_is_refused(auth: object) -> None:
    assert told(auth=auth) == ["auth must be one of none, password, xoauth2."]


def test_a_missing_password_is_no_account_without_a_login() -> None:
    assert problems({"accounts": [ALICE | {"auth": "password"} | {"password": ""}]}) == [
        f"{WHERE}the password is empty."
    ]
    assert told(password=None) == [f"{WHERE[:-2]} has no password: give password or password_base64."]


# -- clear text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relay", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"])
def test_clear_text_to_the_qube_itself(relay: str) -> None:
    made = regular(relay=relay, tls={"mode": "none"}, port=1025)
    address = relay if relay[0] in "1:" else "127.0.0.1"
    assert smarthost_relays.routes([made]) == {"alice@example.com": f"smtp-clear:[{address}]:1025"}
    assert smarthost_relays.tls_policy([made], "/etc/postfix") == {}


@pytest.mark.parametrize(
    "relay",
    [
        *(
            "mail.example.com",
            "localhost.localdomain",
            "ip6-localhost",
            "x.localhost",
            "localhost.",
            "127.1",
            "0177.0.0.1",
        ),
        *(
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "128.0.0.1",
            "::1%lo",
            "[::1]",
        ),
    ],
)
def test_clear_text_to_anything_else_is_refused(relay: str) -> None:
    assert CLEAR_ELSEWHERE in told(relay=relay, tls={"mode": "none"})


@pytest.mark.parametrize(
    "tls", [{"fingerprint": [FINGERPRINT]}, {"ca": CA}, {"ca": CA, "fingerprint": [FINGERPRINT]}]
)
def test_clear_text_has_nothing_to_verify(tls: dict[str, Any]) -> None:
    assert told(relay="localhost", tls={"mode": "none", **tls}) == [
        "tls: mode none has no certificate to verify: leave out ca and fingerprint, or mode."
    ]


def test_the_qube_itself_is_an_address_that_no_ca_vouches_for() -> None:
    (sentence,) = told(relay="localhost")
    assert sentence.startswith("relay is an IP address, which no certificate can prove")
    assert regular(relay="localhost", tls={"fingerprint": [FINGERPRINT]})["relay"] == "127.0.0.1"


# -- a private CA ---------------------------------------------------------------------------------------------


def test_only_certificates_are_taken_out_of_a_text() -> None:
    indented = "".join(f"  {line}\r\n" for line in CA.splitlines())
    made = regular(tls={"ca": f"subject=CN = x\n{indented}\n# {SECRET}\n{CA}"})
    assert made["ca"] == CA
    assert smarthost_relays.ca_files([made]) == {"ca-1.pem": CA}
    assert smarthost_relays.tls_policy([made], "/etc/postfix/tables-a") == {
        "[mail.example.com]:587": "secure tafile=/etc/postfix/tables-a/ca-1.pem servername=mail.example.com"
    }


@pytest.mark.parametrize("ca", [None, True, 5, [CA], {"file": "/x"}])
def test_a_ca_is_text(ca: object) -> None:
    assert problems({"accounts": [ALICE | {"tls": {"ca": ca}}]}) == [
        f"{WHERE}tls: ca must be the text of a PEM certificate."
    ]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            SECRET,
            "/etc/ssl/ca.pem",
            BODY,
            f"-----BEGIN CERTIFICATE-----\n{BODY}",
            f"{CA}-----BEGIN CERTIFICATE-----",
        ),
        f"-----BEGIN CERTIFICATE-----\n{SECRET}!\n-----END CERTIFICATE-----\n",
    ],
    ids=range(7),
)
def test_a_text_without_a_whole_certificate_is_refused(text: str) -> None:
    assert told(tls={"ca": text}) == [
        "tls: ca holds no whole PEM certificate (-----BEGIN CERTIFICATE----- ...)."
    ]


@pytest.mark.parametrize(
    "body", ["AAAA", BODY[:64], "====", base64.b64encode(DER + b"more").decode()], ids=range(4)
)
def test_a_certificate_that_openssl_cannot_read_is_refused(body: str) -> None:
    text = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    assert told(tls={"ca": text}) == [
        "tls: ca holds a certificate that cannot be read: copy the file once more."
    ]


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", "TRUSTED CERTIFICATE"])
def test_a_private_key_is_refused(kind: str) -> None:
    text = f"{CA}-----BEGIN {kind}-----\n{SECRET}\n-----END {kind}-----\n"
    (sentence,) = told(tls={"ca": text})
    assert sentence.startswith("tls: ca holds something else than certificates")


def test_a_ca_and_a_fingerprint_are_one_too_many() -> None:
    assert told(tls={"ca": CA, "fingerprint": [FINGERPRINT]}) == [
        "tls has ca and fingerprint: keep one, which alone then decides."
    ]


def test_a_ca_vouches_for_no_address() -> None:
    (sentence,) = told(relay="192.0.2.1", tls={"ca": CA})
    assert sentence.startswith("relay is an IP address, which no certificate can prove")


def test_accounts_at_one_relay_have_one_ca() -> None:
    second = ALICE | {"address": "al@example.com", "tls": {"ca": CA}}
    assert problems({"accounts": [ALICE, second]}) == [
        f"Account 2 (al@example.com): tls differs from {WHERE[:-2]}, which uses the same relay and port."
    ]
    both = normalise({"accounts": [BOB, ALICE | {"tls": {"ca": CA}}, second]})["accounts"]
    assert sorted(smarthost_relays.ca_files(both)) == ["ca-2.pem", "ca-3.pem"]


# -- names outside ASCII --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "form"),
    [
        ("m\u00fcller.example", "xn--mller-kva.example"),
        ("M\u00dcLLER.Example", "xn--mller-kva.example"),
        # Another domain than strasse.example, which Python's own idna would make of it.
        ("stra\u00dfe.example", "xn--strae-oqa.example"),
        ("\u03b2\u03cc\u03bb\u03bf\u03c2.example", "xn--nxasmm1c.example"),
        ("\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", "xn--e1afmkfd.xn--p1ai"),
        ("mail\u3002\u4f8b\u3048.jp", "mail.xn--r8jz45g.jp"),
    ],
)
def test_a_name_outside_ascii_is_told_as_dns_has_it(domain: str, form: str) -> None:
    assert told(relay=domain) == [f"relay is not ASCII: write it as {form}."]
    assert problems({"accounts": [ALICE | {"address": f"al@{domain}"}]}) == [
        f"Account 1: address is not ASCII: write the domain as {form}."
    ]
    assert told(senders=[f"al@{domain}"]) == [f"sender 1 is not ASCII: write the domain as {form}."]
    assert problems({"accounts": [ALICE | {"relay": form, "address": f"al@{form}"}]}) == []


@pytest.mark.parametrize("domain", ["p\u00e4ssword", "\u00e4" * 70 + ".example", "\u00e4 b.example"])
def test_what_has_no_such_form_is_not_shown(domain: str) -> None:
    assert told(relay=domain) == ["relay is not ASCII: write its xn-- form."]


def test_a_local_part_outside_ascii_has_no_other_form() -> None:
    assert problems({"accounts": [ALICE | {"address": "\u00e4l@m\u00fcller.example"}]}) == [
        "Account 1: address is not ASCII: write the domain as xn--mller-kva.example; a local part outside ASCII cannot"
        " be used."
    ]


# -- next hops and protocols ----------------------------------------------------------------------------------


def test_each_account_is_a_destination_of_its_own() -> None:
    accounts = normalise(
        {
            "accounts": [
                ALICE | {"senders": ["me@alias.example"]},
                BOB,
                *(ALICE | {"address": f"{name}@example.com"} for name in ("al", "ali")),
                ALICE | {"address": "alix@example.com", "port": 2525},
            ]
        }
    )["accounts"]
    hops = smarthost_relays.nexthops(accounts)
    assert hops == [
        "[mail.example.com]:587",
        "[smtp.example.org]:465",
        "[mail.example.com]:0587",
        "[mail.example.com]:00587",
        "[mail.example.com]:2525",
    ]
    assert [int(hop.rpartition(":")[2]) for hop in hops] == [587, 465, 587, 587, 2525]
    assert smarthost_relays.tls_policy(accounts, "x").keys() == {*hops}
    ways = [smarthost_relays.without_zeros(way) for way in smarthost_relays.routes(accounts).values()]
    assert ways.count("smtp-starttls:[mail.example.com]:587") == 4


@pytest.mark.parametrize(
    ("lines", "has"),
    [
        ("", False),
        ("00000000000000000000000000000001 01 80 10 80       lo\n", False),
        ("fe80000000000000020000fffe000001 02 40 20 80     eth0\n", False),
        ("fd0924ef417900000000000000000001 02 80 00 80     eth0\n", True),
    ],
    ids=["no IPv6", "loopback", "link", "address"],
)
def test_a_qube_has_ipv6_if_it_has_an_address(tmp_path: Path, lines: str, has: bool) -> None:
    places = Places(str(tmp_path))
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/if_inet6").write_text(lines)
    assert smarthost_requirements.has_ipv6(places) is has
    protocol = smarthost_relays.protocols([regular()], ipv6=has)["inet_protocols"]
    assert protocol == ("all" if has else "ipv4")


def test_a_kernel_without_ipv6_is_none(tmp_path: Path) -> None:
    assert smarthost_requirements.has_ipv6(Places(str(tmp_path))) is False


def test_a_relay_at_an_address_of_ipv6_needs_it() -> None:
    own = regular(relay="::1", tls={"mode": "none"})
    assert smarthost_relays.protocols([regular(), own], ipv6=False)["inet_protocols"] == "all"


def test_what_a_name_may_be_is_what_is_written() -> None:
    assert smarthost_names.xn_form("example.com") == "example.com"
    assert re.fullmatch(r"[a-z0-9.-]*", smarthost_names.xn_form("a\u00e4\n.b"))
