# SPDX-License-Identifier: Apache-2.0
"""An account that logs in with a token."""

from typing import Any

from tests.malformed.shared import ACCOUNT, LINE_BREAK, Case, alice
from tests.samples import FINGERPRINT, SECRET

_OAUTH = f"{ACCOUNT}: oauth"
_URL = "must be a URL like https://login.example.com/oauth2/token."
_TOKEN = "https://login.example.com/token"


def _by_token(oauth: object = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {"oauth": oauth} if oauth is not None else {}
    return alice(auth="xoauth2", password=None, **given, **more)


def _own(**oauth: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"client_id": "x", "token_endpoint": _TOKEN, "device_endpoint": _TOKEN, "scope": "smtp", **oauth}


OAUTH: list[Case] = [
    (
        "xoauth2 without oauth",
        _by_token(),
        (f"{_OAUTH} must be a mapping with the client_id that you have registered (docs/oauth.md).",),
    ),
    (
        "xoauth2 with a client_id in place of oauth",
        _by_token(SECRET),
        (f"{_OAUTH} must be a mapping with the client_id that you have registered (docs/oauth.md).",),
    ),
    (
        "xoauth2 beside a password",
        alice(auth="xoauth2", oauth=_own()),
        (f"{ACCOUNT}: auth: xoauth2 logs in without a password: leave it out, or auth.",),
    ),
    (
        "oauth without xoauth2",
        alice(oauth=_own()),
        (f"{ACCOUNT}: oauth goes with auth: xoauth2: leave it out, or give that.",),
    ),
    (
        "xoauth2 in clear text",
        _by_token(_own(), relay="localhost", tls={"mode": "none"}),
        (f"{ACCOUNT}: auth: xoauth2 needs TLS: leave out tls: mode none.",),
    ),
    (
        "xoauth2 at a relay whose tokens come from nobody knows where",
        _by_token({"client_id": "x"}),
        (
            f"{_OAUTH}: who gives the tokens for mail.example.com is not known here: give provider, or token_endpoint"
            " and scope.",
        ),
    ),
    (
        "endpoints without a way to agree",
        _by_token({"client_id": "x", "token_endpoint": _TOKEN, "scope": "smtp"}),
        (f"{_OAUTH}: device_endpoint or authorization_endpoint must be given.",),
    ),
    (
        "a tenant that is not Microsoft's",
        _by_token(_own(tenant="common")),
        (f"{_OAUTH}: tenant is Microsoft's: leave it out, or give provider: microsoft.",),
    ),
    (
        "oauth with mistakes in each key",
        _by_token(
            {
                "client_id": "a b",
                "client_secret": SECRET + "\n",
                "provider": "yahoo",
                "tenant": "../x",
                "token_endpoint": "http://login.example.com/token",
                "device_endpoint": f"https://user:{SECRET}@login.example.com/",
                "authorization_endpoint": "https://login.example.com/?x=1",
                "scope": "smtp  imap",
                "clientid": "x",
            }
        ),
        (
            f"{_OAUTH} has an unknown key: did you mean client_id.",
            f"{_OAUTH}: client_id is empty, too long, or holds a blank or a letter outside ASCII: copy it from the"
            " provider.",
            f"{_OAUTH}: client_secret {LINE_BREAK.format(16)}",
            f"{_OAUTH}: provider must be one of google, microsoft.",
            f"{_OAUTH}: tenant must be common, consumers, organizations, or the ID or domain of the organisation.",
            f"{_OAUTH}: token_endpoint {_URL}",
            f"{_OAUTH}: device_endpoint {_URL}",
            f"{_OAUTH}: authorization_endpoint {_URL}",
            f"{_OAUTH}: scope must be scopes with one blank between them, as the provider writes them.",
        ),
    ),
    (
        "an address and no pin with xoauth2",
        _by_token(_own(), relay="192.0.2.1"),
        (
            f"{ACCOUNT}: relay is an IP address, which no certificate can prove: give the host name, or pin the"
            " certificate with tls: {fingerprint: [...]}.",
        ),
    ),
    (
        "a password for fetching with xoauth2",
        _by_token(
            _own(),
            fetch={"server": "imap.example.com", "password": SECRET},
            tls={"fingerprint": [FINGERPRINT]},
        ),
        (f"{ACCOUNT}: fetch: with auth: xoauth2 mail is fetched so, too: leave out username and password.",),
    ),
]
