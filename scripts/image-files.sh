#!/usr/bin/env bash
# Lays out the files of the images, as the Dockerfile takes them.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/image-files.sh PROGRAMS OUT

Copies the three programs of the folder PROGRAMS (what scripts/build-programs.sh prints), without symbols, into the
new folder OUT, beside
  root/   what every image has: certificates, names of the user, /tmp
  data/   the folder of the SQLite file
All files get the time SOURCE_DATE_EPOCH (default 0), so that the same programs make the same image.

Needs strip (Debian: binutils) and the certificates of public authorities (Debian: ca-certificates).
TEXT
}

fail() { echo "image-files.sh: $*" >&2; exit 1; }

case "${1:-}" in -h | --help) usage; exit 0 ;; esac
[ $# -eq 2 ] || { usage >&2; exit 2; }
programs=$1
out=$2
authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -e "$out" ] || fail "$out exists"
[ -s "$authorities" ] || fail "$authorities is missing (Debian: apt-get install ca-certificates)"
command -v strip >/dev/null || fail "strip is missing (Debian: apt-get install binutils)"

umask 022
mkdir -p "$out/root/etc/ssl/certs" "$out/root/tmp" "$out/data"
chmod 1777 "$out/root/tmp"
for program in order-food database-migration database-load; do
  [ -x "$programs/$program" ] || fail "$programs has no $program: run scripts/build-programs.sh"
  # Also what a shared library would need is not in the image.
  ! readelf --program-headers "$programs/$program" | grep -q INTERP ||
    fail "$programs/$program is not static: build it with scripts/build-programs.sh"
  install --strip --mode 755 "$programs/$program" "$out/$program"
done
install --mode 644 "$authorities" "$out/root$authorities"
echo 'nonroot:x:65532:65532:nonroot:/data:/sbin/nologin' >"$out/root/etc/passwd"
echo 'nonroot:x:65532:' >"$out/root/etc/group"
# Without this, glibc asks the name servers for localhost, and for what /etc/hosts has.
echo 'hosts: files dns' >"$out/root/etc/nsswitch.conf"
find "$out" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH:-0}" {} +
