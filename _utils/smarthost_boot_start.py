# SPDX-License-Identifier: Apache-2.0
"""The first part of the boot script: Postfix on the configuration and the queue that last."""

TEXT = r"""#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Put Postfix onto the configuration and the queue that last, and start it.
# Managed by the Salt formula postfix_smarthost. Run by root at each boot
# (/rw/config/rc.local.d) and by the formula; it may be run any number of times.
# Whatever goes wrong, Postfix is not started: never with the template's own
# configuration, never on a queue that is lost at shutdown.
#
# With the argument `uplink`, which a timer gives every 20 seconds: try the mail
# that waits for a relay which can be reached by now. With `beneath`, which the
# script itself gives: bring in the mail that the mounted queue covers. With
# `apply`, which an apply in the midst of a change gives: it holds the lock, and
# cleans up by itself.
set -u
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

config=/usr/local/etc/postfix
queue=/rw/bind-dirs/var/spool/postfix
# A disposable has a copy of the queue of its template qube, where it is sent.
[ ! -e /run/qubes/persistent-none ] || queue=/var/spool/postfix
# On a machine that is no qube all of it lasts, and nothing is mounted.
[ -d /rw ] || config=/etc/postfix queue=/var/spool/postfix
# Root's alone, as are the lock in it, which an apply holds too, and the senders whose mail waits.
state=/run/postfix-smarthost
again="apply postfix_smarthost to this qube again"

# Also stops a Postfix that the template started by itself, and keeps what else a user has set up from starting it.
give_up() {
	systemctl mask --runtime --now postfix >/dev/null 2>&1
	echo "postfix-smarthost: Postfix is not started: ${1//$'\n'/ }" >&2
	exit 1
}

# True if a command succeeds and says nothing on standard error; what it says is in `said`. Postfix 3.11 says of each
# table of the type hash that there will be none some day (NON_BERKELEYDB_README).
silently() {
	local line
	local -i code
	said=$("$@" 2>&1 >/dev/null)
	code=$?
	if [[ $said = *'hash/btree support is deprecated'* ]]; then
		said=$(while IFS= read -r line; do
			case $line in
			*'hash/btree support is deprecated'* | *NON_BERKELEYDB_README*) ;;
			*) printf '%s\n' "$line" ;;
			esac
		done <<<"$said")
	fi
	[ $code -eq 0 ] && [ -z "$said" ]
}

bind() {
	[ "$1" -ef "$2" ] || silently mount --bind "$1" "$2"
}

# Whether the master(8) of a queue is there, by the file that it keeps.
master_runs() {
	local -i pid
	local name
	{
		pid=$(<"${1:-/var/spool/postfix}/pid/master.pid") && name=$(<"/proc/$pid/comm") && [ "$name" = master ]
	} 2>/dev/null
}

runs() {
	[ /etc/postfix -ef "$config" ] && [ /var/spool/postfix -ef "$queue" ] && master_runs
}

stop() {
	silently systemctl stop postfix || return
	# Debian 12 has a unit in front of the one that runs, and does not wait for that.
	for _ in {1..200}; do
		master_runs || return 0
		sleep 0.1
	done
	said="it still runs"
	return 1
}

owned() {
	local name
	for name in main.cf master.cf submit-policy "${tables##*/}"; do
		[ -e "$config/$name" ] || return
	done
	[ -z "$(find "$config" -path "$config/*" ! -path "$tables" ! -path "$tables/*" ! -name main.cf ! -name master.cf \
		! -name 'submit-*' ! -name own-names -prune -o \( ! -user root -o ! -group root \) -print -quit 2>&1)" ]
}

# Sets tables (their directory), sources (those that are compiled), named (files with lists of names), allowed, fetches
# (the user whose mail is fetched), kind, suffix and aliases: what main.cf and the manifest beside the tables say.
find_tables() {
	local fact value values
	mapfile -t values < <(postconf -c "$config" -xh smtp_tls_policy_maps alias_maps 2>/dev/null)
	tables=${values[0]:-}
	aliases=${values[1]:-}
	kind=${tables%%:*}
	tables=${tables%/*}
	# By its last name only: while a main.cf is a second old, postconf(1) may expand $config_directory to its default
	# instead of what -c says (seen with 3.10).
	tables=$config/${tables##*/}
	case $kind in
	hash) suffix=.db ;;
	lmdb | cdb) suffix=.$kind ;;
	texthash) suffix='' ;;
	*) return 1 ;;
	esac
	# Those of version 0.1, which has no manifest.
	sources=("$tables"/{sender_relay,saslpass,sender_canonical,sender_access,tls_policy}) named=() allowed='' fetches=''
	[ ! -e "$tables/disposables" ] || allowed=disposables
	[ -e "$tables/manifest" ] || return 0
	sources=()
	while read -r fact value _; do
		case $fact in
		table) sources+=("$tables/$value") ;;
		named) named+=("$tables/$value") ;;
		allow) allowed+=" $value" ;;
		fetch) fetches=$value ;;
		sender) break ;;
		esac
	done <"$tables/manifest"
}

# What a killed apply or boot has left, which may hold passwords.
clean_up() {
	local path left=()
	for path in "$config"/tables-* "$config/staging" "$queue.new" \
		"$config"/{,tables-?/}.*.{postmap-????????,boot-??????}; do
		[ ! -e "$path" ] || [ "$path" = "$tables" ] || left+=("$path")
	done
	[ -z "${left[*]}" ] || rm -rf "${left[@]}"
}

# What belongs to the installed Postfix and not to its configuration follows the template.
carry_over() {
	local name other
	other=$(diff -qr /etc/postfix "$config" 2>/dev/null)$'\n'
	for name in dynamicmaps.cf dynamicmaps.cf.d postfix-files postfix-files.d sasl; do
		case $other in
		*"/etc/postfix/$name"[/:\ ]* | *"$config/$name"[/:]* | *"Only in /etc/postfix: $name"$'\n'* | \
			*"Only in $config: $name"$'\n'*)
			rm -rf "${config:?}/$name"
			[ ! -e "/etc/postfix/$name" ] || silently cp -a "/etc/postfix/$name" "$config/$name" ||
				give_up "$name of the template cannot be copied to $config: $said"
			;;
		esac
	done
}

# Postfix says nothing about tables that it can read; no key is a blank.
readable() {
	silently postmap -c "$config" -q ' ' "$@"
	[ -z "$said" ]
}

# Whether a table has to be compiled; the template's Postfix may want another type than the one that compiled it.
stale() {
	[ "$suffix" ] && { ! [ -s "$1$suffix" ] || [ "$1" -nt "$1$suffix" ]; }
}

compile_tables() {
	local table maps=() old=() others=()
	for table in "${sources[@]}"; do
		[ -s "$table" ] || give_up "the table $table is missing: $again"
		maps+=("$kind:$table")
		for other in "$table".{db,lmdb,cdb}; do
			[ ! -e "$other" ] || [ "$other" = "$table$suffix" ] || others+=("$other")
		done
		! stale "$table" || old+=("$table")
	done
	[ -z "${others[*]}" ] || rm -f "${others[@]}"
	[ ! -e "${aliases#*:}" ] || maps+=("$aliases")
	# All of them by one program, as long as nothing is wrong.
	[ "${old[*]}" ] || ! readable "${maps[@]}" || return 0
	for table in "${sources[@]}"; do
		compile_table "$table"
	done
	[ ! -e "${aliases#*:}" ] || readable "$aliases" || silently postalias -c "$config" "$aliases" ||
		give_up "${aliases#*:} cannot be compiled: apply postfix_smarthost to the template of this qube again"
}

compile_table() {
	local work
	local -i code
	if ! stale "$1" && readable "$kind:$1"; then
		return
	fi
	[ "$suffix" ] || give_up "the table $1 cannot be read: $again"
	work=$(mktemp -d "${1%/*}/.${1##*/}.boot-XXXXXX" 2>/dev/null) || give_up "there is no room in ${1%/*}"
	silently cp -p "$1" "$work/table" && silently postmap -c "$config" "$kind:$work/table" &&
		touch -r "$1" "$work/table$suffix" && silently mv -f "$work/table$suffix" "$1$suffix"
	code=$?
	rm -rf "$work"
	# What postmap(1) says is not told: it quotes rows, which may hold a password.
	[ $code -eq 0 ] || give_up "the table $1 cannot be compiled: $again"
}

# A table of the type hash is locked by who reads it, and what all may read, all may lock (flock(2)).
guard_aliases() {
	local compiled=${aliases#*:}.db
	[ "${aliases%%:*}" = hash ] && [ -e "$compiled" ] || return 0
	# Another file: somebody may have this one open.
	if ! (umask 077 && cp --preserve=timestamps "$compiled" "$compiled.boot") 2>/dev/null ||
		! mv -f "$compiled.boot" "$compiled" 2>/dev/null; then
		give_up "there is no room in ${compiled%/*}"
	fi
}

# An empty one: what is queued already comes later, as all mail that the mount covers.
make_queue() {
	[ ! -d "$queue" ] || return 0
	mkdir -p "${queue%/*}" && cp -a /var/spool/postfix "$queue.new" &&
		find "$queue.new" -type f -regex '.*/postfix.new/\(maildrop\|incoming\|active\|deferred\|hold\|pid\)/.*' \
			-delete &&
		sync -f "$queue.new" && mv "$queue.new" "$queue"
}

# Numeric owners differ between templates. `postfix set-permissions` would miss files of the template's /etc/postfix.
# chown(1) changes a directory after what is in it, so that a boot after a killed one does the rest.
repair_owners() {
	local directory wrong
	# Postfix makes them at its first start.
	[ -d "$queue/active" ] && [ -d "$queue/public" ] && [ -d "$queue/maildrop" ] || return 0
	wrong=$(find "$queue" -maxdepth 1 \
		\( -name public -o -name maildrop \) ! \( -uid "$owner" -gid "$group" \) -printf '%f ' -o \
		\( -name bounce -o -name corrupt -o -name defer -o -name deferred -o -name flush -o -name hold \
		-o -name incoming -o -name private -o -name saved -o -name trace -o -name active \) \
		! -uid "$owner" -printf '%f ')
	for directory in $wrong; do
		case $directory in
		# What is in maildrop belongs to who handed it in.
		public | maildrop) silently chown "$owner:$group" "$queue/$directory" ;;
		*) silently chown -R "$owner" "$queue/$directory" ;;
		esac || give_up "the owner of $queue/$directory cannot be repaired: $said"
	done
}

start() {
	local again_in_this_boot='' covered='' text room=$queue/room
	command -v postfix >/dev/null ||
		give_up "it is not installed: apply postfix_smarthost to the template of this qube"
	[ -e "$config/main.cf" ] || give_up "there is no configuration: apply postfix_smarthost to this qube"
	if runs; then
		start_watch
		[ ! "$1" ] || return 0
		! find_tables || { start_oauth; start_fetching; }
		return
	fi
	owner=$(id -u postfix 2>/dev/null) || give_up "the template has no user postfix"
	group=$(getent group postdrop) || give_up "the template has no group postdrop"
	group=${group#*:*:}
	group=${group%%:*}
	[ -d "$state" ] || mkdir -m 0700 "$state"

	# An apply holds the same lock while it changes the configuration. Nobody else can.
	umask 077
	exec 9>>"$state/lock"
	umask 022
	[ "$1" = apply ] || flock -w 60 9 || give_up "an apply is still changing its configuration"

	find_tables || give_up "$config/main.cf is not the one of the formula: $again"
	if [ -e /run/qubes/persistent-none ] && [[ $allowed != *disposables* ]]; then
		give_up "this is a disposable, and the key disposables of its template qube is not true"
	fi
	owned || give_up "$config is not whole or does not belong to root: $again"
	stop || give_up "it cannot be stopped: $said"
	[ "$1" = apply ] || clean_up
	[ /etc/postfix -ef "$config" ] || carry_over
	silently make_queue || give_up "the queue cannot be made in $queue: $said"
	# At a boot there is nothing beneath, as a rule. What comes in this moment, the watch finds.
	[ "$queue" = /var/spool/postfix ] ||
		covered=$(find /var/spool/postfix/{maildrop,incoming,active,deferred,hold} -type f -print -quit 2>/dev/null)
	[ ! -e "$state/mounted" ] || covered=yes again_in_this_boot=yes
	read -r text _ </proc/uptime
	echo "${text%.*}" >"$state/mounted"
	# From here on mail that is handed in waits where it lasts.
	bind "$queue" /var/spool/postfix || give_up "$queue cannot be mounted over /var/spool/postfix: $said"
	if ! bind "$config" /etc/postfix; then
		umount /var/spool/postfix 2>/dev/null
		give_up "$config cannot be mounted over /etc/postfix: $said"
	fi
	repair_owners
	find_names
	know_names
	hold_foreign_mail
	guard_aliases
	compile_tables
	hold_maildrop
	[ -z "$covered" ] || bring_in
	if [ -e /sys/fs/selinux/enforce ]; then
		# By the paths that the programs use: the policy knows these, whatever is mounted there.
		silently restorecon -RF /etc/postfix /var/spool/postfix "${aliases#*:}"* ||
			echo "postfix-smarthost: SELinux labels cannot be restored: $said" >&2
	fi
	# Postfix would fail by itself, without a word of why.
	printf '%65536s' '' 2>/dev/null >"$room" || { rm -f "$room"; give_up "there is no room in $queue"; }
	rm -f "$room"
	# After a failure before, that of the boot or those of an apply.
	[ ! -L /run/systemd/system/postfix.service ] || silently systemctl unmask --runtime postfix
	[ -z "$again_in_this_boot" ] || systemctl reset-failed postfix 'postfix@*' 2>/dev/null
	remember_resolver
	start_watch &
	start_oauth
	silently systemctl --no-block start postfix 9<&- || give_up "systemd does not start it: $said"
	[ "$1" = apply ] || start_fetching
	wait
}
"""
