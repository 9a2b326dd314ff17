# SPDX-License-Identifier: Apache-2.0
"""
Turn accounts into the configuration of Postfix: the planner.

Pure functions: the same accounts and the same facts of the qube always give the same files, and no file, no
program and no Salt dunder is touched.

Sources: postconf(5), master(5), access(5), canonical(5), header_checks(5), SASL_README, TLS_README and
procmailrc(5) of Postfix 3.7 to 3.11 and procmail 3.22.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from smarthost_manifest import NAME as MANIFEST
from smarthost_manifest import Manifest, Sender, digest
from smarthost_privacy import HOST_NAME, generic, header_checks
from smarthost_services import REPORTS, TRANSPORTS, master_cf
from smarthost_sorting import mailbox_command, procmailrc

# A parameter of the formula's own: where main.cf has the directory of the lookup tables.
TABLES_PARAMETER = "smarthost_tables"
# What a reload does not bring into effect (postconf(5)).
_NEED_RESTART = ("inet_interfaces", "inet_protocols")

_UNLISTED = "5.7.1 The sender address belongs to no account of this qube"
_MANAGED = "# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.\n"


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
    rows
        Its rows, if it is the source of a lookup table that postmap(1) compiles.
    """

    content: str
    mode: int = 0o644
    rows: dict[str, str] | None = None


class Plan(NamedTuple):
    """
    A whole configuration. It holds the passwords.

    files
        By their paths below ``$config_directory``.
    manifest
        What they say.
    """

    files: dict[str, File]
    manifest: Manifest


def plan(record: dict[str, Any], tables: str, facts: dict[str, Any]) -> Plan:
    """
    Return the configuration of Postfix for the accounts of a qube.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.normalise``.
    tables : str
        The directory of the lookup tables, below ``$config_directory``: one of ``smarthost_places.TABLES``.
    facts : dict
        The fields of ``Facts``, all of them: ``uid`` and ``gid`` are int, the others str.

    Raises TypeError when a field of ``Facts`` is missing or there is another.
    """
    qube = Facts(**facts)
    rows = _tables(record, qube)
    sections = _main_cf(record, tables, qube)
    values = {name: value for parameters in sections.values() for name, value in parameters.items()}
    manifest = Manifest(
        type=record["table_type"],
        tables=tuple(rows),
        relays=tuple(dict.fromkeys((account["relay"], account["port"]) for account in record["accounts"])),
        senders={
            sender: Sender(rows["sender_relay"][sender], account_digest)
            for account in record["accounts"]
            for account_digest in [digest(account)]
            for sender in account["senders"]
        },
        allowed=("disposables",) if record["disposables"] else (),
        restart=tuple(f"{name}={''.join(values[name].split())}" for name in _NEED_RESTART),
    )
    beside = {
        "smtp_generic": File(_MANAGED + generic(record, qube.hostname), mode=0o600),
        "smtp_header_checks": File(_MANAGED + header_checks(record, qube.hostname)),
        "smtp_delivery_status_filter": File(_MANAGED + _STATUS_FILTER),
        **{name: File(_MANAGED + _source(table), mode=0o600, rows=table) for name, table in rows.items()},
    }
    if record["lists"]:
        beside["procmailrc"] = File(_MANAGED + procmailrc(record["lists"]))
    beside[MANIFEST] = File(_MANAGED + manifest.text(), mode=0o600)
    files = {
        "main.cf": File(_text(sections)),
        "master.cf": File(_MANAGED + master_cf(record["user"])),
        "submit-policy": File(qube.submit_policy, mode=0o755),
        **{f"{tables}/{name}": file for name, file in beside.items()},
    }
    return Plan(files, manifest)


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
            **{
                sender: f"{TRANSPORTS[account['tls_mode']]}:{_nexthop(account)}"
                for sender, account in by_sender
            },
            "<>": f"{REPORTS}:{HOST_NAME}",
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


def _main_cf(record: dict[str, Any], tables: str, facts: Facts) -> dict[str, dict[str, str]]:
    """Return the parameters of main.cf by the titles of its sections."""
    kind = "${default_database_type}" if record["table_type"] == "auto" else record["table_type"]

    def table(name: str, kind: str = kind) -> str:
        return f"{kind}:${TABLES_PARAMETER}/{name}"

    users = f"root, {record['user']}"
    sections: dict[str, dict[str, str]] = {
        "The lookup tables: with this name all of them change at once": {
            TABLES_PARAMETER: f"${{config_directory}}/{tables}",
        },
        "Names: nothing that leaves the qube names it or its user": {
            "myhostname": HOST_NAME,
            "mydomain": "localdomain",
            "myorigin": "$myhostname",
            "mydestination": ", ".join(_local_domains(facts)),
            "smtp_helo_name": "[127.0.0.1]",
            "smtpd_banner": "$myhostname ESMTP",
            "smtp_header_checks": table("smtp_header_checks", "regexp"),
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
            "smtp_generic_maps": table("smtp_generic", "regexp"),
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
            "smtp_delivery_status_filter": table("smtp_delivery_status_filter", "regexp"),
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
            "mailbox_command": mailbox_command(record, tables, facts.procmail),
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
            # Whatever answers in a captive portal may say nothing. The boot script asks again, soon.
            "smtp_helo_timeout": "30s",
            "smtp_starttls_timeout": "30s",
        },
    }
    own = {name for parameters in sections.values() for name in parameters}
    settings = record["settings"]
    return {
        title: {name: settings.get(name, value) for name, value in parameters.items()}
        for title, parameters in sections.items()
    } | {"From settings in the pillar": {name: value for name, value in settings.items() if name not in own}}


def _text(sections: dict[str, dict[str, str]]) -> str:
    """Return main.cf from its parameters."""
    lines = [_MANAGED, _COMPATIBILITY]
    for title, parameters in sections.items():
        if parameters:
            lines.append(f"\n# {title}\n")
        lines += [f"{name} = {value}".rstrip() + "\n" for name, value in parameters.items()]
    return "".join(lines)
