# SPDX-License-Identifier: Apache-2.0
"""The fourth part of the boot script: the service that fetches mail."""

TEXT = r"""
# As the user who reads the mail, by the program of the formula, which runs fetchmail(1): systemd starts that, not this
# script, whose fetchmail SELinux would let write no file of the user's. Not in a disposable, where mail is lost.
start_fetching() {
	local unit=postfix-smarthost-fetch
	[ "$fetches" ] && [ ! -e /run/systemd/transient/$unit.service ] && [ ! -e /run/qubes/persistent-none ] || return 0
	if [ -e "$queue/fetch-off" ]; then
		echo "postfix-smarthost: mail is not fetched, as this qube is a copy of another one: $again" >&2
		return 0
	fi
	systemctl reset-failed $unit 2>/dev/null
	silently systemd-run --quiet --no-block --unit=$unit --uid="$fetches" --property=After=postfix.service \
		--property=RuntimeDirectory=$unit --property=RuntimeDirectoryMode=0700 --property=KillMode=mixed \
		--property=TimeoutStopSec=40 --property=Restart=on-failure --property=RestartSec=20 \
		--property=NoNewPrivileges=yes --property=ProtectSystem=full \
		/usr/local/bin/postfix-smarthost fetch 9<&- ||
		echo "postfix-smarthost: mail is not fetched: $said" >&2
}

# By the file in which the service notes what is the matter: the user's, so it is not read if it is no file.
fetching_fails() {
	local noted=/run/postfix-smarthost-fetch/state.json
	[ -f $noted ] && [[ $(<$noted) = *'"reason": '* ]]
}
"""
