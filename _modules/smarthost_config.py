# SPDX-License-Identifier: Apache-2.0
"""
Turn accounts into the configuration of Postfix: the planner.

Pure functions: the same accounts and the same facts of the qube always give the same files, and no file, no
program and no Salt dunder is touched.

Sources: postconf(5), master(5), access(5), canonical(5), header_checks(5), SASL_README, TLS_README and
procmailrc(5) of Postfix 3.7 to 3.11 and procmail 3.22.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

# The lookup tables are in one of two directories below $config_directory; main.cf names the one in use.
TABLES = ("tables-a", "tables-b")
HOST_NAME = "localhost.localdomain"

_UNLISTED = "5.7.1 The sender address belongs to no account of this qube"
_MANAGED = "# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.\n"

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

# A relay that asks for a login (530, RFC 4954 6) without having offered one (AUTH) is not right at the moment:
# Postfix then sends none, and would bounce the message.
_STATUS_FILTER = "/^5(\\.[0-9]+\\.[0-9]+ .* said: 530[ -].*)/ 4$1\n"

# A level below the newest that a Postfix knows makes it warn, and a warning counts as a failure here; one above it does
# not (3.7 to 3.11 were run). The parameters that matter here do not rest on their defaults.
_COMPATIBILITY = "compatibility_level = 9999\n"


class Facts(NamedTuple):
    """
    What the plan needs to know of the qube.

    hostname
        The short host name of the qube, to recognise its local addresses.
    uid, gid, home
        Of the user who reads the mail, from passwd(5).
    ca_file
        The system's file of CA certificates.
    procmail
        The path of procmail(1).
    submit_policy
        The text of the policy service that says who may hand mail in over SMTP.
    """

    hostname: str
    uid: int
    gid: int
    home: str
    ca_file: str
    procmail: str
    submit_policy: str


class File(NamedTuple):
    """
    One planned file of the configuration.

    content
        The whole text.
    mode
        The permission bits.
    table
        True for the source of a lookup table that postmap(1) compiles.
    """

    content: str
    mode: int = 0o644
    table: bool = False


def plan(record: dict[str, Any], tables: str, facts: dict[str, Any]) -> dict[str, File]:
    """
    Return the configuration of Postfix for the accounts of a qube.

    record : dict
        The regular shape of the pillar, from ``smarthost_accounts.normalise``.
    tables : str
        The directory of the lookup tables, below ``$config_directory``: one of ``TABLES``.
    facts : dict
        The fields of ``Facts``, all of them: ``uid`` and ``gid`` are int, the others str.

    Returns a dictionary of the files, each a ``File``, by their paths below ``$config_directory``. It holds the
    passwords: ``saslpass`` is one of the files.

    Raises TypeError when a field of ``Facts`` is missing or there is another.

    CLI Example:

    .. code-block:: bash

        # The files hold the record and the facts, each in one line. The result holds the passwords.
        salt-call --local smarthost_config.plan "$(cat record.json)" tables-a "$(cat facts.json)"
    """
    qube = Facts(**facts)
    beside = {
        "smtp_generic": File(_MANAGED + _generic(record, qube), mode=0o600),
        "smtp_header_checks": File(_MANAGED + _header_checks(record, qube)),
        "smtp_delivery_status_filter": File(_MANAGED + _STATUS_FILTER),
        **{
            name: File(_MANAGED + _source(table), mode=0o600, table=True)
            for name, table in _tables(record, qube).items()
        },
    }
    if record["disposables"]:
        beside["disposables"] = File(_MANAGED + "# The boot script starts Postfix in disposables, too.\n")
    if record["lists"]:
        beside["procmailrc"] = File(_MANAGED + _procmailrc(record["lists"]))
    return {
        "main.cf": File(_main_cf(record, tables, qube)),
        "master.cf": File(_MANAGED + _MASTER_CF.format(user=record["user"])),
        "submit-policy": File(qube.submit_policy, mode=0o755),
        **{f"{tables}/{name}": file for name, file in beside.items()},
    }


def maildirs(record: dict[str, Any]) -> list[str]:
    """
    Return the folders that must be there before procmail(1) delivers, as paths below the user's home.

    record : dict
        The regular shape of the pillar, from ``smarthost_accounts.normalise``.

    procmail makes a list's maildir itself but not the folders above it, and without ``~/.maildir`` it delivers
    into the home directory.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_config.maildirs '{lists: [{folder: list/qubes-users}]}'
    """
    folders = {".maildir"}
    for item in record["lists"]:
        parts = item["folder"].split("/")
        folders.update("/".join([".maildir", *parts[:depth]]) for depth in range(1, len(parts)))
    return sorted(folders)


def rows(table: str) -> dict[str, str]:
    """
    Return the rows of a lookup table, from the text of a source that ``plan`` wrote.

    table : str
        The text of the source.

    Returns the values by their keys; those of ``saslpass`` hold passwords.

    CLI Example:

    .. code-block:: bash

        salt-call --local smarthost_config.rows "$(cat /usr/local/etc/postfix/tables-a/sender_relay)"
    """
    lines = (line.partition(" ") for line in table.split("\n") if line and line[0] not in "# ")
    return {key: value for key, _, value in lines}


def _source(table: dict[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in table.items())


def _nexthop(account: dict[str, Any]) -> str:
    """Return the relay as Postfix writes it: the brackets suppress the look-up of a mail exchanger."""
    return f"[{account['relay']}]:{account['port']}"


def _tables(record: dict[str, Any], facts: Facts) -> dict[str, dict[str, str]]:
    accounts = record["accounts"]
    local = _local_domains(facts)
    by_sender = [(sender, account) for account in accounts for sender in account["senders"]]
    return {
        "sender_relay": {
            **{sender: f"smtp-{account['tls_mode']}:{_nexthop(account)}" for sender, account in by_sender},
            "<>": f"reports:{HOST_NAME}",
        },
        "saslpass": {sender: f"{account['username']}:{account['password']}" for sender, account in by_sender},
        "sender_canonical": {
            # The reports of Postfix itself are from nobody's account.
            f"mailer-daemon@{HOST_NAME}": f"MAILER-DAEMON@{HOST_NAME}",
            **{f"@{domain}": accounts[0]["address"] for domain in local},
        },
        "sender_access": {
            **{sender: "OK" for sender, _ in by_sender},
            **dict.fromkeys(local, "OK"),
            **dict.fromkeys(record["discard_senders"], "DISCARD"),
        },
        "tls_policy": {
            _nexthop(account): "fingerprint match=" + "|".join(account["fingerprints"])
            for account in accounts
            if account["fingerprints"]
        },
    }


def _local_domains(facts: Facts) -> list[str]:
    """Return the domains of local addresses; a host name with dots could be somebody's real domain."""
    names = [HOST_NAME, "localhost"]
    if facts.hostname and "." not in facts.hostname:
        names += [facts.hostname.lower(), f"{facts.hostname.lower()}.localdomain"]
    return list(dict.fromkeys(names))


