# SPDX-License-Identifier: Apache-2.0
"""
Ask the relay of one account, step by step, whether it would take mail of it, and tell the first thing that is wrong.

Name, connection, TLS with the certificate's verdict as Postfix comes to it, login, sender; no message is sent.

Sources: RFC 5321; TLS_README of Postfix; errno(3), getaddrinfo(3).
"""

from __future__ import annotations

import difflib
import errno
import smtplib
import socket
import ssl
import time
from typing import NamedTuple

import smarthost_providers
from smarthost_certificate import fingerprints
from smarthost_files import to_ascii
from smarthost_in_use import Account
from smarthost_oauth_login import xoauth2
from smarthost_privacy import HOST_NAME
from smarthost_reasons import CHECK_RELAY, NO_PASSWORDS
from smarthost_relay_login import encoded, log_in
from smarthost_relays import MECHANISMS
from smarthost_wire import client_context

# In seconds: for one answer, and for a look at another port.
_ANSWER = 10
_OTHER_PORT = 3
_PORTS = (587, 465, 2525)
# X509_V_ERR_* of openssl/x509_vfy.h.
_NOT_YET, _EXPIRED, _OTHER_NAME = 9, 10, 62
_FIREWALL = "see what the firewall of this qube lets through (dom0: qvm-firewall), or try another network"
_CLEAR = "no password was sent"


class Wrong(Exception):  # noqa: N818 - it is the relay that may be in error
    """
    What is wrong, and the way out.

    text : str
        What is wrong.
    way_out : str
        What to do, "" if there is nothing.
    """

    def __init__(self, text: str, way_out: str = "") -> None:  # noqa: D107 - the class says it
        super().__init__(text)
        self.text, self.way_out = text, way_out


class How(NamedTuple):
    """
    What Postfix would use.

    user, password
        The login, each "" without one.
    by_token
        Whether the password is a token.
    ca_file
        The CA certificates that vouch for the relay.
    private_ca
        Whether these are for this relay only.
    family
        ``socket.AF_INET``, or ``AF_UNSPEC`` where Postfix uses IPv6 too.
    """

    user: str
    password: str
    ca_file: str
    private_ca: bool
    family: int
    by_token: bool = False


