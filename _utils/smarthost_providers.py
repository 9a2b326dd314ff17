# SPDX-License-Identifier: Apache-2.0
"""
Know how the providers of mail are reached, so that an account is an address and a password.

Pure functions: no file, no program and no Salt dunder is touched. ``smarthost_provider_sheet`` holds the facts of a
sheet; those that it lacks are here, each with the source that it was taken from in November 2026.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from smarthost_provider_sheet import SHEET

# The form of ``smarthost_provider_sheet``: a line of relay, port, TLS mode, user name and login, and of the protocol,
# host, port and TLS mode by which mail is fetched, where that is known, then its domains.
# deltachat: github.com/deltachat/provider-db at 5c14381, its file _providers/NAME.md, checked there by hand.
_BY_HAND = """\
# https://www.fastmail.com/help/technical/servernamesandports.html; domains and IMAP: deltachat, fastmail.md
smtp.fastmail.com 465 implicit address password imap imap.fastmail.com 993 implicit
 fastmail.com fastmail.fm fastmail.cn fastmail.co.uk fastmail.com.au fastmail.de fastmail.es fastmail.fr fastmail.im
 fastmail.in fastmail.jp fastmail.mx fastmail.net fastmail.nl fastmail.org fastmail.se fastmail.to fastmail.tw
 fastmail.uk fastmail.us fastmailbox.net fea.st fmail.co.uk imap.cc imapmail.org internet-mail.org mailbolt.com
 mailcan.com mailite.com mailup.net mm.st myfastmail.com nospammail.net ownmail.net proinbox.com
 promessage.com sent.as sent.at sent.com speedymail.org ssl-mail.com swift-mail.com the-fastest.net theinternetemail.com
 warpmail.net xsmail.com yepmail.net your-mail.com eml.cc f-m.fm airpost.net allmail.net bestmail.us cluemail.com
 elitemail.org 123mail.org 150mail.com 16mail.com 2-mail.com 4email.net 50mail.com
# https://kb.mailbox.org/en/private/e-mail/e-mail-configuration; IMAP: deltachat, mailbox.org.md
smtp.mailbox.org 465 implicit address password imap imap.mailbox.org 993 implicit
 mailbox.org secure.mailbox.org
# deltachat, migadu.md; the domains of its customers are not known here
smtp.migadu.com 465 implicit address password imap imap.migadu.com 993 implicit
 migadu.com
# deltachat, riseup.net.md
mail.riseup.net 465 implicit address password imap mail.riseup.net 993 implicit
 riseup.net
# git.disroot.org/Disroot/Howto, pages/02.tutorials/03.Email/00.settings; user name, IMAP: deltachat, disroot.md
disroot.org 465 implicit local-part password imap disroot.org 993 implicit
 disroot.org
# deltachat, autistici.org.md; the domains: www.autistici.org/get_service
smtp.autistici.org 465 implicit address password imap mail.autistici.org 993 implicit
 autistici.org inventati.org
# deltachat, systemli.org.md
mail.systemli.org 465 implicit address password imap mail.systemli.org 993 implicit
 systemli.org
# deltachat, infomaniak.com.md
mail.infomaniak.com 465 implicit address password imap mail.infomaniak.com 993 implicit
 ik.me
# deltachat, purelymail.com.md
smtp.purelymail.com 465 implicit address password imap imap.purelymail.com 993 implicit
 purelymail.com cheapermail.com placeq.com rethinkmail.com worldofmail.com
# deltachat, mailo.com.md
smtp.mailo.com 465 implicit address password imap imap.mailo.com 993 implicit
 mailo.com
# deltachat, mail.de.md
smtp.mail.de 465 implicit address password imap imap.mail.de 993 implicit
 mail.de
# deltachat, freenet.de.md
mx.freenet.de 465 implicit address password imap mx.freenet.de 143 starttls
 freenet.de
# deltachat, vivaldi.md
smtp.vivaldi.net 587 starttls other password imap imap.vivaldi.net 143 starttls
 vivaldi.net
# deltachat, qq.md
smtp.qq.com 465 implicit address password imap imap.qq.com 993 implicit
 foxmail.com
# github.com/nix-community/home-manager, modules/accounts/email.nix (flavor runbox.com)
mail.runbox.com 465 implicit address password imap mail.runbox.com 993 implicit
 runbox.com
# github.com/nodemailer/nodemailer, lib/well-known/services.json
smtp.kolabnow.com 465 implicit address password
 kolabnow.com
# smtp.startmail.com answers on 465 in the public configurations of its users; the password: support.startmail.com
smtp.startmail.com 465 implicit address password
 startmail.com
# The same; whether the user name is the address is not known here.
smtp.mailfence.com 465 implicit other password
 mailfence.com