def _main_cf(record: dict[str, Any], tables: str, facts: Facts) -> str:
    kind = "${default_database_type}" if record["table_type"] == "auto" else record["table_type"]

    def table(name: str) -> str:
        return f"{kind}:${{config_directory}}/{tables}/{name}"

    users = f"root, {record['user']}"
    sections: dict[str, dict[str, str]] = {
        "Names: nothing that leaves the qube names it or its user": {
            "myhostname": HOST_NAME,
            "mydomain": "localdomain",
            "myorigin": "$myhostname",
            "mydestination": ", ".join(_local_domains(facts)),
            "smtp_helo_name": "[127.0.0.1]",
            "smtpd_banner": "$myhostname ESMTP",
            "smtp_header_checks": f"regexp:${{config_directory}}/{tables}/smtp_header_checks",
        },
        "Routing: by sender, and no way out for a sender without an account": {
            "sender_dependent_default_transport_maps": table("sender_relay"),
            "default_transport": f"error:{_UNLISTED}",
            "relay_transport": f"error:{_UNLISTED}",
            "relay_domains": "",
            "relayhost": "",
            "transport_maps": "",
            "virtual_alias_domains": "",
            "virtual_alias_maps": "",
            "virtual_mailbox_domains": "",
            "sender_canonical_maps": table("sender_canonical"),
            "smtp_generic_maps": f"regexp:${{config_directory}}/{tables}/smtp_generic",
            # Fetched mail keeps its addresses, local as they may look; what it lacks, such as a date, is added.
            "local_header_rewrite_clients": "",
            "always_add_missing_headers": "yes",
            "recipient_delimiter": "",
        },
        "Passwords: one for each sender, sent over verified TLS only": {
            "smtp_sasl_auth_enable": "yes",
            "smtp_sender_dependent_authentication": "yes",
            "smtp_sasl_password_maps": f"{table('saslpass')}, fail:no_password",
            "smtp_sasl_security_options": "noanonymous, noplaintext",
            "smtp_sasl_tls_security_options": "noanonymous",
            "smtp_sasl_mechanism_filter": "!gssapi, !gs2-krb5, !ntlm, !digest-md5, static:all",
            "smtp_tls_security_level": "secure",
            "smtp_tls_secure_cert_match": "nexthop",
            "smtp_tls_policy_maps": table("tls_policy"),
            "smtp_tls_fingerprint_digest": "sha256",
            "smtp_tls_mandatory_protocols": ">=TLSv1.2",
            "smtp_tls_CAfile": facts.ca_file,
            "smtp_tls_loglevel": "1",
            "smtp_tls_connection_reuse": "yes",
            "smtp_delivery_status_filter": f"regexp:${{config_directory}}/{tables}/smtp_delivery_status_filter",
        },
        "Who may hand mail in": {
            "inet_interfaces": "loopback-only",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.1/32, [::1]/128",
            "authorized_submit_users": users,
            "authorized_mailq_users": users,
            "authorized_flush_users": users,
            "smtpd_client_restrictions": "check_policy_service unix:private/submit-policy",
            "smtpd_relay_restrictions": f"check_sender_access {table('sender_access')}, reject_unauth_destination",
            "disable_vrfy_command": "yes",
        },
        "Local mail": {
            # The template compiles it, for all its qubes, whatever the type of their own tables.
            "alias_maps": "${default_database_type}:/etc/aliases",
            "alias_database": "$alias_maps",
            "home_mailbox": ".maildir/",
            "mailbox_command": _mailbox_command(record, tables, facts),
            "mailbox_size_limit": "0",
            # What is forwarded would leave by the default account, whoever's file it is, with the local address in it.
            "forward_path": "",
            "biff": "no",
            "reports_home": facts.home,
            "reports_uid": str(facts.uid),
            "reports_gid": str(facts.gid),
        },
        "The queue: a qube may be off, or offline, for weeks": {
            "enable_long_queue_ids": "yes",
            "maximal_queue_lifetime": "30d",
            "bounce_queue_lifetime": "30d",
            "delay_warning_time": "4h",
            "queue_run_delay": "60s",
            "minimal_backoff_time": "60s",
            "maximal_backoff_time": "900s",
        },
    }
    settings = dict(record["settings"])
    lines = [_MANAGED, _COMPATIBILITY]
    for title, parameters in sections.items():
        lines.append(f"\n# {title}\n")
        lines += [f"{name} = {settings.pop(name, value)}\n" for name, value in parameters.items()]
    if settings:
        lines.append("\n# From settings in the pillar\n")
        lines += [f"{name} = {value}\n" for name, value in settings.items()]
    return "".join(line.replace(" = \n", " =\n") for line in lines)


