# SPDX-License-Identifier: Apache-2.0
"""
What the user reads first in a report of Postfix: what happened, and what to do.

Below it, Postfix lists each address with its reason. Source: bounce(5); what is not here stays as it is there.
"""

from __future__ import annotations

TEMPLATES = """\
failure_template = <<EOF
Charset: us-ascii
From: MAILER-DAEMON (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Postmaster-Subject: Postmaster Copy: Undelivered Mail

Your message, attached below, was not sent to the addresses that follow, and
will not be tried again. Behind each address is the reason.

What a relay refuses stands behind "said:". Correct what it names, such as the
recipient, and send the message again. What providers mean by their words is
in the formula's docs/providers.md, all else in docs/troubleshooting.md.

EOF

delay_template = <<EOF
Charset: us-ascii
From: MAILER-DAEMON (Mail Delivery System)
Subject: Delayed Mail (still being retried)
Postmaster-Subject: Postmaster Warning: Delayed Mail

Your message still waits. You need not send it again: it is tried again and
again, and comes back to you if that does not help.

Why it waits is behind each address below. In the qube,

    postfix-smarthost status

says in words what that means and what to do, and postfix-smarthost flush
tries it at once.

EOF
"""
