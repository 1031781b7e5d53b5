#!/bin/sh
# Installs Debian packages whose programs are missing. Arguments: PROGRAM:PACKAGE, or /FILE:PACKAGE for a package
# that is known by a file. Only as root on a Debian; otherwise says what is missing and goes on.
# No daemon of a new package is started.
set -u
PATH="$PATH:/usr/sbin:/sbin"
missing=""
for pair in "$@"; do
  what="${pair%%:*}"
  case "$what" in
    /*) [ -e "$what" ] && continue ;;
    *) command -v "$what" >/dev/null 2>&1 && continue ;;
  esac
  missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed, and this user cannot:$missing" >&2
  exit 0
fi
echo "installing$missing" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
log="$(mktemp)"
install() {
  # shellcheck disable=SC2086
  apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >"$log" 2>&1
}
if ! install; then
  apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1
  if ! install; then
    tail -n 20 "$log" >&2
    echo "could not install:$missing" >&2
  fi
fi
rm -f "$log"
exit 0
