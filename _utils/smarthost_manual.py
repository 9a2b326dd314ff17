# SPDX-License-Identifier: Apache-2.0
"""The manual page of postfix-smarthost, and what bash(1) completes. Sources: man(7), bash-completion's README."""

from __future__ import annotations

PAGE = r""".\" SPDX-License-Identifier: Apache-2.0
.\" Managed by the Salt formula postfix_smarthost.
.TH POSTFIX-SMARTHOST 1
.SH NAME
postfix-smarthost \- how mail goes in this qube, whether it goes out, and the mail queue
.SH SYNOPSIS
.B postfix-smarthost
.RB [ status | queue ]
.RB [ \-\-json ]
.br
.B postfix-smarthost verify
.RI [ ACCOUNT ]
.RB [ \-\-to
.IR ADDRESS ]
.RB [ \-\-json ]
.br
.B postfix-smarthost authorize
.RB [ \-\-browser ]
.I ACCOUNT
.br
.B postfix-smarthost flush
.RI [ MAIL ]
.br
.B postfix-smarthost
.RB { hold | release | delete }
.RB [ \-\-test ]
.I MAIL
.br
.B postfix-smarthost muttrc
.SH DESCRIPTION
It becomes root by
.BR sudo (8)
where it has to.
.I MAIL
is a queue ID, the address of an account, or
.BR ALL .
.TP
.B status
says since when Postfix runs, what each account sent last, why mail waits and when it is tried next, and what you have
to do.
.TP
.B verify
asks the relay of each account, side by side and within 30 seconds, whether it would take mail: name, connection,
certificate as Postfix judges it, login, sender. No message is sent. With
.BR \-\-to ,
a message is sent by each account whose relay takes mail, and followed until the relay has it.
.TP
.B authorize
gets the tokens of an account with
.BR "auth: xoauth2" :
it tells what to open in a browser of any qube, waits until the user has agreed there, logs in to see that the tokens
are for this user, stores them, and lets the waiting mail go. With
.BR \-\-browser ,
by a page whose answer comes back to this qube or is pasted, instead of a device code.
.TP
.B queue
lists what waits, and why. It shows neither subjects nor content.
.TP
.B flush
tries deferred mail now.
.TP
.BR hold ", " release
keeps mail in the queue; sends it.
.TP
.B delete
deletes mail from the queue, for good.
.TP
.B muttrc
prints the lines for
.BR mutt (1)
and
.BR neomutt (1)
that follow from the accounts, for
.IR ~/.muttrc :
.B source \(dqpostfix-smarthost muttrc |\(dq
.SH OPTIONS
.TP
.B \-\-json
prints JSON.
.TP
.B \-\-test
only tells which messages would be held, released or deleted.
.SH EXIT STATUS
0: all is well. 1: mail does not go, or something is to be done. 2: the command is wrong or cannot be carried out.
.SH ENVIRONMENT
.TP
.B NO_COLOR
if it is set, nothing is coloured.
.SH SEE ALSO
.BR mailq (1),
.BR sendmail (1),
.BR postqueue (1),
.BR postsuper (1)
"""

COMPLETION = r"""# SPDX-License-Identifier: Apache-2.0
# Managed by the Salt formula postfix_smarthost.
_postfix_smarthost() {
	local commands='status verify authorize queue flush hold release delete muttrc'
	local options='--json' word=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help" -- "$word")
		return
	fi
	case ${COMP_WORDS[1]} in
	muttrc) options= ;;
	verify) options+=' --to' ;;
	authorize) options=--browser ;;
	flush) options+=' ALL' ;;
	hold | release | delete) options+=' --test ALL' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _postfix_smarthost postfix-smarthost
"""
