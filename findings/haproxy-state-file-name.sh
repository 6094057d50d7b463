#!/bin/sh
# HAProxy 2.6.12: a state file brings a server back that was given a name over the runtime API: out of maintenance, with its
# weight, and without the name.
#
# Guess: `show servers state`, put where `load-server-state-from-file` finds it, brings servers back as they were: HAProxy marks
# in srv_admin_state (0x40) that a name was set at runtime, and writes it as srv_fqdn.
# Found (Debian's haproxy 2.6.12-1+deb12u4): a server that the file gives an address ("127.0.0.1:1 disabled"), and that was told
# `fqdn`, `state ready` and `weight 77`, comes back with weight 77 and ready, at 127.0.0.1 and without a name: requests go to
# whatever listens at the placeholder. No warning speaks of the name. Write such servers into the configuration itself.
#
#     before: srv_addr=192.0.2.9 admin=68 weight=77 fqdn=backend.example
#     after:  srv_addr=127.0.0.1 admin=4 weight=77 fqdn=-
#
# Needs: apt-get and Debian bookworm's packages on amd64, python3. Exits 0 if it is still so.
set -eu

work=$(mktemp -d)
trap 'kill "$haproxy" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
haproxy=

cd "$work"
apt-get -qq download haproxy=2.6.12-1+deb12u4 liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null
for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
"$work/root/usr/sbin/haproxy" -v | head -1

cat >"$work/haproxy.cfg" <<CFG
global
    stats socket $work/admin level admin
    server-state-file $work/state
defaults
    timeout connect 1s
    timeout client 1m
    timeout server 1m
    load-server-state-from-file global
    default-server init-addr last,none resolvers nobody
resolvers nobody
    nameserver nobody 127.0.0.1:9
backend web
    server one 127.0.0.1:1 disabled
CFG

cat >"$work/ask.py" <<'PYTHON'
import socket
import sys

with socket.socket(socket.AF_UNIX) as admin:
    admin.connect(sys.argv[1])
    admin.sendall(sys.argv[2].encode() + b"\n")
    while answer := admin.recv(65536):
        print(answer.decode(), end="")
PYTHON

begin() {
    "$work/root/usr/sbin/haproxy" -db -f "$work/haproxy.cfg" >"$work/log" 2>&1 &
    haproxy=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        python3 "$work/ask.py" "$work/admin" "show info" >"$work/info" 2>/dev/null && return
        sleep 0.2
    done
    cat "$work/log"
    exit 1
}

told() {
    awk '$1 == "#" { for (i = 2; i <= NF; i++) at[$i] = i - 1 }
        $at["srv_name"] == "one" {
            print "srv_addr=" $at["srv_addr"] " admin=" $at["srv_admin_state"] " weight=" $at["srv_uweight"] \
                " fqdn=" $at["srv_fqdn"]
        }' "$work/state"
}

: >"$work/state"
begin
python3 "$work/ask.py" "$work/admin" \
    "set server web/one addr 192.0.2.9 port 1;set server web/one fqdn backend.example" >/dev/null
python3 "$work/ask.py" "$work/admin" "set server web/one state ready;set server web/one weight 77" >/dev/null
python3 "$work/ask.py" "$work/admin" "show servers state" >"$work/state"
before=$(told)
kill "$haproxy"
wait "$haproxy" || true
begin
python3 "$work/ask.py" "$work/admin" "show servers state" >"$work/state"
after=$(told)
printf 'before: %s\nafter:  %s\n' "$before" "$after"
[ "$before" = "srv_addr=192.0.2.9 admin=68 weight=77 fqdn=backend.example" ]
[ "$after" = "srv_addr=127.0.0.1 admin=4 weight=77 fqdn=-" ]
! grep -i fqdn "$work/log"