class Check:
    """
    The conversation with one relay.

    account : Account
        Whose relay it is.
    how : How
        What Postfix would use.
    deadline : float
        When it has to be over, by ``time.monotonic``.
    """

    def __init__(self, account: Account, how: How, deadline: float) -> None:  # noqa: D107 - the class says it
        self._account, self._how, self._deadline = account, how, deadline
        self.step = f"the name {account.relay} cannot be looked up: no name server answers"
        self._peer: tuple[int, tuple[str, int]] = (socket.AF_INET, ("", 0))
        self._smtp = smtplib.SMTP(local_hostname=HOST_NAME, timeout=_ANSWER)

    def run(self) -> str:
        """Return what works, in words; raise Wrong with the first thing that does not."""
        addresses = self._addresses()
        self.step = f"{self._account.way} does not answer"
        try:
            self._connect(addresses)
            self._greet()
            mechanism = self._log_in() if self._account.logs_in else ""
            self._sender()
            return f"{self._account.way} takes its mail" + (f" (login by {mechanism})" if mechanism else "")
        except (smtplib.SMTPException, OSError) as problem:
            raise self._broken(problem) from None
        finally:
            self._smtp.close()

    def _time(self, most: float = _ANSWER) -> float:
        return max(0.1, min(most, self._deadline - time.monotonic()))

    # The name.

    def _addresses(self) -> list[tuple[int, tuple[str, int]]]:
        relay, port = self._account.relay, self._account.port
        try:
            found = socket.getaddrinfo(relay, port, self._how.family, socket.SOCK_STREAM)
        except socket.gaierror as problem:
            if problem.errno == socket.EAI_AGAIN:
                raise Wrong(
                    f"the name {relay} cannot be looked up: no name server answers",
                    "check the network of the qube (dom0: qvm-prefs QUBE netvm)",
                ) from None
            if problem.errno in (socket.EAI_NODATA, socket.EAI_ADDRFAMILY):
                raise Wrong(
                    f"{relay} has no address that this qube can reach",
                    "check the relay in qubes.yaml; one that has IPv6 only needs a qube with IPv6",
                ) from None
            known = {provider.relay for provider in smarthost_providers.providers().values()}
            close = difflib.get_close_matches(relay, known, 1, 0.85)
            hint = f"did you mean {close[0]}? C" if close and close[0] != relay else "c"
            raise Wrong(f"the name {relay} does not exist", f"{hint}heck the relay in qubes.yaml") from None
        return [(family, address[:2]) for family, _, _, _, address in found]

    # The connection.

    def _connect(self, addresses: list[tuple[int, tuple[str, int]]]) -> None:
        problem: OSError = OSError()
        for family, address in addresses:
            try:
                self._smtp.sock = self._socket(family, address, _ANSWER / 2 if addresses[1:] else _ANSWER)
                self._peer = family, address
                return
            except OSError as failed:
                problem = failed
        self.step = why = self._unreached(problem)
        other = [port for port in _PORTS if port != self._account.port and self._answers(addresses, port)]
        if other:
            raise Wrong(f"{why}; {other[0]} does", f"give port: {other[0]}")
        if problem.errno == errno.ENETUNREACH:
            raise Wrong("this qube has no network", "give it one (dom0: qvm-prefs QUBE netvm)")
        raise Wrong(why, _FIREWALL)

    def _unreached(self, problem: OSError) -> str:
        if isinstance(problem, TimeoutError):
            return f"this network lets nothing through to port {self._account.port} of {self._account.relay}"
        return f"nothing answers at port {self._account.port} of {self._account.relay}"

    def _socket(self, family: int, address: tuple[str, int], most: float) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(self._time(most))
            made.connect(address)
            made.settimeout(self._time())
        except OSError:
            made.close()
            raise
        return made

    def _answers(self, addresses: list[tuple[int, tuple[str, int]]], port: int) -> bool:
        family, (address, _) = addresses[0]
        try:
            self._socket(family, (address, port), _OTHER_PORT).close()
        except OSError:
            return False
        return True

    # TLS.

    def _greet(self) -> None:
        mode = self._account.tls_mode
        if mode == "implicit":
            self._encrypt()
        self._greeting()
        self._smtp.ehlo()
        if mode == "starttls":
            if not self._smtp.has_extn("starttls"):
                raise Wrong(f"{self._account.relay} does not offer TLS, so {_CLEAR}", CHECK_RELAY)
            code, said = self._smtp.docmd("STARTTLS")
            if code != 220:
                raise Wrong(f"{self._account.relay} does not begin TLS: {self._said(code, said)}")
            self._encrypt()
            self._smtp.ehlo()

    def _greeting(self) -> None:
        try:
            code, said = self._smtp.getreply()
        except smtplib.SMTPServerDisconnected as problem:
            if not _timed_out(problem):
                raise Wrong(
                    f"{self._account.way} hangs up before it has said anything", CHECK_RELAY
                ) from None
            implicit = self._account.tls_mode == "starttls"
            raise Wrong(
                f"{self._account.way} says nothing",
                "if TLS begins with the connection there, as at port 465, give tls: {mode: implicit}"
                if implicit
                else "",
            ) from None
        if code == -1:
            raise Wrong(f"what answers at {self._account.way} is no mail server", CHECK_RELAY)
        if code != 220:
            raise Wrong(
                f"{self._account.relay} accepts nothing from this network: {self._said(code, said)}",
                "try later or from another network, or ask the provider",
            )

    def _encrypt(self) -> None:
        relay = self._account.relay
        try:
            sock = self._wrap(self._smtp.sock)
        except ssl.SSLCertVerificationError as problem:
            raise self._refused_certificate(problem) from None
        except ssl.SSLError as problem:
            if problem.reason in (
                "WRONG_VERSION_NUMBER",
                "HTTP_REQUEST",
                "UNKNOWN_PROTOCOL",
                "PACKET_LENGTH_TOO_LONG",
            ):
                raise Wrong(
                    f"{self._account.way} does not begin with TLS",
                    "give tls: {mode: starttls}, or another port",
                ) from None
            raise Wrong(
                f"TLS with {relay} does not come about ({to_ascii(problem.reason or 'unknown reason')})",
                "Postfix asks for TLS 1.2 or newer",
            ) from None
        if self._pins:
            shown = fingerprints(sock.getpeercert(binary_form=True) or b"")
            if not shown & self._pins:
                raise Wrong(
                    f"the certificate of {relay} is none of the pinned ones",
                    "if it has a new one, put its fingerprint into tls:fingerprint (docs/relays.md)",
                )
        self._smtp.sock, self._smtp.file = sock, None

    @property
    def _pins(self) -> set[str]:
        (pins,) = [word for word in self._account.policy if word.startswith("match=")] or [""]
        return {*pins.removeprefix("match=").split("|")} - {""}

    def _wrap(self, sock: socket.socket, *, any_name: bool = False) -> ssl.SSLSocket:
        context = client_context(pinned=bool(self._pins), ca_file=self._how.ca_file)
        if not self._pins:
            context.check_hostname = not any_name
            if self._how.private_ca:
                # As Postfix takes a tafile: what is in it needs nobody to vouch for it.
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context.wrap_socket(sock, server_hostname=self._account.relay)

    def _refused_certificate(self, problem: ssl.SSLCertVerificationError) -> Wrong:
        relay, clock = self._account.relay, time.strftime("%Y-%m-%d %H:%M")
        if problem.verify_code in (_NOT_YET, _EXPIRED):
            how = "has expired" if problem.verify_code == _EXPIRED else "is not valid yet"
            return Wrong(
                f"the certificate of {relay} {how}, so {_CLEAR}",
                f"the clock of this qube says {clock}; if that is right, the relay needs a new certificate",
            )
        if problem.verify_code == _OTHER_NAME:
            names = self._names()
            is_for = f"is for {names}, not for {relay}" if names else f"is not for {relay}"
            return Wrong(f"the certificate {is_for}, so {_CLEAR}", CHECK_RELAY)
        return Wrong(
            f"nobody whom this qube trusts vouches for the certificate of {relay}"
            f" ({to_ascii(problem.verify_message)}), so {_CLEAR}",
            f"{CHECK_RELAY}. For a relay of your own see docs/relays.md",
        )

    def _names(self) -> str:
        """Return the names in a certificate that is good but for its name, from one more connection."""
        other = Check(self._account, self._how, self._deadline)
        try:
            other._smtp.sock = self._socket(*self._peer, _OTHER_PORT)
            if self._account.tls_mode == "starttls":
                other._greeting()
                other._smtp.ehlo()
                other._smtp.docmd("STARTTLS")
            with other._wrap(other._smtp.sock, any_name=True) as sock:
                shown = sock.getpeercert() or {}
        except (Wrong, OSError, smtplib.SMTPException):
            return ""
        names = [value for kind, value in shown.get("subjectAltName", ()) if kind == "DNS"]
        return to_ascii(", ".join(names[:3]))

    # The account.

    def _log_in(self) -> str:
        relay = self._account.relay
        offered = str(self._smtp.esmtp_features.get("auth", "")).upper().split()
        mechanisms = ("XOAUTH2",) if self._how.by_token else MECHANISMS
        mechanism = next((name for name in mechanisms if name in offered), None)
        if mechanism is None and self._how.by_token:
            raise Wrong(f"{relay} offers no login by XOAUTH2", "see docs/oauth.md")
        if mechanism is None:
            raise Wrong(
                f"{relay} offers no way to log in with a password ({', '.join(offered) or 'none at all'})",
                NO_PASSWORDS,
            )
        user, password = (
            text.encode("utf-8", "surrogateescape") for text in (self._how.user, self._how.password)
        )
        code, said = log_in(self._smtp, mechanism, user, password)
        if code == 235:
            return mechanism
        if 400 <= code < 500:
            raise Wrong(
                f"{relay} lets nobody log in at the moment: {self._said(code, said)}", "try again later"
            )
        if self._how.by_token:
            again = f"see docs/oauth.md, or run postfix-smarthost authorize {self._account.address} again"
            raise Wrong(f"{relay} refuses the login: {self._said(code, said)}", again)
        hint = smarthost_providers.password_hint(relay.lower())
        raise Wrong(
            f"{relay} refuses the user name or the password ({self._said(code, said)})",
            f"{hint}. Then fix qubes.yaml and apply" if hint else "fix qubes.yaml and apply",
        )

    def _sender(self) -> None:
        code, said = self._smtp.docmd("MAIL", f"FROM:<{self._account.address}>")
        if code != 250:
            why = self._said(code, said)
            raise Wrong(
                f"{self._account.relay} does not let {self._account.address} send: {why}",
                "the address has to be one of the account's" if code >= 500 else "try again later",
            )
        self._smtp.docmd("RSET")
        self._smtp.docmd("QUIT")

    def _said(self, code: int, said: bytes) -> str:
        """Return what a relay says, without the password in any form, in case that it says that."""
        text = to_ascii(f"{code} {' '.join(said.decode('utf-8', 'replace').split())}")
        secret = self._how.password
        data = secret.encode("utf-8", "surrogateescape")
        forms = {secret, to_ascii(secret), encoded(data), xoauth2(self._how.user, secret)}
        for form in forms - {""}:
            text = text.replace(form, "***")
        return text[:300]

    def _broken(self, problem: Exception) -> Exception:
        if _timed_out(problem):
            return Wrong(f"{self._account.way} does not answer in time")
        if isinstance(problem, smtplib.SMTPResponseException):
            return Wrong(
                f"{self._account.relay} says: {self._said(problem.smtp_code, _bytes(problem.smtp_error))}"
            )
        return Wrong(f"the connection to {self._account.way} breaks off")


def _timed_out(problem: BaseException) -> bool:
    """Tell whether it was time that was up: smtplib has its own exception for it, as for a connection that ends."""
    return isinstance(problem, TimeoutError) or isinstance(problem.__context__, TimeoutError)


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
