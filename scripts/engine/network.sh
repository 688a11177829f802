# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The engine's network: a namespace with a way out through slirp4netns, and the names of registries in it.

readonly RESOLVER=10.0.2.3 # of slirp4netns: asks the machine's own
readonly CHAIN=FLEET-TRUST
readonly HOSTS_SECONDS=5.1 # Go programs, such as dockerd, look at /etc/hosts every 5 s at most

namespace_exists() { ip netns list | awk '{ print $1 }' | grep -qx "$NAMESPACE"; }

prepare_folder() {
  mkdir -p "$WORK/etc/docker/certs.d" "$WORK/config" "$WORK/bin" "$SOCKETS"
  rm -rf "$WORK/etc/docker/certs.d/"*
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$WORK/etc/hosts"
  printf 'nameserver %s\n' "$RESOLVER" >"$WORK/etc/resolv.conf"
}

# What a killed engine left. A namespace in which somebody else's processes live is not touched.
clear_leftovers() {
  own_down
  ! namespace_exists || die "the network namespace $NAMESPACE belongs to another checkout's engine: choose another NAME"
}

network_up() {
  touch "$WORK/namespace" # it is ours
  one_by_one ip netns add "$NAMESPACE"
  ip -n "$NAMESPACE" link set lo up
  # Not --disable-host-loopback: local_aws and its registry listen on this machine's 127.0.0.1.
  setsid slirp4netns --netns-type=path --configure --mtu=65520 "/run/netns/$NAMESPACE" tap0 \
    >"$WORK/slirp4netns.log" 2>&1 </dev/null 9>&- &
  printf '%s\n' $! >"$WORK/slirp4netns.pid"
  wait_for 20 "the network of $NAMESPACE (see $WORK/slirp4netns.log)" has_address
}

has_address() { ip -n "$NAMESPACE" -4 addr show dev tap0 | grep -q 'inet '; }

network_down() {
  end_process slirp4netns TERM 10
  if [ -e "$WORK/namespace" ] && namespace_exists; then
    end_members
    one_by_one delete_namespace
  fi
  rm -f "$WORK/namespace"
}

# With the last namespace goes the mount that `ip netns` put over its folder.
delete_namespace() {
  ip netns del "$NAMESPACE"
  [ -n "$(ls /run/netns)" ] || umount /run/netns 2>/dev/null || true
}

# What outlived the daemon in its namespace: containerd and shims, when the daemon was killed.
end_members() {
  local pids
  pids=$(ip netns pids "$NAMESPACE")
  [ -z "$pids" ] || {
    # shellcheck disable=SC2086  # a list of numbers
    kill -KILL $pids 2>/dev/null || true
    wait_for 10 "the last processes of $NAMESPACE" no_members
  }
}

no_members() { [ -z "$(ip netns pids "$NAMESPACE")" ]; }

# trust HOST PORT CA_FILE
trust() {
  local host=$1 port=$2 authority=$3
  ! is_foreign || die "'trust' needs an engine of its own, and $NAME is the machine's." \
    "Start one as root: engine.sh down $NAME; FLEET_ENGINE=own engine.sh up $NAME"
  is_up || die "engine $NAME is not up"
  [[ $host =~ ^[a-z0-9][a-z0-9.-]*$ ]] || die "HOST '$host' is not a host name"
  [[ $port =~ ^[0-9]{1,5}$ ]] || die "PORT '$port' is not a port"
  case "$authority" in /*) ;; *) authority=$CALLER/$authority ;; esac
  [ -s "$authority" ] || die "CA_FILE '$authority' is not there"
  mkdir -p "$WORK/etc/docker/certs.d/$host"
  cp "$authority" "$WORK/etc/docker/certs.d/$host/ca.crt"
  name_gateway "$host"
  redirect "$port"
  say "engine $NAME: https://$host is 127.0.0.1:$port of this machine"
}

# In place: the file is a mount in the engine's namespace, and a new file would not be seen there.
name_gateway() {
  grep -q " $1\$" "$WORK/etc/hosts" && return
  printf '%s %s\n' "$GATEWAY" "$1" >>"$WORK/etc/hosts"
  sleep "$HOSTS_SECONDS"
}

# Port 443 of the gateway is the registry's port, for the engine (OUTPUT) and for its containers (PREROUTING).
redirect() {
  local port=$1 hook
  nat -N "$CHAIN" 2>/dev/null || nat -F "$CHAIN"
  nat -A "$CHAIN" -d "$GATEWAY" -p tcp --dport 443 -j DNAT --to-destination "$GATEWAY:$port"
  for hook in OUTPUT PREROUTING; do
    nat -C "$hook" -j "$CHAIN" 2>/dev/null || nat -I "$hook" -j "$CHAIN"
  done
}

nat() { nsenter --net="/run/netns/$NAMESPACE" iptables -w -t nat "$@"; }
