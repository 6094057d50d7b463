#!/bin/sh
# What install.sh --demo does: the whole way of a push, for real, in a temporary directory. A Docker Engine (the one that answers,
# else a private one), a registry, a data directory shaped like Gogs', a small Python app, and two versions of it by `git push`.
# In the end, or at Ctrl-C, all of it is removed again; Debian packages that had to be installed stay.
set -u
unset IFS

app=gitdeploy-demo/dev-app
container=gitdeploy-demo
base=gitdeploy-demo/python:1
bridge=gitdeploy-demo
here=$(cd "$(dirname "$0")" && pwd -P)
checkout=$(cd "$here/../.." && pwd -P)
engine='' registry='' rules='' started=''

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# fail MESSAGE WHAT-TO-DO
fail() {
    printf 'install.sh --demo: %s\n    what to do: %s\n' "$1" "$2" >&2
    exit 3
}

# --- what the demo needs ---------------------------------------------------------------------------------------------------

# A command that is needed, and the Debian package to take if it is missing.
needs='
dockerd docker.io
docker docker.io
docker-registry docker-registry
busybox busybox-static
git git
curl curl
ip iproute2
iptables-save iptables
'

install_packages() {
    missing=$(printf %s "$needs" | while read -r command package; do
        [ -z "$command" ] || command -v "$command" >/dev/null || echo "$package"
    done | sort -u)
    /usr/bin/python3 -c 'import pip' 2>/dev/null || missing="$missing python3-pip"
    # shellcheck disable=SC2086 # words
    set -- $missing
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing: $*" "install these; the demo can do so on Debian only"
    say "Installing $*"
    # Debian starts the services of a package unless this file says 101 (invoke-rc.d(8)).
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
        own_policy=yes
    fi
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get update --quiet=2 </dev/null &&
        apt-get install --quiet=2 --yes --no-remove --no-install-recommends "$@" </dev/null >/dev/null
    result=$?
    [ -z "${own_policy:-}" ] || rm -f "$policy"
    [ "$result" = 0 ] || fail "apt-get could not install $*" "see its message above"
}

# await SECONDS COMMAND…: until the command succeeds.
await() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

start_engine() {
    if docker version >/dev/null 2>&1; then
        say "Using the Docker Engine that is here ($(docker version --format '{{.Server.Version}}'))"
        return
    fi
    say "Starting a Docker Engine for the demo"
    rules=$work/iptables
    iptables-save >"$rules" || rules=''
    if ! { ip link add "$bridge" type bridge && ip address add 10.213.213.1/24 dev "$bridge" && ip link set "$bridge" up; }; then
        fail "no network bridge can be made" "run this on a machine of its own, not in a container without privileges"
    fi
    DOCKER_HOST=unix://$work/docker.sock
    export DOCKER_HOST
    printf '{}\n' >"$work/daemon.json"
    dockerd --config-file="$work/daemon.json" --data-root="$work/docker" --exec-root="$work/docker-run" --bridge="$bridge" \
        --pidfile="$work/docker.pid" --host="$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
    engine=$!
    await 60 docker version || { tail -n 5 "$work/dockerd.log" >&2 && fail "the Docker Engine does not start" "see above"; }
    echo "Docker Engine $(docker version --format '{{.Server.Version}}') at $DOCKER_HOST"
}

# free_port: a TCP port of 127.0.0.1 that nothing listens on.
free_port() {
    /usr/bin/python3 -I -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_registry() {
    registry_port=$(free_port)
    {
        echo 'version: 0.1'
        echo 'log: { level: error, accesslog: { disabled: true } }'
        echo "storage: { filesystem: { rootdirectory: '$work/registry' } }"
        echo "http: { addr: '127.0.0.1:$registry_port' }"
    } >"$work/registry.yml"
    docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    registry=$!
    await 10 curl -fs "http://127.0.0.1:$registry_port/v2/" || fail "the registry does not start" "see $work/registry.log"
    echo "a registry listens on 127.0.0.1:$registry_port"
}

# The machine's own Python and busybox as a base image: no registry has to be reached for it.
make_base_image() {
    python=$(basename "$(readlink -f /usr/bin/python3)")
    root=$work/base
    mkdir -p "$root/bin" "$root/usr/bin" "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    {
        dpkg -L "$python-minimal" "lib$python-minimal" "lib$python-stdlib"
        find "/usr/lib/$python/lib-dynload" "/usr/bin/$python" -type f -exec ldd {} + 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
        echo /lib64/ld-linux-x86-64.so.2
        echo /lib/ld-linux-aarch64.so.1
    } | sort -u | while read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done >"$work/files"
    tar --create --dereference --files-from="$work/files" --exclude='*/test/*' --exclude='/usr/share/*' \
        --file=- 2>/dev/null | tar --extract --directory="$root" --file=- 2>/dev/null
    ln -s "$python" "$root/usr/bin/python3"
    tar --create --directory="$root" --file=- . | docker import --change 'ENV PATH=/usr/bin:/bin' - "$base" >/dev/null ||
        fail "the base image cannot be made" "see above"
}

