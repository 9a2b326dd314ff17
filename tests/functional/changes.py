# SPDX-License-Identifier: Apache-2.0
"""Changes to the pillar of a qube, each with what an apply has to tell of it."""

from typing import Any

from tests.functional.qube import LISTS, Qube
from tests.samples import FINGERPRINT


def change_password(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["password"] = "new-s3cret"
    return {"accounts": {"changed": ["bob@example.org"]}, "files": {"changed": ["saslpass", "manifest"]}}


def change_username(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["username"] = "robert"
    return {"accounts": {"changed": ["bob@example.org"]}, "files": {"changed": ["saslpass", "manifest"]}}


def change_relay(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][0]["relay"] = "other.example.com"
    return {
        "accounts": {"changed": ["alice@example.com", "me@alias.example"]},
        "files": {"changed": ["local_relay", "sender_relay", "tls_policy", "manifest"]},
    }


def change_sender(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][0]["senders"] = ["you@alias.example"]
    return {
        "accounts": {"added": ["you@alias.example"], "removed": ["me@alias.example"]},
        "files": {"changed": ["smtp_header_checks", "sender_relay", "saslpass", "sender_access", "manifest"]},
    }


def change_default(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["default"] = True
    return {
        "files": {
            "changed": [
                *("local_relay", "smtp_generic", "smtp_header_checks", "forwarded_sender", "sender_relay"),
                *("saslpass", "sender_access", "tls_policy", "manifest"),
            ]
        }
    }


def change_account(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"].pop(0)
    return {
        "accounts": {"removed": ["alice@example.com", "me@alias.example"]},
        "files": {
            "changed": [
                *("local_relay", "smtp_generic", "smtp_header_checks", "forwarded_sender", "sender_relay"),
                *("saslpass", "sender_access", "tls_policy", "manifest"),
            ]
        },
    }


def change_fingerprint(qube: Qube) -> dict[str, Any]:
    qube.record["accounts"][1]["tls"] = {"fingerprint": [FINGERPRINT]}
    return {
        "accounts": {"changed": ["bob@example.org"]},
        "files": {"changed": ["tls_policy", "manifest"]},
    }


def change_settings(qube: Qube) -> dict[str, Any]:
    qube.record["settings"] = {"message_size_limit": 50000000, "queue_run_delay": "5m"}
    return {"files": {"changed": ["main.cf"]}}


def change_lists(qube: Qube) -> dict[str, Any]:
    qube.record["lists"] = LISTS
    return {
        "files": {"added": ["procmailrc", "deliver"], "changed": ["main.cf"]},
        "maildirs": {"added": [str(qube.home / ".maildir/list")]},
    }


def change_discards(qube: Qube) -> dict[str, Any]:
    del qube.record["discard_senders"]
    return {"files": {"changed": ["sender_access"]}}
