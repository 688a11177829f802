# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The Docker daemon, in the namespace and with files of its own under /etc.

readonly BRIDGE=172.30.0.1/24
readonly STOP_SECONDS=40

is_up() { [ -S "$SOCKET" ] && engine version >/dev/null 2>&1; }

daemon_up() {
  say "starting dockerd in $NAMESPACE (log: $WORK/dockerd.log)"
  mkdir -p /etc/docker # a place to mount ours onto; the machine's own stays empty
  rm -f "$SOCKET" "$WORK/docker.pid"
  # Not `ip netns exec`: it would mount another /sys, without the cgroups.
  setsid nsenter --net="/run/netns/$NAMESPACE" unshare --mount --propagation slave \
    bash -c "$(declare -f own_etc); own_etc \"\$1\"; shift; exec \"\$@\"" own-etc "$WORK/etc" \
    dockerd -H "unix://$SOCKET" --data-root "$WORK/data" --exec-root "$SOCKETS/exec" --pidfile "$WORK/docker.pid" \
    --storage-driver overlay2 --bip "$BRIDGE" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$NAMESPACE" \
    >"$WORK/dockerd.log" 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$WORK/dockerd.pid"
  wait_for 60 "dockerd (see $WORK/dockerd.log)" is_up
}

# In the daemon's mount namespace: hosts, resolv.conf and /etc/docker are its own. The machine sees none of these mounts.
own_etc() {
  set -e
  mount --bind "$1/docker" /etc/docker
  mount --bind "$1/hosts" /etc/hosts
  mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
}

daemon_down() {
  if is_up; then
    engine ps --quiet | xargs --no-run-if-empty docker --host "unix://$SOCKET" kill >/dev/null 2>&1 || true
  fi
  end_process dockerd TERM "$STOP_SECONDS"
  remove_cgroups
  remove_sockets
}

remove_sockets() {
  rm -f "$SOCKET"
  [ "$SOCKETS" = "$WORK" ] || {
    rm -rf "$SOCKETS"
    rmdir --ignore-fail-on-non-empty "$SHORT" "${SHORT%/*}" 2>/dev/null || true
  }
}

# end_process NAME SIGNAL SECONDS: by the recorded pid, and only if that is still the program it was recorded for
end_process() {
  local name=$1 signal=$2 seconds=$3 pid
  pid=$(cat "$WORK/$name.pid" 2>/dev/null) || return 0
  if runs "$pid" "$name"; then
    kill "-$signal" "$pid"
    wait_for "$seconds" "the end of $name ($pid)" ended "$pid" "$name" || {
      kill -KILL "$pid" || true
      wait_for 5 "the end of $name ($pid), killed" ended "$pid" "$name" || true
    }
  fi
  rm -f "$WORK/$name.pid"
}

runs() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }

ended() { ! runs "$@"; }

remove_cgroups() {
  find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$NAMESPACE" -exec find {} -depth -type d -delete \; 2>/dev/null || true
}

# The namespaces are the daemon's; the working directory is kept.
inside() {
  local pid
  # shellcheck disable=SC2153  # NAME is set by engine.sh
  pid=$(cat "$WORK/dockerd.pid" 2>/dev/null) \
    || die "engine $NAME is not up, or is the machine's: then run the command without exec"
  # shellcheck disable=SC2016  # expanded there
  exec nsenter --net="/run/netns/$NAMESPACE" --mount="/proc/$pid/ns/mnt" sh -c 'cd "$1" && shift && exec "$@"' inside "$CALLER" "$@"
}
