#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What qubes-mount-dirs does: fill /rw at the first start of the qube.
set -eu

# As /rw is mounted in Qubes (its fstab).
mount -o remount,bind,nosuid,nodev /rw

if ! [ -d /rw/config ]; then
    mkdir /rw/config
    cat > /rw/config/rc.local <<'RC'
#!/bin/sh

# This script is run as root at each start of the qube, after the executable
# files named /rw/config/rc.local.d/*.rc. Put your own commands here.
RC
    chmod 755 /rw/config/rc.local
fi

if ! [ -d /rw/usrlocal ]; then
    if [ -d /usr/local.orig ]; then
        cp -a /usr/local.orig /rw/usrlocal
    else
        mkdir /rw/usrlocal
    fi
fi

persistent=true
if [ -e /run/qubes-service/custom-persist ]; then
    persistent=false
    # The mount units ask for these (home.mount, usr-local.mount).
    touch /run/qubes/disable_persistent_home_dir /run/qubes/disable_persistent_usrlocal_dir
fi

home=/rw/home
"$persistent" || home=/home
[ -d "$home" ] || mkdir "$home"
if ! [ -d "$home/user" ]; then
    cp -a /etc/skel "$home/user"
    chmod 700 "$home/user"
fi
if [ "$(stat -c %u:%g "$home/user")" != "$(id -u user):$(id -g user)" ]; then
    chown -R user:user "$home/user"
fi
