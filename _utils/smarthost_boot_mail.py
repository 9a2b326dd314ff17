# SPDX-License-Identifier: Apache-2.0
"""The second part of the boot script: mail that is in another place than it should be, or another qube's."""

TEXT = r"""
# Mail that was handed in before the mount, by a program that still runs, or while somebody had taken the mount off, is
# in the queue that is lost at shutdown. In a mount namespace of its own that queue can be seen. No kill loses a message
# or makes two of it: a copy is put aside whole, then its original goes, then the copy becomes mail.
bring_in() {
	[ "$queue" = /var/spool/postfix ] || silently unshare --mount --propagation private "$BASH" "$0" beneath ||
		echo "postfix-smarthost: mail may be left in the queue of the template: $said" >&2
}

take_from_beneath() {
	local part name aside user owners=()
	cd / || return
	# What somebody else submitted, a template's own main.cf may have let in.
	for user in $(postconf -c "$config" -xh authorized_submit_users 2>/dev/null | tr ',' ' ') postfix; do
		owners+=(${owners[0]:+-o} -user "$user")
	done
	while umount /var/spool/postfix 2>/dev/null; do
		# Mounted twice: this is the queue itself.
		[ ! /var/spool/postfix -ef "$queue" ] || continue
		for part in maildrop incoming active deferred hold; do
			# What is not complete is not executable (mail_queue.h).
			find "/var/spool/postfix/$part" -type f -perm -u=x \( "${owners[@]}" \) -printf '%P\0' 2>/dev/null |
				while IFS= read -r -d '' name; do
					# As private as the queue. What was being sent is to be looked at anew.
					[ -d "$queue/beneath" ] || mkdir -m 0700 "$queue/beneath"
					aside=$queue/beneath/${part/active/incoming}/$name
					mkdir -p "${aside%/*}" && cp -p "/var/spool/postfix/$part/$name" "$aside.part" &&
						sync "$aside.part" && mv "$aside.part" "$aside" && rm "/var/spool/postfix/$part/$name"
				done
		done
	done
	take_in
}

# Makes mail of what was put aside.
take_in() {
	local name
	[ -d "$queue/beneath" ] || return 0
	find "$queue/beneath" -type f -name '*.part' -delete
	find "$queue/beneath" -type f -printf '%P\0' |
		while IFS= read -r -d '' name; do
			mkdir -p "$queue/${name%/*}" && chown --reference="$queue/${name%%/*}" "$queue/${name%/*}" &&
				mv -n "$queue/beneath/$name" "$queue/$name"
		done
	find "$queue/beneath" -depth -type d -empty -delete
}

# Sets name and former: what this qube is called, and what the one was called that filled the queue.
find_names() {
	name='' former=''
	command -v qubesdb-read >/dev/null || return 0
	name=$(qubesdb-read /name) || give_up "the name of this qube cannot be read"
	[ ! -e "$queue/qube" ] || former=$(<"$queue/qube")
}

# What leaves is cleaned of the names that the qube has and had. Lists of names in the tables end in `-)`; in `--)`
# where one with a dot may be. The file of names comes last, so that a boot after a killed one does the rest.
know_names() {
	local known pattern file expression
	[ -e "$config/own-names" ] || return 0
	for known in "${former,,}" "${name,,}"; do
		if [ -z "$known" ] || grep -qxF -e "$known" "$config/own-names"; then
			continue
		fi
		pattern=${known//./\\.}
		expression="s/\([(|]\)--)/\1${pattern//\\/\\\\}|--)/g"
		[ "$known" != "${known//./}" ] || expression+="; s/\([(|]\)-)/\1$known|-)/g"
		for file in "${named[@]}"; do
			if ! grep -qF -e "($pattern|" -e "|$pattern|" "$file" && ! silently sed -i "$expression" "$file"; then
				give_up "the name of this qube cannot be written to $file: $said"
			fi
		done
		if ! { silently cp -p "$config/own-names" "$config/own-names.new" && echo "$known" >>"$config/own-names.new" &&
			sync "$config/own-names.new" && mv "$config/own-names.new" "$config/own-names"; }; then
			give_up "there is no room in $config"
		fi
	done
}

# A clone of the qube and a restored backup have its queue too: what was in it is sent by one of them only.
hold_foreign_mail() {
	local held
	[ "$former" != "$name" ] || return 0
	if [ "$former" ] && [ -d "$queue/maildrop" ]; then
		take_in
		# postsuper(1) leaves alone what pickup(8) has not taken in yet.
		if ! silently mkdir -p "$queue/foreign" || ! silently mkdir -p -m 0700 "$queue/foreign/maildrop" ||
			! silently find "$queue/maildrop" -type f -exec mv -t "$queue/foreign/maildrop" {} + ||
			! { silently postsuper -h ALL || [ "${said#postsuper: Placed on hold}" != "$said" ]; }; then
			give_up "the mail queued by the qube $former cannot be held: $said"
		fi
		# Nor does it take the mail out of that one's mailboxes.
		: >"$queue/fetch-off" || give_up "there is no room in $queue"
		held=$(find "$queue/hold" "$queue/foreign" -type f | wc -l)
		[ "$held" = 0 ] || echo "postfix-smarthost: $held messages are held: the qube $former queued them and" \
			"may have sent them since. sudo postfix-smarthost release ALL sends them from here." >&2
	fi
	if ! { echo "$name" >"$queue/qube.new" && sync "$queue/qube.new" && mv "$queue/qube.new" "$queue/qube"; }; then
		give_up "there is no room in $queue"
	fi
}

# Only pickup(8) and cleanup(8) make of a file of maildrop one that each use of postsuper(1) takes. They do so in a
# queue of their own, where nothing sends, and from there it goes to the others that are held.
hold_maildrop() {
	local place=$state/hold foreign=$queue/foreign daemons part aside
	local -i idle left=-1 before
	[ -d "$foreign" ] || return 0
	# What a boot that was killed has left running.
	stop_holding
	if [ "$(in_maildrop -print -quit)" ]; then
		rm -rf "$place"
		(umask 077 && mkdir -p "$place" \
			"$foreign"/{incoming,active,hold,corrupt,bounce,defer,deferred,flush,saved,trace,private,public,pid})
		chown -R "$owner" "$foreign"
		chown root "$foreign" "$foreign/pid"
		ln -s "$config"/* "$place/"
		rm "$place"/{main,master}.cf
		# What is refused ends in a report, which is held too.
		{
			cat "$config/main.cf"
			echo "queue_directory = $foreign"
			echo "internal_mail_filter_classes = bounce, notify"
		} >"$place/main.cf"
		cat >"$place/master.cf" <<-'CF'
			pickup   unix        n  -  n  60  1  pickup
			cleanup  unix        n  -  n  -   0  cleanup -o header_checks=static:HOLD -o body_checks=static:HOLD
			rewrite  unix        -  -  n  -   -  trivial-rewrite
			bounce   unix        -  -  n  -   0  bounce
			trace    unix        -  -  n  -   0  bounce
			postlog  unix-dgram  n  -  n  -   1  postlogd
		CF
		postconf -c "$config" -M submit-milter/unix >>"$place/master.cf" 2>/dev/null
		# Postfix waits for a main.cf of these seconds to cool down (src/util/dict.c).
		touch -d '1 minute ago' "$place/main.cf"
		daemons=$(postconf -c "$place" -xh daemon_directory 2>/dev/null)
		# The lock of a killed one is free when all of its daemons have noticed.
		for _ in {1..10}; do
			! silently "$daemons/master" -c "$place" -e 60 -w 9<&- || break
		done
		master_runs "$foreign" || give_up "the mail in $foreign cannot be held: $said"
		# As long as it becomes less.
		for ((idle = 0; idle < 300; idle++)); do
			before=$left
			left=$(in_maildrop -printf . | wc -c)
			[ "$left" -gt 0 ] || break
			[ "$left" -eq "$before" ] || idle=0
			sleep 0.1
		done
		stop_holding
	fi
	for part in incoming active deferred hold corrupt; do
		[ -d "$foreign/$part" ] || continue
		aside=$queue/hold
		[ $part != corrupt ] || aside=$queue/corrupt
		silently find "$foreign/$part" -type f -perm -u=x -exec mv -t "$aside" {} + ||
			give_up "the mail in $foreign cannot be held: $said"
	done
	rm -rf "$place"
	# What was not taken in stays, for the next time.
	if [ "$(in_maildrop -print -quit)" ]; then
		echo "postfix-smarthost: $(in_maildrop -printf . | wc -c) messages could not be taken in to be held. They are" \
			"in $foreign/maildrop; the next boot tries again." >&2
	else
		rm -rf "$foreign"
	fi
}

in_maildrop() {
	find "$queue/foreign/maildrop" -type f -perm -u=x "$@"
}

stop_holding() {
	while master_runs "$queue/foreign"; do
		kill "$((10#$(tr -cd 0-9 <"$queue/foreign/pid/master.pid")))" 2>/dev/null
		sleep 0.1
	done
}
"""
