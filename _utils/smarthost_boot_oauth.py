# SPDX-License-Identifier: Apache-2.0
"""The part of the boot script that starts the proxy, which logs in with tokens."""

TEXT = r"""
# Before Postfix, so that it is there for the first message. As root, whose the tokens are, without root's rights.
start_oauth() {
	local unit=postfix-smarthost-oauth
	local tokens=/usr/local/etc/smarthost/tokens group=
	[[ ${allowed:-} = *xoauth2* ]] && [ ! -e /run/systemd/transient/$unit.service ] || return 0
	[ -d "$tokens" ] || silently mkdir -p -m 0755 "${tokens%/*}" && silently mkdir -p -m 0700 "$tokens"
	# Its notes are for the service that fetches mail, too, which is the user's.
	[ -z "$fetches" ] || group=$(id -gn "$fetches" 2>/dev/null)
	systemctl reset-failed $unit 2>/dev/null
	silently systemd-run --quiet --no-block --unit=$unit --property=RuntimeDirectory=$unit \
		--property=RuntimeDirectoryMode=0711 --property=SupplementaryGroups="$group" \
		--property=KillMode=mixed --property=TimeoutStopSec=20 \
		--property=Restart=on-failure --property=RestartSec=1 --property=StartLimitIntervalSec=0 \
		--property=CapabilityBoundingSet=CAP_NET_BIND_SERVICE --property=NoNewPrivileges=yes \
		--property=ProtectSystem=strict --property=ReadWritePaths="$tokens" --property=ProtectHome=yes \
		--property=PrivateTmp=yes --property=PrivateDevices=yes --property=ProtectControlGroups=yes \
		--property=ProtectKernelTunables=yes --property=ProtectKernelModules=yes --property=RestrictNamespaces=yes \
		--property=RestrictRealtime=yes --property=LockPersonality=yes --property=MemoryDenyWriteExecute=yes \
		--property=SystemCallArchitectures=native --property=LimitNOFILE=65536 \
		--property=RestrictAddressFamilies="AF_INET AF_INET6 AF_UNIX AF_NETLINK" \
		/usr/local/bin/postfix-smarthost oauth 9<&- ||
		echo "postfix-smarthost: mail of accounts with auth: xoauth2 waits: $said" >&2
}
"""
