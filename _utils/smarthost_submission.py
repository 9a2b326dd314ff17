# SPDX-License-Identifier: Apache-2.0
"""
Who may submit mail by SMTP, how much, and what Postfix says to whom it refuses.

Pure functions, for the planner.

Sources: postconf(5), access(5), SMTPD_ACCESS_README, SMTPD_POLICY_README; SIZE, RFC 1870.
"""

from __future__ import annotations

# What providers take, 50 MB of attachments at most, is 72 MB with the line breaks of base64, and some programs attach
# twice. A program that has gone wild must not fill the disk of a qube: 2 GB, as it comes.
MESSAGE_SIZE_LIMIT = 100 * 1024 * 1024
# Mail by SMTP has no limit (smarthost_services): Postfix takes none of it when the disk has less room than this.
QUEUE_MINFREE = 20 * 1024 * 1024

_UNLISTED = "it belongs to no account of this qube: send with the address of an account, or add this one to its senders"
_REFUSED = f"550 5.7.1 {_UNLISTED}"
_NULL = "mail without a sender address, or with a malformed one, does not leave this qube"


def submission(user: str, sender_access: str, regexps: str) -> dict[str, str]:
    """
    Return the parameters of main.cf that say who may submit mail.

    user : str
        The local user who may, beside root.
    sender_access : str
        The table with the senders that may be relayed, and those whose mail is thrown away.
    regexps : str
        Where the tables of regular expressions are, with their type, up to their names.
    """
    users = f"root, {user}"
    return {
        "inet_interfaces": "loopback-only",
        "mynetworks": "127.0.0.1/32, [::1]/128",
        "authorized_submit_users": users,
        "authorized_mailq_users": users,
        "authorized_flush_users": users,
        # Asked before the greeting, which cannot be written to a client who has left by then: so nothing of him is
        # read, whoever has his port now. What came before the greeting may have been read already, and is refused;
        # some Postfixes 3.7 and 3.8 would take it (smtpd_forbid_unauth_pipelining).
        "smtpd_delay_reject": "no",
        "smtpd_client_restrictions": "check_policy_service unix:private/submit-policy, reject_unauth_pipelining",
        # A recipient on the outside is refused for the sender's sake, in words that say so.
        "smtpd_relay_restrictions": f"check_sender_access {regexps}local_senders,"
        f" check_sender_access {sender_access}, permit_auth_destination,"
        f" check_sender_access inline:{{ {{<> = 550 5.7.1 {_NULL}}} }},"
        f" check_sender_access static:{{{_REFUSED}}}, reject",
        # Local senders are rewritten later than it is looked whether their recipient is known.
        "smtpd_reject_unlisted_recipient": "no",
        "smtpd_recipient_restrictions": f"check_recipient_access {regexps}local_recipients, reject_non_fqdn_recipient",
        "smtpd_reject_footer_maps": f"{regexps}smtpd_reject_footers",
        # What is refused for good, fetchmail fetches again and again.
        "smtpd_command_filter": f"{regexps}smtpd_command_filter",
        "hopcount_limit": "100",
        # Not shorter because all services are busy: fetchmail may wait for its provider meanwhile.
        "smtpd_timeout": "300s",
        "disable_vrfy_command": "yes",
        "message_size_limit": str(MESSAGE_SIZE_LIMIT),
        "queue_minfree": str(QUEUE_MINFREE),
    }


REJECT_FOOTERS = (
    "/^45[12] .*(Insufficient system storage|queue file write error)/"
    " \\c: the disk that holds the queue (/rw in a qube) is full or nearly so. Make room there\n"
)

# Postfix takes no sender whose local part begins with a dash, or whose domain no host can have: with a label that is
# empty, too long, or begins or ends with a dash, or of numbers only. Fetched mail has such ones.
_DOMAIN = r"[^]>@]*"
_MALFORMED = "|".join(
    (
        r"-[^>]*",
        rf"[^>]*@{_DOMAIN}\.\.{_DOMAIN}",
        rf"[^>]*@[.-]{_DOMAIN}",
        rf"[^>]*@{_DOMAIN}(-|\.-{_DOMAIN}|-\.{_DOMAIN})",
        r"[^>]*@([0-9]+\.)*[0-9]+",
        rf"[^>]*@({_DOMAIN}\.)?[^].>@]{{64,}}(\.{_DOMAIN})?",
    )
)
COMMAND_FILTER = f"/^(MAIL[[:space:]]+FROM:[[:space:]]*)<({_MALFORMED})>(.*)$/ ${{1}}<>${{7}}\n"
