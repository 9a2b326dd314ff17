# SPDX-License-Identifier: Apache-2.0
"""smarthost_providers: how mail of a domain is sent, the sheet behind it, and what a typing error meant."""

import hashlib
import re

import pytest

import smarthost_provider_sheet
import smarthost_providers
from smarthost_providers import (
    Provider,
    Server,
    closest,
    fetched,
    no_relay,
    password_hint,
    providers,
    refuses_passwords,
)
from tools.providers import SheetError, groups, written

# Of the sheet's lines, sorted: six columns, then protocol, host, port and TLS of IMAP, of POP3 where there is no IMAP.
DIGEST = "bbfc592d60b1444eec014e9bf2091461746d4941f83465d84188e5bd146aebde"
LINE = "example.com\tsmtp.example.com\t465\timplicit\taddress\tpassword\timap.example.com\t993\timplicit\t-\t-\t-\n"


def _imap(host: str) -> Server:
    return Server("imap", host, 993, "implicit")


def rows_of_the_sheet() -> list[str]:
    rows, facts = [], []
    for line in smarthost_provider_sheet.SHEET.splitlines():
        if line.startswith(" "):
            relay, port, tls, username, login, *fetched = facts
            form = username.replace("-", " ")
            rows += ["\t".join((domain, relay, port, tls, form, login, *fetched)) for domain in line.split()]
        else:
            facts = line.split()
    return sorted(rows)


def test_the_data_says_of_each_domain_what_the_sheet_says() -> None:
    rows = rows_of_the_sheet()
    assert len(rows) == 858
    assert hashlib.sha256("\n".join(rows).encode()).hexdigest() == DIGEST


def test_the_script_writes_the_same_again() -> None:
    none = ("-", "-", "-")
    sheet = ["# a comment"]
    for row in rows_of_the_sheet():
        *columns, protocol, host, port, tls = [*row.split("\t"), *(4 - (row.count("\t") - 5)) * ("-",)]
        server = (host, port, tls)
        both = (*none, *server) if protocol == "pop3" else (*server, *none)
        sheet.append("\t".join((*columns, *both)))
    assert written("\n".join(sheet)) == smarthost_providers_text()


def smarthost_providers_text() -> str:
    with open(smarthost_provider_sheet.__file__, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("465", "smtps"),
        LINE.replace("implicit", "none"),
        LINE.replace("\taddress", "\tnickname"),
        LINE.replace("password", "maybe"),
        LINE.replace("993", "imaps"),
        LINE.replace("993\timplicit", "143\tnone"),
        LINE.replace("\t-\t-\t-", ""),
        LINE.replace("example.com\ts", "Example.com\ts"),
        LINE * 2,
    ],
)
def test_a_sheet_that_is_not_as_expected_is_told(line: str) -> None:
    with pytest.raises(SheetError, match=r"line [12] is not as expected"):
        groups(line)


def test_each_fact_is_one_that_an_account_takes() -> None:
    for domain, provider in providers().items():
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", domain)
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", provider.relay)
        assert provider.port in (465, 586, 587)
        assert provider.tls_mode in ("implicit", "starttls")
        assert provider.username in ("address", "local-part", "other")
        assert provider.login in ("password", "oauth2-or-password", "oauth2-only")
        if provider.fetched:
            protocol, host, port, tls_mode = provider.fetched
            assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", host)
            assert (protocol, tls_mode, port) in {
                ("imap", "implicit", 993),
                ("imap", "starttls", 143),
                ("pop3", "implicit", 995),
                ("pop3", "starttls", 110),
            }


def test_mail_is_fetched_where_the_relay_s_provider_has_it() -> None:
    """A domain of one's own may be with a provider that is known."""
    google = Server("imap", "imap.gmail.com", 993, "implicit")
    assert fetched("gmail.com", "smtp.gmail.com") == google
    assert fetched("example.org", "smtp.gmail.com") == google
    assert fetched("example.org", "smtp.fastmail.com") == Server("imap", "imap.fastmail.com", 993, "implicit")
    assert fetched("vm.aikis.or.jp", "mail.aikis.or.jp") == Server(
        "pop3", "mail.aikis.or.jp", 995, "implicit"
    )
    assert fetched("example.org", "mail.example.org") is None
    assert fetched("gmail.com", "mail.example.org") is None
    assert fetched("mailfence.com", "smtp.mailfence.com") is None


