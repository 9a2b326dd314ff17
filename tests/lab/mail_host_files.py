# SPDX-License-Identifier: Apache-2.0
"""The configuration of a mail host: Postfix, which keeps all that it accepts, and Dovecot, which knows the logins."""

MAIN_CF = """\
compatibility_level = 3.10
myhostname = {name}
mydestination =
inet_protocols = ipv4
mynetworks = {networks}
smtpd_banner = $myhostname ESMTP
# Everything that is accepted is kept, in one piece whatever the recipients' domains are.
default_transport = keep:everything
local_transport = keep:everything
relay_transport = keep:everything
virtual_transport = keep:everything
keep_destination_recipient_limit = 100
local_recipient_maps =
smtpd_tls_cert_file = /etc/postfix/certificate.pem
smtpd_tls_key_file = /etc/postfix/key.pem
smtpd_tls_security_level = {tls}
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = /run/dovecot/postfix
smtpd_sasl_auth_enable = {sasl}
smtpd_tls_auth_only = yes
smtpd_sasl_authenticated_header = yes
smtpd_sender_login_maps = texthash:/etc/postfix/logins
smtpd_sender_restrictions = {senders}
smtpd_relay_restrictions = {relays}
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
"""

MASTER_CF = """\
{services}
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
keep      unix  -       n       n       -       4       pipe
  flags= user=mail null_sender= argv=/usr/local/bin/keep
  ${{queue_id}} ${{sasl_username}} ${{client_address}} ${{client_helo}} ${{sender}} ${{recipient}}
"""

DOVECOT_CONF = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols =
ssl = no
auth_mechanisms = {mechanisms}
auth_allow_cleartext = yes
auth_username_chars =
auth_username_format = %{{user}}
auth_failure_delay = 0
auth_verbose = yes
log_debug = category=auth
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/users
}}
service auth {{
  unix_listener postfix {{
    mode = 0666
  }}
}}
"""
