# SPDX-License-Identifier: Apache-2.0
"""What version 0.1 of the formula (commit be3190c) wrote for ALICE's account: what a later one finds when it comes.

Its policy service is not here: the present one does. Neither are its longest rules for headers.
"""

# By their names below /usr/local/etc/postfix, with their modes.
FILES = {
    "main.cf": (
        0o644,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
compatibility_level = 9999

# Names: nothing that leaves the qube names it or its user
myhostname = localhost.localdomain
mydomain = localdomain
myorigin = $myhostname
mydestination = localhost.localdomain, localhost, mail-of-before, mail-of-before.localdomain
smtp_helo_name = [127.0.0.1]
smtpd_banner = $myhostname ESMTP
smtp_header_checks = regexp:${config_directory}/tables-a/smtp_header_checks

# Routing: by sender, and no way out for a sender without an account
sender_dependent_default_transport_maps = hash:${config_directory}/tables-a/sender_relay
default_transport = error:5.7.1 The sender address belongs to no account of this qube
relay_transport = error:5.7.1 The sender address belongs to no account of this qube
relay_domains =
relayhost =
transport_maps =
virtual_alias_domains =
virtual_alias_maps =
virtual_mailbox_domains =
sender_canonical_maps = hash:${config_directory}/tables-a/sender_canonical
smtp_generic_maps = regexp:${config_directory}/tables-a/smtp_generic
local_header_rewrite_clients =
always_add_missing_headers = yes
recipient_delimiter =

# Passwords: one for each sender, sent over verified TLS only
smtp_sasl_auth_enable = yes
smtp_sender_dependent_authentication = yes
smtp_sasl_password_maps = hash:${config_directory}/tables-a/saslpass, fail:no_password
smtp_sasl_security_options = noanonymous, noplaintext
smtp_sasl_tls_security_options = noanonymous
smtp_sasl_mechanism_filter = !gssapi, !gs2-krb5, !ntlm, !digest-md5, static:all
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = nexthop
smtp_tls_policy_maps = hash:${config_directory}/tables-a/tls_policy
smtp_tls_fingerprint_digest = sha256
smtp_tls_mandatory_protocols = >=TLSv1.2
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_tls_loglevel = 1
smtp_tls_connection_reuse = yes
smtp_delivery_status_filter = regexp:${config_directory}/tables-a/smtp_delivery_status_filter

# Who may hand mail in
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.1/32, [::1]/128
authorized_submit_users = root, user
authorized_mailq_users = root, user
authorized_flush_users = root, user
smtpd_client_restrictions = check_policy_service unix:private/submit-policy
disable_vrfy_command = yes

# Local mail
alias_maps = ${default_database_type}:/etc/aliases
alias_database = $alias_maps
home_mailbox = .maildir/
mailbox_command =
mailbox_size_limit = 0
forward_path =
biff = no
reports_home = /home/user
reports_uid = 1000
reports_gid = 1000

# The queue: a qube may be off, or offline, for weeks
enable_long_queue_ids = yes
maximal_queue_lifetime = 30d
bounce_queue_lifetime = 30d
delay_warning_time = 4h
queue_run_delay = 60s
minimal_backoff_time = 60s
maximal_backoff_time = 900s
""",
    ),
    "master.cf": (
        0o644,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
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
    user=user argv=/usr/bin/python3 -IS /etc/postfix/submit-policy root user
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
""",
    ),
    "tables-a/smtp_generic": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
/^[^@]+(@[^@.]+(\.localdomain)?)?$/ alice@a.test
""",
    ),
    "tables-a/smtp_header_checks": (
        0o644,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
/^Received:.*[[:space:]]by ([^@.>[:space:]]+(\.localdomain)?)[[:space:]]/ IGNORE
/^(User-Agent|X-Mailer|X-Originating-IP|X-Sender|X-X-Sender):/ IGNORE
/^(Delivered-To|X-Original-To):/ IGNORE
/^From:[[:space:]]+(root|user)[[:space:]]+(<.*)/ REPLACE From: $2
""",
    ),
    "tables-a/smtp_delivery_status_filter": (
        0o644,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
/^5(\.[0-9]+\.[0-9]+ .* said: 530[ -].*)/ 4$1
""",
    ),
    "tables-a/sender_relay": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
alice@a.test smtp-starttls:[smtp.a.test]:587
<> reports:localhost.localdomain
""",
    ),
    "tables-a/saslpass": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
alice@a.test alice@a.test:first word: #alice
""",
    ),
    "tables-a/sender_canonical": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
mailer-daemon@localhost.localdomain MAILER-DAEMON@localhost.localdomain
@localhost.localdomain alice@a.test
@localhost alice@a.test
@mail-of-before alice@a.test
@mail-of-before.localdomain alice@a.test
""",
    ),
    "tables-a/sender_access": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
alice@a.test OK
localhost.localdomain OK
localhost OK
mail-of-before OK
mail-of-before.localdomain OK
""",
    ),
    "tables-a/tls_policy": (
        0o600,
        r"""# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.
""",
    ),
}
# Those that it compiled, into the type hash.
TABLES = ("sender_relay", "saslpass", "sender_canonical", "sender_access", "tls_policy")
