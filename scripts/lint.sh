#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The gates of a certified collection, without Galaxy, GitHub or a container engine. They run on a copy of the checkout
# under build/tree/ (ansible-test follows symlinks to the real path and would not find a collection there).
# Usage: scripts/lint.sh [ansible-lint|sanity|docs|changelog|shellcheck|hadolint]…   (all by default)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

readonly TREE=$root/build/tree
readonly COLLECTION=$TREE/ansible_collections/diffusion/fleet
readonly FAILED=$TREE/failed
readonly ANSIBLE_TEST_PIP=24.2 # the version that ansible-test of ansible-core 2.19 installs

# A home of its own: nothing of the user's settings is read, and no copy of the collection is left in ~/.ansible.
export HOME=$root/build/home ANSIBLE_HOME=$root/build/home/.ansible
export PATH=$root/.venv/controller/bin:$PATH LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1
unset ANSIBLE_CONFIG PYTHONPATH
python_version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

copy_tree() {
  rm -rf "$COLLECTION"
  mkdir -p "$COLLECTION" "$HOME"
  git ls-files -z --cached --others --exclude-standard \
    | while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done \
    | xargs -0 cp --parents --no-dereference --target-directory "$COLLECTION"
  # A repository of its own: ansible-test asks git for the files, and in this one build/ is ignored.
  git -C "$COLLECTION" init --quiet
}

# The collections that this one builds on come with the pip package `ansible`. Only these: the documentation of every
# collection that is there gets read.
link_dependencies() {
  local bundle name
  bundle=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections
  for name in amazon/aws awx/awx community/aws community/docker community/library_inventory_filtering_v1; do
    mkdir -p "$TREE/ansible_collections/${name%/*}"
    ln -sfn "$bundle/$name" "$TREE/ansible_collections/$name"
  done
}

provide_pip() {
  local cache=$HOME/.ansible/test/cache
  mkdir -p "$cache"
  cp scripts/get_pip.py "$cache/get_pip_${ANSIBLE_TEST_PIP//./_}.py"
  compgen -G "$cache/pip-$ANSIBLE_TEST_PIP-*.whl" >/dev/null \
    || python -m pip download --quiet --no-deps --dest "$cache" "pip==$ANSIBLE_TEST_PIP"
}

in_collection() { (cd "$COLLECTION" && ANSIBLE_COLLECTIONS_PATH=$TREE "$@"); }

sanity() {
  provide_pip
  (cd "$COLLECTION" && ansible-test sanity --local --python "$python_version" --color no)
}

# The pages name a temporary folder of the linter's own. One time in 37 its random name ends in "_", which is a reference
# in reStructuredText, to nothing: then it is asked again, for another name.
documentation() {
  local said status try
  for try in 1 2 3; do
    status=0
    said=$(lint_documentation 2>&1) || status=$?
    grep -q 'Unknown target name: "antsibull-docs-' <<<"$said" || break
    echo "the linter's own folder was taken for a reference, run $try" >&2
  done
  [ -z "$said" ] || printf '%s\n' "$said"
  return "$status"
}

# Without the scan of sys.path: the linter would read the documentation of all 100 collections of the bundle, minutes long.
lint_documentation() {
  ANSIBLE_COLLECTIONS_SCAN_SYS_PATH=false in_collection antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all \
    --disallow-unknown-collection-refs .
}

shell_files() {
  git ls-files -z --cached --others --exclude-standard \
    | xargs -0 grep -lE --max-count=1 '^#!.*\b(ba)?sh\b' | grep -vE '\.(j2|md|py|yml)$'
}

run_phase() {
  case "$1" in
    ansible-lint) in_collection ansible-lint --offline --profile production --strict ;;
    sanity) sanity ;;
    docs) documentation ;;
    changelog) in_collection antsibull-changelog lint ;;
    shellcheck) shell_files | xargs shellcheck --external-sources ;;
    hadolint) hadolint --failure-threshold style worker_app/Dockerfile ;;
    *)
      echo "unknown gate '$1'" >&2
      return 2
      ;;
  esac
}

# Every gate runs, so that one run shows all that is wrong.
run_gates() {
  local gate
  for gate in "$@"; do scripts/timed "$gate" scripts/lint.sh --phase "$gate" || echo "$gate" >>"$FAILED"; done
}

if [ "${1:-}" = --phase ]; then
  run_phase "$2"
else
  [ $# -gt 0 ] || set -- sanity ansible-lint docs changelog shellcheck hadolint
  copy_tree
  link_dependencies
  : >"$FAILED"
  # The first takes longer than the others together, on one processor.
  run_gates "${@:2}" >"$TREE/others.log" 2>&1 &
  run_gates "$1"
  wait
  cat "$TREE/others.log"
  [ ! -s "$FAILED" ] || {
    echo "error: failed: $(paste -sd, "$FAILED")" >&2
    exit 1
  }
fi