"""

# Domains of providers that take no mail over SMTP as others do, and what to do.
_BRIDGE = (
    "takes mail only through Proton Mail Bridge: with Bridge in this qube give relay: 127.0.0.1, port: 1025 and"
    " tls:fingerprint with that of its certificate, and as password the one that Bridge shows"
)
_NONE = "gives no access by SMTP, by its own programs only: take an account of another provider"
# https://proton.me/support/protonmail-bridge-faq; deltachat, protonmail.md, tutanota.md and hey.com.md
_NO_RELAY = {
    **dict.fromkeys(("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), f"Proton Mail {_BRIDGE}"),
    **dict.fromkeys(
        ("tuta.com", "tutanota.com", "tutanota.de", "tutamail.com", "tuta.io", "keemail.me"), f"Tuta {_NONE}"
    ),
    "hey.com": f"HEY {_NONE}",
}

# At these relays the password is not that of the account, or has to be allowed first: where to go.
_APP_PASSWORDS = {
    # https://support.google.com/accounts/answer/185833
    "smtp.gmail.com": "Google wants an app password, for which 2-Step Verification has to be on:"
    " https://myaccount.google.com/apppasswords",
    # deltachat, yahoo.md and aol.md
    "smtp.mail.yahoo.com": "Yahoo wants an app password: https://login.yahoo.com/account/security",
    "smtp.aol.com": "AOL wants an app password: https://login.aol.com/account/security",
    # https://support.apple.com/102654
    "smtp.mail.me.com": "Apple wants an app-specific password: https://account.apple.com, Sign-In and Security",
    # https://www.fastmail.com/help/clients/apppassword.html
    "smtp.fastmail.com": "Fastmail wants an app password: Settings, Privacy & Security",
    # https://kb.mailbox.org/en/private/e-mail/e-mail-configuration
    "smtp.mailbox.org": "mailbox.org wants an application password where two-factor authentication is on:"
    " All settings, Security, Application passwords",
    # https://hilfe.gmx.net/pop-imap/einschalten.html, https://hilfe.web.de/pop-imap/einschalten.html
    "mail.gmx.net": "GMX lets mail programs in once that is allowed in its settings: E-Mail, POP3 & IMAP; with"
    " two-factor authentication it wants an app password",
    "mail.gmx.com": "GMX lets mail programs in once that is allowed in its settings: E-Mail, POP3 & IMAP; with"
    " two-factor authentication it wants an app password",
    "smtp.web.de": "WEB.DE lets mail programs in once that is allowed in its settings: E-Mail, POP3 & IMAP; with"
    " two-factor authentication it wants an app password",
    # https://help.mail.ru/mail/security/protection/external
    "smtp.mail.ru": "Mail.ru wants a password for external applications, from the security settings of the account",
    # https://yandex.com/support/mail/mail-clients/others.html
    "smtp.yandex.com": "Yandex wants an app password, and mail programs allowed in the settings of the mailbox",
    # support.startmail.com, Knowledgebase 531
    "smtp.startmail.com": "StartMail wants a password for this device: Settings, Mobile/IMAP",
    # deltachat, freenet.de.md
    "mx.freenet.de": "freenet lets mail programs in once that is allowed in the settings of the mailbox:"
    " POP3/IMAP/SMTP",
    # deltachat, 163.md and qq.md
    "smtp.163.com": "163.com wants an authorization code: Settings, POP3/SMTP/IMAP",
    "smtp.126.com": "126.com wants an authorization code: Settings, POP3/SMTP/IMAP",
    "smtp.qq.com": "QQ Mail wants an authorization code, and SMTP allowed in the settings of the mailbox",
    # https://www.zoho.com/mail/help/imap-access.html
    "smtp.zoho.com": "Zoho lets mail programs in once that is allowed in its settings: Mail Accounts; with two-factor"
    " authentication it wants an app password",
    "smtp.zoho.eu": "Zoho lets mail programs in once that is allowed in its settings: Mail Accounts; with two-factor"
    " authentication it wants an app password",
}

_XOAUTH2 = "auth: xoauth2 (docs/oauth.md)"
# Exchange Online lets an administrator allow passwords (Microsoft's message MC786329), Outlook.com none.
_ADMINISTRATOR_DECIDES = ("smtp.office365.com",)
# For IMAP and POP3 nobody can allow them any more. learn.microsoft.com, exchange/clients-and-mobile-in-exchange-online:
# deprecation-of-basic-authentication-exchange-online
_OAUTH2_ONLY = ("outlook.office365.com", "imap-mail.outlook.com", "pop-mail.outlook.com")


class Server(NamedTuple):
    """
    Where a provider has its users fetch their mail.

    protocol
        ``imap`` or ``pop3``.
    host, port
        Its server.
    tls_mode
        ``implicit`` or ``starttls``.
    """

    protocol: str
    host: str
    port: int
    tls_mode: str


class Provider(NamedTuple):
    """
    How a provider takes mail from its users.

    relay, port
        Its submission server.
    tls_mode
        ``implicit`` or ``starttls``.
    username
        What it wants to log in: ``address``, ``local-part`` or ``other``, which only the user knows.
    login
        ``password``, ``oauth2-or-password`` or ``oauth2-only``.
    fetched
        Where mail is fetched, None where that is not known.
    """

    relay: str
    port: int
    tls_mode: str
    username: str
    login: str
    fetched: Server | None = None


@functools.cache
def providers() -> dict[str, Provider]:
    """
    Return the providers by the domains of their users' addresses, those that are used most first.

    CLI Example:

    .. code-block:: bash

        python3 -c 'import smarthost_providers; print(smarthost_providers.providers()["gmail.com"])'
    """
    found: dict[str, Provider] = {}
    facts: list[str] = []
    for line in (_BY_HAND + SHEET).splitlines():
        if line.startswith(" "):
            relay, port, tls_mode, username, login, *server = facts
            fetched = Server(server[0], server[1], int(server[2]), server[3]) if server else None
            provider = Provider(relay, int(port), tls_mode, username, login, fetched)
            found.update(dict.fromkeys(line.split(), provider))
        elif not line.startswith("#"):
            facts = line.split()
    return found


def fetched(domain: str, relay: str) -> Server | None:
    """
    Return where the mail of an account is fetched, None where that is not known.

    domain : str
        The domain of its address, in lower case.
    relay : str
        Its relay: a domain of one's own may be with a provider that is known.
    """
    of_domain = providers().get(domain)
    if of_domain and of_domain.relay == relay:
        return of_domain.fetched
    found = {provider.fetched for provider in providers().values() if provider.relay == relay}
    return found.pop() if len(found) == 1 else None


def no_relay(domain: str) -> str:
    """
    Say what to do with an address whose provider has no submission server, or an empty text.

    domain : str
        The domain of the address, in lower case.
    """
    return _NO_RELAY.get(domain, "")


def password_hint(relay: str) -> str:
    """
    Say where the password comes from that a relay wants, or an empty text if it is that of the account.

    relay : str
        The host name of the relay, in lower case.
    """
    return _APP_PASSWORDS.get(relay, "")


def derived(accounts: list[dict[str, Any]]) -> list[str]:
    """
    Say of each account what follows its provider, in sentences.

    accounts : list
        Accounts in their regular shape.
    """
    return [
        f"{account['address']} leaves by {account['relay']}, port {account['port']}, TLS mode {account['tls_mode']}:"
        f" {', '.join(account['derived'])} follow{'' if account['derived'][1:] else 's'} its provider."
        + (f" {hint}." if (hint := password_hint(account["relay"])) else "")
        for account in accounts
        if account["derived"]
    ]


@functools.cache
def _without_passwords() -> frozenset[str]:
    logins: dict[str, set[str]] = {}
    for provider in providers().values():
        hosts = {provider.relay, provider.fetched.host} if provider.fetched else {provider.relay}
        for host in hosts:
            logins.setdefault(host, set()).add(provider.login)
    return frozenset(host for host, kinds in logins.items() if kinds == {"oauth2-only"})


def has_no_password(server: str) -> str:
    """
    Say what to do where mail cannot be fetched with a password, or an empty text if it can.

    server : str
        The host name of an IMAP or POP3 server, in lower case.
    """
    if server not in _without_passwords() and server not in _OAUTH2_ONLY:
        return ""
    return f"{server} takes no passwords any more: give {_XOAUTH2}, or leave fetch out"


def refuses_passwords(relay: str, derived: bool) -> str:
    """
    Say what to do with an account whose relay takes no passwords, or an empty text if it takes them.

    relay : str
        The host name of the relay, in lower case.
    derived : bool
        Whether it follows from the address: whoever gives it may know that his administrator allows passwords.
    """
    if relay not in _without_passwords():
        return ""
    if relay in _ADMINISTRATOR_DECIDES:
        if not derived:
            return ""
        return (
            f"{relay} takes passwords only where the administrator has allowed them (SMTP AUTH): give relay: {relay}"
            f" if so, else {_XOAUTH2}"
        )
    return f"{relay} takes no passwords any more: give {_XOAUTH2}"


def closest(domain: str) -> str:
    """
    Return the known domain that somebody may have meant, or an empty text.

    domain : str
        A domain in lower case that is not known.
    """
    most = 1 if len(domain) < 9 else 2
    found = [(_distance(domain, known, most), known) for known in (*providers(), *_NO_RELAY)]
    found = [pair for pair in found if pair[0] <= most]
    # The first one of the nearest ones: those that are used most come first.
    return min(found, key=lambda pair: pair[0])[1] if found else ""


def _distance(one: str, other: str, most: int) -> int:
    """Count the letters to leave out, put in, replace or swap with their neighbour; more than most is most + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]
