# SPDX-License-Identifier: Apache-2.0
"""The last part of the boot script: the watch for the uplink."""

TEXT = r"""
# How a reason begins that Postfix itself gives for a relay that was not reached (smtp_connect.c, smtp_addr.c,
# smtp_trouble.c, smtp_proto.c; dns_lookup.c), or that was another than the one meant.
unreached="connect to |(Host or domain name not found[.] )?Name service error for name=|unable to look up host \
|unable to find primary relay for |[^ ]+: host not found|lost connection with |conversation with |Cannot start TLS: \
|Server certificate not |TLS is required, |host 127[.][0-9.]+[[][0-9.]+[]] refused to talk to me: 421 4[.]4[.]1 "

# smtp(8) keeps the resolver's configuration of its start (res_init(3)), so tell it of one that came since. What was
# seen last is the time of a file: this look starts no program.
follow_resolver() {
	local seen=$state/resolv.conf
	[ /etc/resolv.conf -nt "$seen" ] || [ /etc/resolv.conf -ot "$seen" ] || return 0
	remember_resolver
	if silently postfix reload; then
		rm -f "$state/pauses"
	else
		rm -f "$seen"
	fi
}

remember_resolver() {
	rm -f "$state/resolv.conf"
	[ ! -e /etc/resolv.conf ] || touch -r /etc/resolv.conf "$state/resolv.conf"
}

# For each message its sender, and its sender's relay and its own ID if it waits because that relay was not reached. By
# Postfix's own words at the beginning of a reason only: what others say stands behind them, and a quotation mark in it
# has a backslash. What was brought in, or restored, has no reason yet.
unreached() {
	postqueue -j | awk '
		FNR == NR {
			if ($2 ~ /^[^:]+:\[[^]]+\]:[0-9]+$/) relay[$1] = $2
			next
		}
		match($0, /"sender": "[^"\\]*"/) {
			sender = tolower(substr($0, RSTART + 11, RLENGTH - 12))
			way = sender
			if (!(way in relay)) sub(/\+[^@]*@/, "@", way)
			if (!(way in relay)) sub(/^.*@/, "@", way)
			if (!(way in relay) || sender !~ /^[!-~]+$/) next
			id = "-"
			if (/"queue_name": "deferred"/ && (!/"delay_reason": "/ || $0 ~ reason)) {
				match($0, /"queue_id": "[^"]*"/)
				id = substr($0, RSTART + 13, RLENGTH - 14)
			}
			split(relay[way], part, /:\[|\]:/)
			print sender, part[1], part[2], part[3], id
		}
	' reason="\"delay_reason\": \"(delivery temporarily suspended: )?($unreached)" "$tables/sender_relay" -
}

# Whether a relay answers, as itself: others do in a captive portal. Nobody logs in.
answers() {
	local service=$1 host=$2 port=$3 row words=() names=() word
	if [ "$service" = smtp-xoauth2 ]; then
		/usr/local/bin/postfix-smarthost answers "$host"
		return
	fi
	local options=(-c -o dnssec_probe= -s "$host" -t 6 -T 8 -L summary)
	row=$(postmap -c "$config" -q "[$host]:$port" "$kind:$tables/tls_policy" 2>/dev/null)
	read -ra words <<<"${row:-secure match=nexthop}"
	[[ $service != smtp-implicit* ]] || options+=(-w)
	[[ $service != smtp-clear* ]] || words=(none)
	options+=(-l "${words[0]}" -d sha256 -F "$(postconf -c "$config" -xh smtp_tls_CAfile)")
	for word in "${words[@]:1}"; do
		case $word in
		match=*) IFS='|' read -ra names <<<"${word#*=}" ;;
		tafile=*) options+=(-A "${word#*=}") ;;
		esac
	done
	word=$(RES_OPTIONS='timeout:2 attempts:2' \
		timeout 15 posttls-finger "${options[@]}" "[$host]:$port" "${names[@]}" 2>&1)
	case ${words[0]} in
	none | may) [[ $word != *'onnect to '* && $word != *'lookup failed'* ]] ;;
	encrypt) [[ $word = *' TLS connection established to '* ]] ;;
	*) [[ $word = *'Verified TLS connection established to '* ]] ;;
	esac
}

# Of the relays that a message waits for, those that answer.
reached() {
	local service host port id count=0
	local -A asked=()
	while read -r _ service host port id; do
		if [ "$id" != - ] && [ -z "${asked[$host:$port]:-}" ]; then
			asked[$host:$port]=1
			{ ! answers "$service" "$host" "$port" || echo "$host:$port"; } &
			[ $((count = (count + 1) % 50)) -ne 0 ] || wait
		fi
	done
	wait
}

# When a relay can be reached, mail for it shall not wait until its back-off ends (15 minutes). Nothing tells a qube of
# an uplink that is up again behind its own: so ask for what a message waits for. With nothing that waits one program is
# started. What waits for something else, as a password that is refused, stays with Postfix's own times; and after a try
# that brought nothing the next one of that sender comes later and later.
try_again() {
	local waiting there sender host port id after pause
	local -i now
	local -A next=() last=() due=() ids=()
	if [ -z "$(find /var/spool/postfix/deferred -type f -print -quit)" ]; then
		# The last try brought something.
		[ ! -s "$state/pauses" ] || : >"$state/pauses"
		return 0
	fi
	find_tables || return 0
	waiting=$(unreached)
	there=$(reached <<<"$waiting")
	read -r after _ </proc/uptime
	now=${after%.*}
	[ ! -e "$state/pauses" ] || while read -r sender after pause; do
		next[$sender]=$after last[$sender]=$pause
	done <"$state/pauses"
	while read -r sender _ host port id; do
		if [ "$id" != - ] && [[ $'\n'$there$'\n' != *$'\n'"$host:$port"$'\n'* ]]; then
			# What is tried when it answers again is another try.
			# Not by unset or in arithmetic, which would evaluate what the sender's address holds.
			next[$sender]='' last[$sender]='' id=-
		fi
		due[$sender]=${next[$sender]:-0}
		[ "$id" = - ] || [ "${due[$sender]}" -gt $now ] || ids[$id]=$sender
	done <<<"$waiting"
	for sender in "${ids[@]}"; do
		[ "${due[$sender]}" -gt $now ] && continue
		pause=$((${last[$sender]:-20} * 2))
		[ "$pause" -le 900 ] || pause=900
		last[$sender]=$pause
		due[$sender]=$((now + pause))
	done
	for sender in "${!due[@]}"; do
		[ -z "${last[$sender]:-}" ] || echo "$sender ${due[$sender]} ${last[$sender]}"
	done >"$state/pauses"
	[ -z "${ids[*]}" ] || retry "${!ids[@]}"
	tell
}

# What waits for the user is told on the desktop. Not at each look: it starts Python.
tell() {
	[[ ${allowed:-} = *notifications* ]] && [ -x /usr/local/bin/postfix-smarthost ] || return 0
	[ -z "$(find "$state/looked" -mmin -3 2>/dev/null)" ] || return 0
	: >"$state/looked"
	/usr/local/bin/postfix-smarthost notify >/dev/null
}

# The time of a deferred message is when it is tried next; D looks for these, F forgets what could not be reached, says
# qmgr(8).
retry() {
	find /var/spool/postfix/deferred -type f -printf '%f %p\n' |
		awk 'FNR == NR { chosen[$1]; next } $1 in chosen { print $2 }' <(printf '%s\n' "$@") - |
		xargs -r -d '\n' touch -c
	# A queue manager that is just being reloaded does not hear it.
	for _ in {1..5}; do
		! postkick public qmgr FD 2>/dev/null || return 0
		sleep 0.2
	done
}

watch() {
	local -i since now
	local text
	# As long as a program may still hand in what it began to before the mount.
	if [ -e "$state/mounted" ]; then
		read -r text _ </proc/uptime
		now=${text%.*} since=$(<"$state/mounted")
		[ $((now - since)) -gt 600 ] || bring_in
	fi
	if runs; then
		follow_resolver
		try_again
		! fetching_fails || ! find_tables || tell
	fi
}

start_watch() {
	[ ! -e /run/systemd/transient/postfix-smarthost-uplink.timer ] || return 0
	silently start_timer && return
	# As long as a look goes on, or when one has failed, systemd takes no other of this name.
	systemctl stop postfix-smarthost-uplink.{timer,service} 2>/dev/null
	systemctl reset-failed postfix-smarthost-uplink.{timer,service} 2>/dev/null
	silently start_timer ||
		echo "postfix-smarthost: mail may wait for 15 minutes after the network is back: $said" >&2
}

start_timer() {
	systemd-run --quiet --no-block --unit=postfix-smarthost-uplink --on-active=20 --on-unit-active=20 \
		--timer-property=AccuracySec=1 --property=Type=oneshot --property=LogLevelMax=notice \
		/bin/bash "$0" uplink 9<&-
}

main() {
	case ${1:-} in
	beneath) take_from_beneath ;;
	uplink) watch ;;
	*) start "${1:-}" ;;
	esac
}

main "$@"
"""
