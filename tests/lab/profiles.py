# SPDX-License-Identifier: Apache-2.0
"""The submission servers of big providers, as they behave: what they offer, and in which words they refuse.

All are one host, which tells by the name that it is asked for (SNI) who it has to be. Sources: each provider's own
pages on error messages, and reports of users where there are none; the words are theirs, addresses and IDs are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .scripted import Port, Scripted

if TYPE_CHECKING:
    from .lab import Lab

OTHER = "other@own.test"
"""An address that none of them gives its user."""


class Refusal(NamedTuple):
    """What a provider refuses, and what is left of it in the queue or in a report."""

    relay: str
    login: str
    sender: str
    says: str


# https://support.google.com/a/answer/3726730
_GOOGLE = Port(
    auth="LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
    rewrites=True,
    by_login={
        "wrong@gmail.com": {
            "AUTH": "535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials a1-gsmtp"
        },
        "twofactor@gmail.com": {
            "AUTH": "534-5.7.9 Application-specific password required. For more information, go to\r\n"
            "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor a1-gsmtp"
        },
        "often@gmail.com": {
            "AUTH": "454 4.7.0 Too many login attempts, please try again later. a1-gsmtp",
        },
        "much@gmail.com": {
            "END": "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\r\n"
            "550 5.4.5 sending limits go to https://support.google.com/a/answer/166852 a1-gsmtp"
        },
    },
)
# learn.microsoft.com: exchange/troubleshoot/send-emails/smtp-submission-improvements, and
# exchange/mail-flow-best-practices on devices and applications that send mail
_MICROSOFT = Port(
    auth="LOGIN XOAUTH2",
    answers={
        f"END {OTHER}": "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
        " [AM0PR01MB0001.example]"
    },
    by_login={
        "wrong@office.test": {
            "AUTH": "535 5.7.3 Authentication unsuccessful [AM0PR01MB0001.example 2026-11-26T09:00:00.000Z]"
        },
        "basic@office.test": {
            "AUTH": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."
            " [AM0PR01MB0001.example 2026-11-26T09:00:00.000Z]"
        },
        "busy@office.test": {
            "END": "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"
            " for more information. [Hostname=AM0PR01MB0001.example]"
        },
    },
)
# https://postmaster.gmx.net/en/error-messages; the form of a refused sender is that of users' reports
_GMX = Port(
    auth="LOGIN PLAIN",
    answers={
        f"MAIL {OTHER}": "550-Requested action not taken: mailbox unavailable\r\n"
        "550-Sender address is not allowed.\r\n"
        "550 For explanation visit https://postmaster.gmx.net/en/case?c=hi&r=1"
    },
    by_login={"wrong@gmx.net": {"AUTH": "535 Authentication credentials invalid"}},
)
_WEB_DE = Port(
    auth="LOGIN PLAIN",
    answers=_GMX.answers,
    by_login={"wrong": {"AUTH": "535 Authentication credentials invalid"}},
)
# https://support.apple.com/102525 names the server; the words are those of users' reports
_ICLOUD = Port(
    auth="LOGIN PLAIN",
    answers={f"MAIL {OTHER}": "550 5.7.0 From address is not one of your addresses"},
    by_login={"wrong@icloud.com": {"AUTH": "535 5.7.8 Error: authentication failed: authentication failure"}},
)
# github.com/mattermost/mattermost, issue 13652; the login: users' reports
_YAHOO = Port(
    auth="PLAIN LOGIN XOAUTH2 OAUTHBEARER",
    answers={f"END {OTHER}": "550 Request failed; Mailbox unavailable"},
    by_login={"wrong@yahoo.com": {"AUTH": "535 5.7.0 (#AUTH005) Too many bad auth attempts."}},
)

RELAYS = {
    "smtp.gmail.com": _GOOGLE,
    "smtp.office365.com": _MICROSOFT,
    "mail.gmx.net": _GMX,
    "smtp.web.de": _WEB_DE,
    "smtp.mail.me.com": _ICLOUD,
    "smtp.mail.yahoo.com": _YAHOO,
}

# An address of each, and its relay.
USERS = {
    "you@gmail.com": "smtp.gmail.com",
    "you@office.test": "smtp.office365.com",
    "you@gmx.net": "mail.gmx.net",
    "you@web.de": "smtp.web.de",
    "you@icloud.com": "smtp.mail.me.com",
    "you@yahoo.com": "smtp.mail.yahoo.com",
}

# The mail waits, with these words in the queue.
WAIT = (
    Refusal(
        "smtp.gmail.com", "wrong@gmail.com", "wrong@gmail.com", "535-5.7.8 Username and Password not accepted"
    ),
    Refusal(
        "smtp.gmail.com",
        "twofactor@gmail.com",
        "twofactor@gmail.com",
        "534-5.7.9 Application-specific password required",
    ),
    Refusal("smtp.gmail.com", "often@gmail.com", "often@gmail.com", "454 4.7.0 Too many login attempts"),
    Refusal(
        "smtp.office365.com",
        "wrong@office.test",
        "wrong@office.test",
        "535 5.7.3 Authentication unsuccessful",
    ),
    Refusal(
        "smtp.office365.com", "basic@office.test", "basic@office.test", "basic authentication is disabled"
    ),
    Refusal(
        "smtp.office365.com",
        "busy@office.test",
        "busy@office.test",
        "432 4.3.2 Concurrent connections limit exceeded",
    ),
    Refusal("mail.gmx.net", "wrong@gmx.net", "wrong@gmx.net", "535 Authentication credentials invalid"),
    Refusal("smtp.web.de", "wrong@web.de", "wrong@web.de", "535 Authentication credentials invalid"),
    Refusal(
        "smtp.mail.me.com", "wrong@icloud.com", "wrong@icloud.com", "535 5.7.8 Error: authentication failed"
    ),
    Refusal("smtp.mail.yahoo.com", "wrong@yahoo.com", "wrong@yahoo.com", "535 5.7.0 (#AUTH005)"),
)
# The user has a report with these words.
REPORTED = (
    Refusal("smtp.gmail.com", "much@gmail.com", "much@gmail.com", "Daily user sending limit exceeded"),
    Refusal(
        "smtp.office365.com",
        "you@office.test",
        OTHER,
        "Client does not have permissions to send as this sender",
    ),
    Refusal("mail.gmx.net", "you@gmx.net", OTHER, "Sender address is not allowed"),
    Refusal("smtp.web.de", "you@web.de", OTHER, "Sender address is not allowed"),
    Refusal("smtp.mail.me.com", "you@icloud.com", OTHER, "From address is not one of your addresses"),
    Refusal("smtp.mail.yahoo.com", "you@yahoo.com", OTHER, "Request failed; Mailbox unavailable"),
)


def start(lab: Lab, host: str = "mx.providers.test") -> Scripted:
    """Return the host that is all of these providers, started; without a name it shows a certificate of its own."""
    ports = {587: Port(auth="", names=RELAYS), 465: Port(auth="", implicit=True, names=RELAYS)}
    scripted = Scripted(lab, host, ports, certificate="self-signed")
    for name in RELAYS:
        certificate = lab.authority.issue(name)
        scripted.host.write(f"/etc/postfix/{name}.pem", certificate.key + certificate.certificate)
        lab.network.add_name(name, scripted.host.address)
    return scripted
