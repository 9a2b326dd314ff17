# SPDX-License-Identifier: Apache-2.0
"""
The services and transports of Postfix: master.cf, and each of their names.

Source: master(5).
"""

from __future__ import annotations

# What logs in at a relay, by the TLS mode of its account.
TRANSPORTS = {"implicit": "smtp-implicit", "starttls": "smtp-starttls"}
# Where delivery reports go, whose sender is <>.
REPORTS = "reports"

# It is the same for all accounts: main.cf is what changes from one configuration to the next, at once with the
# directory of tables that it names. A service that an older main.cf or its tables may name has to stay.
_MASTER_CF = """\
smtp        inet        n  -  n  -      -  smtpd
pickup      unix        n  -  n  60     1  pickup
cleanup     unix        n  -  n  -      0  cleanup
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
local       unix        -  n  n  -      -  local
anvil       unix        -  -  n  -      1  anvil
scache      unix        -  -  n  -      1  scache
postlog     unix-dgram  n  -  n  -      1  postlogd
# Says of a connection over loopback whether its user may hand mail in. Nobody else but the user, who may, can get at
# its process.
submit-policy  unix  -  n  n  -  0  spawn
    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-policy root {user}
# Says by which account a message leaves that names no sender, and whether it is only passed on. A program that speaks
# SMTP may stay connected for long.
submit-milter  unix  -  n  n  -  0  spawn
    -o command_time_limit=1d
    user={user} argv=/usr/bin/python3 -IS /etc/postfix/submit-milter /etc/postfix/own-names
# No service delivers straight to the recipient's mail exchanger: these two log in at a relay.
smtp-starttls  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-starttls
smtp-implicit  unix  -  -  n  -  -  smtp
    -o syslog_name=postfix/smtp-implicit
    -o smtp_tls_wrappermode=yes
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
        The local user who may hand in mail.
    """
    return _MASTER_CF.format(user=user)
