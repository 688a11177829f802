# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Images that need no registry: Debian from the machine's mirror.

readonly SUITE=bookworm
readonly BASE_IMAGE=local/python:3.11-slim-$SUITE
readonly HOST_IMAGE=local/systemd-host:$SUITE
readonly CACHE=$ENGINES/.images
readonly HOST_PACKAGES=systemd,systemd-sysv,dbus,python3,ca-certificates,iproute2,procps,curl
# What a container must not do to the machine it shares a kernel with, or cannot.
readonly MASKED=(systemd-udevd.service systemd-modules-load.service systemd-sysctl.service systemd-remount-fs.service
  systemd-logind.service getty.target getty-static.service console-getty.service proc-sys-fs-binfmt_misc.automount
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
  systemd-networkd-wait-online.service)

base() {
  # python3-venv brings pip for environments only: what is installed later goes into one
  local_image "$BASE_IMAGE" python ca-certificates,python3,python3-venv \
    --change 'CMD ["python3"]' --change 'ENV LANG=C.UTF-8'
}

hosts() {
  local_image "$HOST_IMAGE" systemd "$HOST_PACKAGES" \
    --change 'CMD ["/sbin/container-init"]' --change 'ENV container=docker'
}

# local_image TAG KIND PACKAGES IMPORT_OPTION…
local_image() {
  local tag=$1 kind=$2 packages=$3
  shift 3
  is_up || is_foreign || die "engine $NAME is not up. Start it: scripts/engine/engine.sh up $NAME"
  has_image "$tag" && say "$tag is there" && return
  [ -s "$CACHE/$kind.tar" ] || bootstrap "$kind" "$packages"
  engine import "$@" - "$tag" <"$CACHE/$kind.tar" >/dev/null
  say "$tag: $(engine image inspect --format '{{.Size}}' "$tag") bytes"
}

bootstrap() {
  local kind=$1 packages=$2
  need_root
  need_packages
  say "bootstrapping Debian $SUITE ($packages)"
  mkdir -p "$CACHE"
  TMPDIR=$(roomy_folder) mmdebstrap --quiet --variant=minbase --include="$packages" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    ${HOOKS[$kind]:+--customize-hook="${HOOKS[$kind]}"} "$SUITE" "$CACHE/.$kind.tar" "$(mirror)" </dev/null >&2
  mv "$CACHE/.$kind.tar" "$CACHE/$kind.tar"
}

# Memory where there is enough of it: a bootstrap is many small files.
roomy_folder() {
  local free
  free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
  if [ "${free:-0}" -gt 2000000 ]; then echo /dev/shm; else echo "${TMPDIR:-/tmp}"; fi
}

# $1 is the root, which mmdebstrap gives to its hooks.
declare -rA HOOKS=(
  [systemd]="'$PWD/scripts/engine/systemd-host.sh' \"\$1\" ${MASKED[*]}"
)
