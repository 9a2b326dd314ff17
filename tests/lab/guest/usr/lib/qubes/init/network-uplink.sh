#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qubes-network-uplink@eth0 does when the network interface is there.
set -eu

# At boot nothing orders the user's scripts after it: here it comes when what they start runs, and has tried what is due.
if [ "${1:-}" = boot ]; then
    while systemctl list-jobs --no-legend | grep -q ' postfix.* start '; do sleep 0.05; done
    ! systemctl --quiet is-active postfix || sleep 0.2
fi

[ -e /sys/class/net/eth0 ] || exit 0
gateway=$(cat /run/lab/gateway)
ip address replace "$(cat /run/lab/ip)/32" dev eth0
ip link set dev eth0 up
ip route replace to unicast "$gateway" dev eth0 scope link
ip route replace to unicast default via "$gateway" dev eth0 onlink
[ -e /run/lab/dns ] || exit 0
if [ -h /etc/resolv.conf ]; then rm -f /etc/resolv.conf; fi
sed 's/^/nameserver /' /run/lab/dns > /etc/resolv.conf