def _mailbox_command(record: dict[str, Any], tables: str, facts: Facts) -> str:
    """Return the command that sorts mail; -t keeps mail queued that cannot be delivered now."""
    if not record["lists"]:
        return ""
    return f'{facts.procmail} -t -a "$EXTENSION" /etc/postfix/{tables}/procmailrc'


def _inside(facts: Facts) -> str:
    """
    Return a pattern of host names inside a qube, with two groups.

    A clone, a disposable and a qube that was renamed have another name than the plan knows: it is any without a dot.
    """
    own = f"|{_literal(facts.hostname)}" if "." in facts.hostname else ""
    return f"([^@.>[:space:]]+(\\.localdomain)?{own})"


def _header_checks(record: dict[str, Any], facts: Facts) -> str:
    """Take the qube's own hops, its host name, its users and its programs out of what leaves it."""
    inside = _inside(facts)
    rules = [
        f"/^Received:.*[[:space:]]by {inside}[[:space:]]/ IGNORE\n",
        "/^(User-Agent|X-Mailer|X-Originating-IP|X-Sender|X-X-Sender):/ IGNORE\n",
        # In what was delivered here before.
        "/^(Delivered-To|X-Original-To):/ IGNORE\n",
        # sendmail(1) puts the name of the user before the address.
        f"/^From:[[:space:]]+(root|{record['user']})[[:space:]]+(<.*)/ REPLACE From: $2\n",
    ]
    # Only the first rule that matches a header acts on it: each takes one more local message ID than the next.
    for count in range(5, 0, -1):
        rest = "".join(f"@{HOST_NAME}>${{{3 * number + 5}}}" for number in range(count))
        pattern = "^((Message-ID|Resent-Message-ID|In-Reply-To|References):.*)" + f"@{inside}>(.*)" * count
        rules.append(f"/{pattern}/ REPLACE $1{rest}\n")
    return "".join(rules)


def _generic(record: dict[str, Any], facts: Facts) -> str:
    """Let the default account stand for any address inside a qube, in headers and envelopes that leave it."""
    address = record["accounts"][0]["address"].replace("$", "$$")
    patterns = ["[^@]+(@[^@.]+(\\.localdomain)?)?"]
    if "." in facts.hostname:
        # Only these: the rest could be somebody's real domain.
        patterns.append(f"(root|{record['user']})@{_literal(facts.hostname)}")
    return "".join(f"/^{pattern}$/ {address}\n" for pattern in patterns)


def _procmailrc(lists: list[dict[str, str]]) -> str:
    recipes = (
        f"\n:0\n* ^List-Id:(.*[^a-z0-9._+-])?{_literal(item['list_id'])}([^a-z0-9._+-]|$)\n{item['folder']}/\n"
        for item in lists
    )
    # The recipes of the user come first: what they deliver is not sorted again.
    return (
        "SHELL=/bin/sh\nMAILDIR=$HOME/.maildir\nORGMAIL=$MAILDIR/\nDEFAULT=$MAILDIR/\n"
        "INCLUDERC=$HOME/.procmailrc\n" + "".join(recipes)
    )


def _literal(text: str) -> str:
    """Quote a list identifier or a host name for regular expressions, those of procmail(1) and POSIX."""
    return re.sub(r"([.+])", r"\\\1", text)
