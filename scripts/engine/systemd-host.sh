#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a bootstrapped Debian a host whose PID 1 is systemd, in a container. Usage: systemd-host.sh ROOT UNIT_TO_MASK…
set -eu
root=$1
shift
for unit in "$@"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
# Each container has an id of its own.
: >"$root/etc/machine-id"
cat >"$root/sbin/container-init" <<'INIT'
#!/bin/sh
# systemd wants a cgroup tree that it may write, and a /proc of its own.
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
exec /lib/systemd/systemd
INIT
chmod 755 "$root/sbin/container-init"
