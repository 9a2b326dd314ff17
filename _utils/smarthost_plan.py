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

from smarthost_bounces import TEMPLATES
from smarthost_fetchmailrc import FACTS as FETCH_FACTS
from smarthost_fetchmailrc import FETCHMAILRC, fetched, fetchmailrc
from smarthost_fetchmailrc import facts as fetch_facts
from smarthost_manifest import DISPOSABLES, NOTIFICATIONS, Manifest, Sender, digest
from smarthost_manifest import NAME as MANIFEST
from smarthost_oauth import FACTS as OAUTH_FACTS
from smarthost_oauth import XOAUTH2, by_xoauth2
from smarthost_oauth import facts as oauth_facts
from smarthost_places import SORTING, TABLES_PARAMETER, Places
from smarthost_privacy import (
    HOST_NAME,
    NAMED,
    forwarded_sender,
    generic,
    header_checks,
    local_recipients,
    local_relay,
    local_senders,
    own_names,
    recipients,
    sender_canonical,
)
from smarthost_relays import (
    STATUS_FILTER,
    ca_files,
    logins,
    protocols,
    relay_parameters,
    routes,
    tls_policy,
)
from smarthost_services import REPORTS, UNLISTED, master_cf
from smarthost_sorting import DELIVER, mailbox_command, procmailrc, sorts
from smarthost_submission import COMMAND_FILTER, REJECT_FOOTERS, submission

# A parameter of the formula's own: where main.cf has the directory of the lookup tables.
# What a reload does not bring into effect (postconf(5)).
_NEED_RESTART = ("inet_interfaces", "inet_protocols")

