#!/bin/sh
# Docker Engine 20.10.24 (28.5.2 does the same): `docker network connect` cuts the connections of a container's published ports if
# the new network's name comes before those that the container is on.
#
# Guess: one more network on a running container adds an interface, and what comes in by its published ports goes on.
# Found: the default gateway, and with it the published ports, belong to the first of a container's networks by name (unless, since
# API 1.48, an endpoint has a GwPriority). Joining "zz" beside "mm" changes nothing. Joining "aa" moves the ports there: a download
# that runs ends at once, as if the server had hung up, and the default route changes. New connections work all the while, so
# that nothing but the broken ones shows it. Who connects a proxy to networks of applications while it serves names its own so
# that it sorts before all of them.
#
#     zz: begin end, default via the gateway of mm
#     aa: begin, default via the gateway of aa
#
# Needs: root, apt-get and Debian bookworm's packages on amd64, iptables, iproute2. Exits 0 if it is still so.
set -eu

if [ "${1-}" != inside ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    (
        cd "$work"
        apt-get -qq download docker.io=20.10.24+dfsg1-1+deb12u1+b6 containerd=1.6.20~ds1-1+deb12u3 \
            runc=1.1.5+ds1-1+deb12u1 busybox-static 2>/dev/null
        for package in ./*.deb; do dpkg -x "$package" root; done
    )
    # A network, processes and mounts of its own: nothing of the machine's is touched.
    unshare --net --mount --pid --fork --kill-child --mount-proc sh "$0" inside "$work"
    exit
fi

work=$2
PATH=$work/root/usr/sbin:$work/root/usr/bin:$PATH
export DOCKER_HOST="unix://$work/docker.sock" HOME="$work"
ip link set lo up
mount -t tmpfs tmpfs /run
dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
    --storage-driver vfs --cgroup-parent "/finding-$$" >"$work/log" 2>&1 &
for _ in $(seq 100); do
    docker version --format '{{.Server.Version}}' 2>/dev/null && break
    sleep 0.2
done

mkdir -p "$work/image/bin"
cp "$work/root/bin/busybox" "$work/image/bin/busybox"
tar -C "$work/image" -c . | docker import - plain:1 >/dev/null
for name in mm zz aa; do docker network create "$name" >/dev/null; done
docker run --detach --name serve --network mm --publish 127.0.0.1:8080:80 plain:1 /bin/busybox sh -c \
    'while :; do busybox nc -l -p 80 -e /bin/busybox sh -c "echo begin; busybox sleep 4; echo end"; done' >/dev/null
sleep 1

heard() { # NETWORK: what a client hears that is connected while the container joins it
    busybox=$work/root/bin/busybox
    "$busybox" nc 127.0.0.1 8080 </dev/null >"$work/heard" 2>/dev/null &
    client=$!
    sleep 1
    docker network connect "$1" serve
    wait "$client" || true
    tr '\n' ' ' <"$work/heard"
    docker exec serve /bin/busybox ip route | sed -n 's/^default via \([0-9.]*\).*/\1/p' >"$work/gateway"
    for name in mm aa; do
        [ "$(docker network inspect --format '{{(index .IPAM.Config 0).Gateway}}' "$name")" != "$(cat "$work/gateway")" ] ||
            echo "$name"
    done
}

late=$(heard zz)
early=$(heard aa)
printf 'zz: %s\naa: %s\n' "$late" "$early"
docker rm --force serve >/dev/null
[ "$late" = "begin end mm" ]
[ "$early" = "begin aa" ]
