# SPDX-License-Identifier: Apache-2.0
"""
The services and transports of Postfix: master.cf, and each of their names.

Source: master(5).
"""

from __future__ import annotations

from typing import Any

from smarthost_oauth import XOAUTH2

# What hands mail to a relay, by the TLS mode of its account; with the second text behind it, without a login.
_TRANSPORTS = {"implicit": "smtp-implicit", "none": "smtp-clear", "starttls": "smtp-starttls"}
_WITHOUT_LOGIN = "-noauth"
# What hands mail to the proxy that logs in with a token.
PROXIED = "smtp-xoauth2"
# Where delivery reports go, whose sender is <>.
REPORTS = "reports"
# Where mail of a sender without an account goes.
UNLISTED = "unlisted"
# What an apply tries Postfix by.
TAKES_MAIL = "takes-mail"

_BELONGS_TO_NO_ACCOUNT = (
    "belongs to no account of this qube: give one that does (sendmail -f), or add this one to the senders of an"
    " account"
)

# It is the same for all accounts: main.cf is what changes from one configuration to the next, at once with the
# directory of tables that it names. A service that an older main.cf or its tables may name has to stay.
_MASTER_CF = """\
# Each of these takes two more processes, of submit-policy. What is fetched is taken whatever its size: fetchmail
# would fetch it again and again. What leaves has the relay's limit.
smtp        inet        n  -  n  -     10  smtpd
    -o message_size_limit=0
# Beside the port, whose services other users can keep busy. Only root gets at it.
takes-mail  unix        -  -  n  -      1  smtpd
    -o message_size_limit=0
    -o smtpd_client_restrictions=
pickup      unix        n  -  n  60     1  pickup
cleanup     unix        n  -  n  -      0  cleanup
    -o message_size_limit=0
qmgr        unix        n  -  n  300    1  qmgr
tlsmgr      unix        -  -  n  1000?  1  tlsmgr
tlsproxy    unix        -  -  n  -      0  tlsproxy
rewrite     unix        -  -  n  -      -  trivial-rewrite
bounce      unix        -  -  n  -      0  bounce
defer       unix        -  -  n  -      0  bounce
trace       unix        -  -  n  -      0  bounce
verify      unix        -  -  n  -      1  verify
flush       unix        n  -  n  1000?  0  flush
proxymap    unix        -  -  n  -      -  proxymap
proxywrite  unix        -  -  n  -      1  proxymap
showq       unix        n  -  n  -      -  showq
error       unix        -  -  n  -      -  error
retry       unix        -  -  n  -      -  error
discard     unix        -  -  n  -      -  discard
# What an alias sends out of the qube leaves by the default account, whoever sent it.
local       unix        -  n  n  -      -  local
    -o cleanup_service_name=forwarded
forwarded   unix        n  -  n  -      0  cleanup
    -o sender_canonical_classes=envelope_sender
    -o sender_canonical_maps=$forwarded_sender_maps
anvil       unix        -  -  n  -      1  anvil
scache      unix        -  -  n  -      1  scache
postlog     unix-dgram  n  -  n  -      1  postlogd
# Says of a connection over loopback whether its user may submit mail. Nobody else but the user, who may, can get at
# its process. There are as many as smtp services.
submit-policy  unix  -  n  n  -  0  spawn
    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-policy root {user}
# Says by which account a message leaves that names no sender, and whether it is only passed on. A program that speaks
# SMTP may stay connected for long.
submit-milter  unix  -  n  n  -  0  spawn
    -o command_time_limit=1d
    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-milter /etc/postfix/own-names
# No service delivers straight to the recipient's mail exchanger: these go to a relay, and log in there.
smtp-starttls  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-starttls
smtp-implicit  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-implicit
    -o smtp_tls_wrappermode=yes
# For a program in this qube only: from an address of loopback, nothing gets out of it.
smtp-clear  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-clear
    -o smtp_tls_security_level=none
    -o smtp_sasl_security_options=noanonymous
    -o smtp_bind_address=127.0.0.1
    -o smtp_bind_address6=::1
    -o smtp_bind_address_enforce=yes
# The same without a login, for accounts that say so. An account whose password is missing is none of them.
smtp-starttls-noauth  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-starttls-noauth
    -o smtp_sasl_auth_enable=no
smtp-implicit-noauth  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-implicit-noauth
    -o smtp_tls_wrappermode=yes
    -o smtp_sasl_auth_enable=no
smtp-clear-noauth  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-clear-noauth
    -o smtp_tls_security_level=none
    -o smtp_sasl_auth_enable=no
    -o smtp_bind_address=127.0.0.1
    -o smtp_bind_address6=::1
    -o smtp_bind_address_enforce=yes
# To the proxy that logs in with a token, over loopback: it verifies the relay, and greets once that has let it in.
smtp-xoauth2  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-xoauth2
    -o smtp_tls_security_level=none
    -o smtp_sasl_auth_enable=no
    -o smtp_helo_timeout=120s
    -o smtp_bind_address=127.0.0.1
    -o smtp_bind_address6=::1
    -o smtp_bind_address_enforce=yes
# Mail of a sender without an account: a report that names the sender, which error(8) does not know. By the user, whose
# processes nobody else gets at.
unlisted  unix  -  n  n  -  -  pipe
    flags=q user={user}
    argv=/bin/sh -c {{printf "5.7.1 The sender <%s> {belongs_to_no_account}" "$$1"; exit 69}} sh ${{sender}}
# Delivery reports, whose sender is <>, go to the user instead of a relay.
reports  unix  -  n  n  -  -  virtual
    -o virtual_mailbox_base=$reports_home
    -o virtual_mailbox_maps=static:.maildir/
    -o virtual_mailbox_limit=0
    -o virtual_minimum_uid=$reports_uid
    -o virtual_uid_maps=static:$reports_uid
    -o virtual_gid_maps=static:$reports_gid
"""


def master_cf(user: str) -> str:
    """
    Return master.cf without its first line.

    user : str
        The local user who may submit mail.
    """
    return _MASTER_CF.format(user=user, belongs_to_no_account=_BELONGS_TO_NO_ACCOUNT)


def transport(account: dict[str, Any]) -> str:
    """
    Return the name of the transport that mail of an account goes by.

    account : dict
        Of the record.
    """
    if account["auth"] == XOAUTH2:
        return PROXIED
    return _TRANSPORTS[account["tls_mode"]] + (_WITHOUT_LOGIN if account["auth"] == "none" else "")


def tls_mode(name: str) -> str:
    """
    Return the TLS mode of the accounts that have a transport.

    name : str
        Of the transport.
    """
    return next(mode for mode, service in _TRANSPORTS.items() if service == name.removesuffix(_WITHOUT_LOGIN))


def logs_in(name: str) -> bool:
    """
    Tell whether what goes by a transport logs in.

    name : str
        Of the transport.
    """
    return not name.endswith(_WITHOUT_LOGIN)