# Local senders are one domain (canonical(5)), which has the default account.
_LOCAL_SENDERS = f"@{HOST_NAME}"
# What no account's address looks like: outside ASCII, whose letters Postfix folds into others; an address literal, a
# second at sign and angle brackets, where it would look up a part as if that were the sender.
_STRANGE = ("[^!-~]", "@\\[", "@.*@", '["<>].*@')
# smtp(8) looks up the sender, its domain, the host, and at last the relay: by then there has to be a password.
_BACKSTOP = "pipemap:{regexp:{{/^\\[/ none}}, fail:no_password}"
MANAGED = "# Managed by the Salt formula postfix_smarthost: the next apply undoes any change made here.\n"


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
        The text of the policy service that says who may submit mail by SMTP.
    submit_milter
        The text of the milter that says by which account a message leaves, and whether it is only passed on.
    ipv6
        Whether the qube has an address of IPv6 beyond itself.
    names
        What the qube is known to have been called, to recognise its local addresses.
    """

    hostname: str
    uid: int
    gid: int
    home: str
    ca_file: str
    procmail: str
    submit_policy: str
    submit_milter: str
    ipv6: bool
    names: tuple[str, ...] = ()


class File(NamedTuple):
    """
    One planned file of the configuration.

    content
        The whole text.
    mode
        The permission bits.
    rows
        Its rows, if it is the source of a lookup table that postmap(1) compiles.
    owner
        User and group, as numbers.
    """

    content: str
    mode: int = 0o644
    rows: dict[str, str] | None = None
    owner: tuple[int, int] = (0, 0)


class Plan(NamedTuple):
    """
    A whole configuration. It holds the passwords.

    files
        By their names: ``Places.of`` says where each is.
    manifest
        What they say.
    """

    files: dict[str, File]
    manifest: Manifest


def plan(record: dict[str, Any], tables: str, facts: dict[str, Any]) -> Plan:
    """
    Return the configuration of Postfix for the accounts of a qube.

    record : dict
        The regular shape of the pillar, from ``smarthost_pillar.check``.
    tables : str
        The directory of the lookup tables, below ``$config_directory``: one of ``smarthost_places.TABLES``.
    facts : dict
        The fields of ``Facts``; ``names`` may be left out.

    Raises TypeError when a field of ``Facts`` is missing or there is another.
    """
    qube = Facts(**facts)
    names = own_names(qube.hostname, qube.names)
    rows = _tables(record, tables)
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
        allowed=(
            *(name for name in (DISPOSABLES, NOTIFICATIONS) if record[name]),
            *([XOAUTH2] if by_xoauth2(record["accounts"]) else []),
        ),
        restart=(
            *(f"{name}={''.join(values[name].split())}" for name in _NEED_RESTART),
            f"{_LOCAL_SENDERS}={rows['sender_relay'][_LOCAL_SENDERS]}",
        ),
        named=NAMED,
        folders=tuple((item["folder"], item["sender"]) for item in record["lists"] if item.get("sender")),
        fetches=record["user"] if fetched(record) else "",
    )
    beside = {
        "local_recipients": File(MANAGED + local_recipients(names)),
        "local_relay": File(
            MANAGED + local_relay(record, names, rows["sender_relay"][_LOCAL_SENDERS]), mode=0o600
        ),
        "local_senders": File(MANAGED + local_senders(record, names)),
        "recipients": File(MANAGED + recipients(names)),
        "sender_canonical": File(MANAGED + sender_canonical(record, names)),
        "smtp_generic": File(MANAGED + generic(record, names), mode=0o600),
        "smtp_header_checks": File(MANAGED + header_checks(record, names), mode=0o600),
        "strange_senders": File(MANAGED + "".join(f"/{pattern}/ {UNLISTED}:\n" for pattern in _STRANGE)),
        "bounce_templates": File(MANAGED + TEMPLATES),
        "forwarded_sender": File(MANAGED + forwarded_sender(record), mode=0o600),
        "smtp_delivery_status_filter": File(MANAGED + STATUS_FILTER),
        "smtpd_reject_footers": File(MANAGED + REJECT_FOOTERS),
        "smtpd_command_filter": File(MANAGED + COMMAND_FILTER),
        **{name: File(MANAGED + _source(table), mode=0o600, rows=table) for name, table in rows.items()},
        **{name: File(text) for name, text in ca_files(record["accounts"]).items()},
    }
    if by_xoauth2(record["accounts"]):
        beside[OAUTH_FACTS] = File(oauth_facts(record["accounts"]), mode=0o600)
    sorting = {}
    if sorts(record):
        sorting["procmailrc"] = File(MANAGED + procmailrc(record))
        sorting["deliver"] = File(MANAGED + DELIVER)
    if fetched(record):
        text = MANAGED + fetchmailrc(record, qube.ca_file, Places().command)
        sorting[FETCHMAILRC] = File(text, mode=0o600, owner=(qube.uid, qube.gid))
        sorting[FETCH_FACTS] = File(fetch_facts(record))
    beside[MANIFEST] = File(MANAGED + manifest.text(), mode=0o600)
    files = {
        "main.cf": File(_text(sections)),
        "master.cf": File(MANAGED + master_cf(record["user"])),
        "submit-policy": File(qube.submit_policy, mode=0o755),
        "submit-milter": File(qube.submit_milter, mode=0o755),
        "own-names": File("".join(f"{name}\n" for name in names)),
        **{f"{tables}/{name}": file for name, file in beside.items()},
        **{f"{SORTING[tables]}/{name}": file for name, file in sorting.items()},
    }
    return Plan(files, manifest)


def _source(table: dict[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in table.items())


def _tables(record: dict[str, Any], tables: str) -> dict[str, dict[str, str]]:
    accounts = record["accounts"]
    local = {**accounts[0], "senders": [_LOCAL_SENDERS]}
    senders = routes(accounts)
    return {
        "sender_relay": {**senders, **routes([local]), "<>": f"{REPORTS}:{HOST_NAME}"},
        "saslpass": logins([*accounts, local]),
        "sender_access": {
            # access(5) has no at sign before a whole domain.
            **{sender.removeprefix("@"): "OK" for sender in senders},
            **dict.fromkeys(record["discard_senders"], "DISCARD"),
        },
        "tls_policy": tls_policy(accounts, f"/etc/postfix/{tables}"),
    }


def _main_cf(record: dict[str, Any], tables: str, facts: Facts) -> dict[str, dict[str, str]]:
    """Return the parameters of main.cf by the titles of its sections."""
    kind = "${default_database_type}" if record["table_type"] == "auto" else record["table_type"]

    def table(name: str, kind: str = kind) -> str:
        return f"{kind}:${TABLES_PARAMETER}/{name}"

    sections: dict[str, dict[str, str]] = {
        "The lookup tables: with this name all of them change at once": {
            TABLES_PARAMETER: f"${{config_directory}}/{tables}",
        },
        "Names: nothing that leaves the qube names it or its user": {
            "myhostname": HOST_NAME,
            "mydomain": "localdomain",
            "myorigin": "$myhostname",
            "mydestination": f"$myhostname, localhost, {table('recipients', 'regexp')}",
            "smtp_helo_name": "[127.0.0.1]",
            "smtpd_banner": "$myhostname ESMTP",
            "smtp_header_checks": table("smtp_header_checks", "regexp"),
        },
        "Routing: by sender, and no way out for a sender without an account": {
            "sender_dependent_default_transport_maps": ", ".join(
                [table("strange_senders", "regexp"), table("local_relay", "regexp"), table("sender_relay")]
            ),
            "default_transport": f"{UNLISTED}:",
            "relay_transport": f"{UNLISTED}:",
            "relay_domains": "",
            "relayhost": "",
            "transport_maps": table("recipients", "regexp"),
            "virtual_alias_domains": "",
            "virtual_alias_maps": "",
            "virtual_mailbox_domains": "",
            "sender_canonical_maps": table("sender_canonical", "regexp"),
            "smtp_generic_maps": table("smtp_generic", "regexp"),
            # Fetched mail keeps its addresses, local as they may look; what it lacks, such as a date, is added.
            "local_header_rewrite_clients": "",
            "always_add_missing_headers": "yes",
            # What an address is extended by belongs to its account.
            "recipient_delimiter": "+",
            # Such a recipient would be another one than it says (RFC 822 6.2.7, UUCP).
            "allow_percent_hack": "no",
            "swap_bangpath": "no",
            "non_smtpd_milters": "unix:private/submit-milter",
            "smtpd_milters": "unix:private/submit-milter",
            "milter_default_action": "tempfail",
        },
        "Passwords: one for each sender, sent over verified TLS only": {
            **relay_parameters(),
            "smtp_sasl_password_maps": ", ".join(
                # A sender with a way of its own is not to log in as what is wider: +extension, or the whole domain.
                [table("saslpass"), f"pipemap:{{{table('sender_relay')}, fail:no_password}}", _BACKSTOP]
            ),
            "smtp_tls_policy_maps": table("tls_policy"),
            "smtp_tls_CAfile": facts.ca_file,
            "smtp_delivery_status_filter": table("smtp_delivery_status_filter", "regexp"),
        },
        "Who may submit mail, and how much": {
            **protocols(record["accounts"], ipv6=facts.ipv6),
            **submission(record["user"], table("sender_access"), table("", "regexp")),
        },
        "Local mail": {
            # The template compiles it, for all its qubes, whatever the type of their own tables.
            "alias_maps": "${default_database_type}:/etc/aliases",
            # alias_database, which newaliases(1) compiles, is left to the installed Postfix, whose default is the same:
            # 3.7 to 3.10 read its value before they know default_database_type.
            "forwarded_sender_maps": table("forwarded_sender", "regexp"),
            "home_mailbox": ".maildir/",
            "mailbox_command": mailbox_command(record, tables, facts.procmail),
            "mailbox_size_limit": "0",
            # What is forwarded would leave by the default account, whoever's file it is, with the local address in it.
            "forward_path": "",
            "biff": "no",
            # A report that cannot be delivered, as to a sender that is no address, is the user's all the same.
            "notify_classes": "resource, software, 2bounce",
            "2bounce_notice_recipient": record["user"],
            "error_notice_recipient": record["user"],
            "reports_home": facts.home,
            "reports_uid": str(facts.uid),
            "reports_gid": str(facts.gid),
        },
        "The queue: a qube may be off, or offline, for weeks": {
            "enable_long_queue_ids": "yes",
            "maximal_queue_lifetime": "30d",
            "bounce_queue_lifetime": "30d",
            "delay_warning_time": "4h",
            "bounce_template_file": f"${TABLES_PARAMETER}/bounce_templates",
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
    lines = [MANAGED, _COMPATIBILITY]
    for title, parameters in sections.items():
        if parameters:
            lines.append(f"\n# {title}\n")
        lines += [f"{name} = {value}".rstrip() + "\n" for name, value in parameters.items()]
    return "".join(lines)
