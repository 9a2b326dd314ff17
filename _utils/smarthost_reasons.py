# SPDX-License-Identifier: Apache-2.0
"""
Why mail waits, in the user's words, from Postfix's.

Pure functions.

Sources: smtp_addr.c, smtp_connect.c, smtp_proto.c, smtp_sasl_proto.c, smtp_trouble.c and dns_lookup.c of Postfix.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import smarthost_providers

# What others say stands behind Postfix's own words: each of these is sought at the beginning.
_HOST = r"(?P<relay>[^ \[]+)\[[^\]]*\](:\d+)?"
_SUSPENDED = "delivery temporarily suspended: "
# What is not repeated: it is Postfix's, or the same for all.
_COMMAND = re.compile(
    r" \(in reply to (?P<command>[A-Z ]+|end of DATA) command\)$|\(in reply to end of DATA\)$"
)


class Reason(NamedTuple):
    """
    A reason, told.

    kind
        One word, the same for all messages that wait for the same: ``login``, ``certificate``, ``name``,
        ``connection``, ``relay``, ``password``, ``local`` or ``other``.
    text
        What is wrong.
    way_out
        What to do, "" if Postfix only has to go on trying.
    """

    kind: str
    text: str
    way_out: str


_FIX_LOGIN = "fix the user name or the password in qubes.yaml and apply"
NO_PASSWORDS = "give auth: xoauth2 if it offers that (docs/oauth.md)"
CHECK_RELAY = "check the relay in qubes.yaml; where a network asks for a login first, log in with a browser"
_NETWORK = (
    "check the network of the qube (netvm, qvm-firewall); the mail leaves within a minute of its return"
)
_APPLY = "apply postfix_smarthost to this qube again"

# What the proxy says of an account with auth: xoauth2; smarthost_oauth_proxy has the codes.
_PROXY = r"host 127\.[0-9.]+\[\S+ refused to talk to me: 421 {code} XOAUTH2: (?P<said>.*)"

_KINDS = tuple(
    (re.compile(pattern), kind, text, way_out)
    for pattern, kind, text, way_out in (
        (_PROXY.format(code=r"4\.7\.[08]"), "login", "{said}", ""),
        (_PROXY.format(code=r"4\.4\.1"), "connection", "{said}", _NETWORK),
        (_PROXY.format(code=r"4\.3\.\d"), "relay", "{said}", ""),
        (
            r"connect to 127\.(6[4-9]|[7-9]\d|1\d\d)\.",
            "local",
            "the program that logs in with tokens does not run",
            "sudo journalctl -u postfix-smarthost-oauth says why",
        ),
        (
            rf"SASL authentication failed; server {_HOST} said: (?P<said>5\d\d.*)",
            "login",
            "{relay} refuses the user name or the password: {said}",
            _FIX_LOGIN,
        ),
        (
            rf"SASL authentication failed; server {_HOST} said: (?P<said>.*)",
            "login",
            "{relay} lets nobody log in at the moment: {said}",
            "",
        ),
        (
            rf"SASL authentication failed; .*server {_HOST}(: no mechanism available| offered no compatible)",
            "login",
            "{relay} offers no way to log in with a password",
            NO_PASSWORDS,
        ),
        (r"Server certificate not ", "certificate", "the certificate is not that of {relay}", CHECK_RELAY),
        (
            rf"TLS is required, but was not offered by host {_HOST}",
            "certificate",
            "{relay} does not offer TLS, so no password is sent",
            CHECK_RELAY,
        ),
        (r"Cannot start TLS", "certificate", "TLS with {relay} does not come about", CHECK_RELAY),
        (
            r".*Name service error for name=\S+ type=\S+: Host found but no data record",
            "name",
            "{relay} has no address that this qube can reach",
            "check the relay in qubes.yaml; one that has IPv6 only needs a qube with IPv6",
        ),
        (
            r".*(Name service error for name=\S+ type=\S+: Host not found$|[Hh]ost not found$)",
            "name",
            "the name {relay} does not exist, as this network says",
            "check the relay in qubes.yaml",
        ),
        (
            r".*Name service error|unable to (look up host|find primary relay)",
            "name",
            "the name {relay} cannot be looked up",
            _NETWORK,
        ),
        (rf"connect to {_HOST}: (?P<said>.*)", "connection", "{relay} is not reached: {said}", _NETWORK),
        (
            rf"(lost connection|conversation) with {_HOST} (?P<said>.*)",
            "connection",
            "the connection to {relay} breaks off",
            _NETWORK,
        ),
        (
            rf"host {_HOST} refused to talk to me: (?P<said>.*)",
            "relay",
            "{relay} accepts nothing from this network at the moment: {said}",
            "",
        ),
        (rf"host {_HOST} said: (?P<said>.*)", "relay", "{relay} says: {said}", ""),
        (r"local data error while talking to", "password", "the password of this account is missing", _APPLY),
        (
            r".*(Command output|command|temporary failure|cannot (create|update))",
            "local",
            "{reason}",
            "see docs/troubleshooting.md",
        ),
    )
)


def explain(reason: str, relay: str = "") -> Reason:
    """
    Tell in the user's words why a message waits.

    reason : str
        As postqueue(1) or the log gives it.
    relay : str
        Where the message is to leave; what Postfix names goes first.
    """
    reason = reason.removeprefix(_SUSPENDED)
    if not reason:
        return Reason("other", "it has not been tried yet", "")
    for pattern, kind, text, way_out in _KINDS:
        found = pattern.match(reason)
        if found is None:
            continue
        given = {name: value for name, value in found.groupdict().items() if value}
        named = given.get("relay") or relay or "the relay"
        if relay and named.startswith("127."):
            # To Postfix, the proxy is the relay.
            named = relay
        said = _COMMAND.sub("", given.get("said", "")).strip()
        hint = smarthost_providers.password_hint(named.lower()) if way_out == _FIX_LOGIN else ""
        out = f"{way_out}. {hint}" if hint else way_out
        return Reason(kind, text.format(relay=named, said=said, reason=reason), out)
    return Reason("other", reason, "")