# --- a data directory as Gogs keeps it -------------------------------------------------------------------------------------

make_gogs() {
    data=$work/data
    repository=$data/git/gogs-repositories/$app.git
    mkdir -p "$data/gogs/conf" "$data/gogs/log/hooks" "${repository%/*}"
    printf '[repository]\nROOT = /data/git/gogs-repositories\n' >"$data/gogs/conf/app.ini"
    git init --quiet --bare --initial-branch=main "$repository"
    rm -rf "$repository/hooks"
    mkdir "$repository/hooks"
    # Gogs' own hook calls the gogs binary, which runs the custom hook; here a shell script stands in for the binary.
    printf '#!/usr/bin/env sh\n"%s" hook --config="%s" post-receive\n' "$data/gogs/gogs" "$data/gogs/conf/app.ini" \
        >"$repository/hooks/post-receive"
    printf '#!/bin/sh\n[ ! -x custom_hooks/post-receive ] || custom_hooks/post-receive\n' >"$data/gogs/gogs"
    chmod 755 "$repository/hooks/post-receive" "$data/gogs/gogs"
}

# release VERSION: commits it and pushes, in the environment that Gogs gives its hooks.
release() {
    echo "$1" >"$work/clone/VERSION"
    git -C "$work/clone" add --all
    git -C "$work/clone" -c user.name=Alice -c user.email=alice@example.com commit --quiet --message "Release $1"
    say "\$ git push        # version $1"
    GOGS_AUTH_USER_NAME=alice GOGS_REPO_ID=1 SSH_ORIGINAL_COMMAND=1 git -C "$work/clone" push "$repository" main ||
        fail "git push failed" "see above"
    started=yes
    await 10 answers "$1" || fail "http://127.0.0.1:$port does not answer with version $1" "see what the push said above"
    printf '\n$ curl http://127.0.0.1:%s\n' "$port"
    curl -s "http://127.0.0.1:$port"
}

answers() { curl -s -m 1 "http://127.0.0.1:$port" | grep -qF "$1"; }

look_around() {
    say "$app 0.0.2 runs. Tags in the registry:"
    curl -s "http://127.0.0.1:$registry_port/v2/$app/tags/list"
    say "Deployments:"
    "$data/gitdeploy/bin/gitdeploy" history "$app"
    say "Look around:"
    cat <<END
    curl http://127.0.0.1:$port
    $data/gitdeploy/bin/gitdeploy status        # also: logs $app, rollback $app, doctor
    cat $data/gitdeploy/config.toml
    ${engine:+DOCKER_HOST=$DOCKER_HOST }docker ps
    cd $work/clone                    # edit, raise VERSION, commit, then:
    git push $repository main
END
}

# shellcheck disable=SC2317 # called by a trap
clean_up() {
    trap '' INT TERM HUP
    [ -z "$started" ] || printf '\nRemoving the demo.\n'
    docker rm --force "$container" >/dev/null 2>&1
    if [ -z "$engine" ]; then # an engine that is not the demo's: leave nothing there
        docker images --quiet --filter "label=gitdeploy.app=$app" | sort -u | xargs -r docker rmi --force >/dev/null 2>&1
        docker rmi "$base" >/dev/null 2>&1
    else
        kill "$engine" && wait "$engine"
        umount "$work/docker-run/netns/default" "$work/docker"/*/* 2>/dev/null
        [ -z "$rules" ] || iptables-restore <"$rules"
        ip link delete "$bridge"
    fi
    [ -z "$registry" ] || kill "$registry"
    rm -rf "$work"
}

[ "$(id -u)" = 0 ] || fail "the demo starts servers and may install packages: it has to be run by root" "sudo ./install.sh --demo"
[ -r /etc/debian_version ] || fail "this is no Debian" "install gitdeploy itself: ./install.sh --help"
work=$(mktemp -d "${TMPDIR:-/tmp}/gitdeploy-demo-XXXXXX") || exit 3
chmod 755 "$work"
install_packages
# Neither the person's git nor pip settings change what the demo does.
GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM
if docker container inspect "$container" >/dev/null 2>&1; then
    rm -rf "$work"
    fail "there is a container $container already: another demo?" "end that one, or: docker rm -f $container"
fi
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
start_engine
start_registry
make_base_image
make_gogs
port=$(free_port)
say "\$ ./install.sh --data DIR --repo $app --image 127.0.0.1:$registry_port/$app --publish 127.0.0.1:$port:80"
"$checkout/install.sh" --data "$data" --repo "$app" --image "127.0.0.1:$registry_port/$app" --container "$container" \
    --publish "127.0.0.1:$port:80" || exit
git init --quiet --initial-branch=main "$work/clone"
cp "$here"/app/* "$work/clone"
release 0.0.1
release 0.0.2
look_around
if [ -t 0 ] && [ -t 1 ]; then
    printf '\nEverything stays until you press Enter here. '
    read -r _
fi
