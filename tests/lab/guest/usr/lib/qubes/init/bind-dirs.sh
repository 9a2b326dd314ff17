#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What qubes-bind-dirs does: copy each path of `binds` to /rw/bind-dirs once, then mount it at each start.
set -eu
shopt -s nullglob

! [ -e /run/qubes/persistent-full ] || exit 0

binds=()
files=(/etc/qubes-bind-dirs.d/*.conf)
[ -e /run/qubes-service/custom-persist ] || files+=(/rw/config/qubes-bind-dirs.d/*.conf)
for file in "${files[@]}"; do
    # shellcheck source=/dev/null
    . "$file"
done

for path in "${binds[@]}"; do
    kept=/rw/bind-dirs$path
    if ! [ -e "$kept" ]; then
        [ -e "$path" ] || continue
        mkdir -p "$(dirname "$kept")"
        cp -a "$path" "$kept"
    fi
    if ! [ -e "$path" ]; then
        mkdir -p "$(dirname "$path")"
        if [ -d "$kept" ]; then mkdir "$path"; else touch "$path"; fi
    fi
    mount --bind "$kept" "$path"
done