def test_no_domain_stands_twice() -> None:
    by_hand = " ".join(re.findall(r"^ (.*)", smarthost_providers._BY_HAND, re.MULTILINE)).split()
    sheet = {row.partition("\t")[0] for row in rows_of_the_sheet()}
    assert sorted({*by_hand}) == sorted(by_hand)
    assert sheet & {*by_hand} == set()
    assert not {*providers()} & {*smarthost_providers._NO_RELAY}


def test_each_hint_belongs_to_a_relay_and_can_be_shown() -> None:
    relays = {provider.relay for provider in providers().values()}
    for relay, hint in smarthost_providers._APP_PASSWORDS.items():
        assert relay in relays
        assert hint.isascii()
        assert not hint.endswith(".")
    assert "https://myaccount.google.com/apppasswords" in password_hint("smtp.gmail.com")
    assert password_hint("smtp.example.com") == ""


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        (
            "gmail.com",
            Provider(
                "smtp.gmail.com", 465, "implicit", "address", "oauth2-or-password", _imap("imap.gmail.com")
            ),
        ),
        ("web.de", Provider("smtp.web.de", 465, "implicit", "local-part", "password", _imap("imap.web.de"))),
        (
            "icloud.com",
            Provider("smtp.mail.me.com", 587, "starttls", "address", "password", _imap("imap.mail.me.com")),
        ),
        ("posteo.de", Provider("posteo.de", 465, "implicit", "address", "password", _imap("posteo.de"))),
        (
            "fastmail.com",
            Provider("smtp.fastmail.com", 465, "implicit", "address", "password", _imap("imap.fastmail.com")),
        ),
        (
            "mailbox.org",
            Provider("smtp.mailbox.org", 465, "implicit", "address", "password", _imap("imap.mailbox.org")),
        ),
        (
            "disroot.org",
            Provider("disroot.org", 465, "implicit", "local-part", "password", _imap("disroot.org")),
        ),
        (
            "riseup.net",
            Provider("mail.riseup.net", 465, "implicit", "address", "password", _imap("mail.riseup.net")),
        ),
        ("mailfence.com", Provider("smtp.mailfence.com", 465, "implicit", "other", "password")),
    ],
)
def test_a_provider(domain: str, provider: Provider) -> None:
    assert providers()[domain] == provider


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(
            ("gmial.com", "gmail.com"),
            ("gmal.com", "gmail.com"),
            ("gmail.con", "gmail.com"),
            ("gamil.com", "gmail.com"),
        ),
        *(("gmaill.com", "gmail.com"), ("yahooo.com", "yahoo.com"), ("hotmial.com", "hotmail.com")),
        *(("mailbox.rog", "mailbox.org"), ("posteo.dee", "posteo.de"), ("icluod.com", "icloud.com")),
        *(("web.dee", "web.de"), ("protonmal.com", "protonmail.com"), ("tutanotta.com", "tutanota.com")),
        # Somebody's own.
        *(("example.com", ""), ("example.org", ""), ("a.test", ""), ("my-company.example", ""), ("x.y", "")),
    ],
)
def test_what_a_typing_error_meant(typed: str, meant: str) -> None:
    assert typed not in providers()
    assert closest(typed) == meant


def test_where_there_is_no_relay() -> None:
    for domain in ("proton.me", "protonmail.com", "pm.me"):
        assert "Proton Mail Bridge" in no_relay(domain)
    for domain in ("tuta.com", "tutanota.com", "hey.com"):
        assert "another provider" in no_relay(domain)
    assert no_relay("example.com") == no_relay("gmail.com") == ""


def test_relays_that_take_no_passwords() -> None:
    only = {provider.relay for provider in providers().values() if provider.login == "oauth2-only"}
    assert only == {"smtp-mail.outlook.com", "smtp.office365.com"}
    for derived in (True, False):
        assert "takes no passwords any more" in refuses_passwords("smtp-mail.outlook.com", derived)
        assert refuses_passwords("smtp.gmail.com", derived) == ""
    # Where an administrator decides, who names the relay may know what he has decided.
    assert "administrator" in refuses_passwords("smtp.office365.com", True)
    assert refuses_passwords("smtp.office365.com", False) == ""
