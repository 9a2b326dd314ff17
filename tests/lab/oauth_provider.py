# SPDX-License-Identifier: Apache-2.0
"""A mail provider that wants tokens: endpoints as those of Microsoft and Google, SMTP, IMAP and POP3 with XOAUTH2.

Behind IMAP and POP3 is a mailbox of Dovecot on the same host. What a test wants to be otherwise, it turns by knobs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .container import wait_for
from .oauth_provider_script import SCRIPT
from .scripted import Event, events

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab

KNOBS: dict[str, Any] = {
    # Of the endpoints. Who agrees in the browser, "" for nobody yet; how long an access token lasts.
    "agrees": "",
    "expires_in": 3600,
    # What becomes of a refresh token that is used: strict (it dies), lax (it stays), none (there is no other one).
    "rotation": "lax",
    # An answer of the token endpoint in place of the usual one: status, headers, body; "hang", or "drip" for a byte
    # a second.
    "token": None,
    # How long an access token is.
    "size": 40,
    # Of the servers: what they offer, whether they take no token at all, and how they say so.
    "auth": "LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
    "refuses": "",
    "shape": "google",
    # Answers by verb; GREETING and END (of the message) beside SMTP's own.
    "answers": {},
}
"""What there is to turn, and how it is at first."""

PORTS = {"imap": 9993, "pop3": 9995}


class OAuthProvider:
    """The provider as a host of the lab, whose endpoints have a name of their own.

    Args:
        lab: where to start it.
        certificate: what its servers show, as :meth:`.lab.Lab.server` has it.

    """

    relay = "smtp.office.test"
    login = "login.office.test"

    def __init__(self, lab: Lab, certificate: str = "valid") -> None:
        self.host = lab.server(self.relay, SCRIPT % json.dumps(KNOBS), certificate=certificate)
        own = lab.authority.issue(self.login)
        self.host.write(f"/etc/postfix/{self.login}.pem", own.certificate + own.key)
        lab.network.add_name(self.login, self.host.address)
        wait_for(self._listens, f"{self.relay}: its ports", 20, diagnosis=self.host.diagnosis)

    def _listens(self) -> bool:
        open_ports = self.host.run("ss", "-lntH").stdout
        return all(f":{port} " in open_ports for port in (443, 465, 587, *PORTS.values()))

    def oauth(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the key ``oauth`` of an account there.

        Args:
            more: keys to add or replace.

        """
        place = f"https://{self.login}"
        return {
            "client_id": "lab-client",
            "token_endpoint": f"{place}/token",
            "device_endpoint": f"{place}/device",
            "authorization_endpoint": f"{place}/authorize",
            "scope": "smtp offline_access",
            **more,
        }

    def record(self, address: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the record of an account there.

        Args:
            address: that of the account.
            more: keys to add or replace.

        """
        return {
            "address": address,
            "relay": self.relay,
            "auth": "xoauth2",
            "oauth": self.oauth(),
            **more,
        }

    def turn(self, **knobs: Any) -> None:  # noqa: ANN401
        """Set knobs; what is not named is as at first.

        Args:
            knobs: some of :data:`KNOBS`.

        """
        assert {*knobs} <= {*KNOBS}
        self.host.write("/run/lab-knobs.new", json.dumps(knobs))
        self.host.run("mv", "/run/lab-knobs.new", "/run/lab-knobs.json")

    def events(self) -> list[Event]:
        """Return what it got so far, oldest first."""
        return events(self.host.log())

    def count(self, what: str, login: str | None = None) -> int:
        """Return how often something happened.

        Args:
            what: of the event.
            login: whose.

        """
        return len([e for e in self.events() if e.what == what and login in (None, e.login)])

    def messages(self, subject: str) -> list[Event]:
        """Return the messages with a subject."""
        return [event for event in self.events() if f"Subject: {subject}\r\n" in event.text]

    def wait_for(self, subject: str, timeout: float = 40, diagnosis: Callable[[], str] = str) -> Event:
        """Wait for the message with a subject, and return it.

        Args:
            subject: its subject.
            timeout: seconds to wait.
            diagnosis: gives text for the message when it does not come.

        """
        found = wait_for(
            lambda: self.messages(subject),
            f"{self.relay}: the mail {subject!r}",
            timeout,
            diagnosis=diagnosis,
        )
        assert isinstance(found, list)
        return found[0]
