#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qubes-sysinit and qubes-early-vm-config do: tell the rest of the boot what this qube is.
# /run/lab is what the lab says of it, in the place of qubesdb.
set -eu

mkdir -p /run/qubes /run/qubes-service
chgrp qubes /run/qubes
chmod 0775 /run/qubes

case $(cat /run/lab/vm-type) in
    AppVM) touch /run/qubes/this-is-appvm ;;
    TemplateVM) touch /run/qubes/this-is-templatevm ;;
esac
touch "/run/qubes/persistent-$(cat /run/lab/persistence)"

while read -r service; do
    touch "/run/qubes-service/$service"
done < /run/lab/services
echo > /run/qubes-service-environment

name=$(cat /run/lab/name)
hostname "$name"
sed -i "s/^\(127\.0\.1\.1[[:space:]]*\).*/\1$name/; s/^\(::1\([[:space:]].*\)*[[:space:]]\).*$/\1$name/" /etc/hosts

# No name service until the uplink is there.
rm -f /etc/resolv.conf
: > /etc/resolv.conf
