#!/bin/sh
# ./install.sh --demo: everything gitdeploy does, in a temporary directory: a data directory as Gogs has it, a registry, an app,
# two pushes. Takes the Docker Engine that answers, else starts one of its own; removes all of it at the end.
#
#   demo.sh [--wheels DIR]      the option is passed on to install.sh
set -u
checkout=$(cd "$(dirname "$0")/../.." && pwd -P) || exit 3
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
app=demo/dev-app container=gitdeploy-demo dir='' engine='' registry='' bridge='' policy=''

say() {  # TEXT: bold where somebody sees it
    if [ -t 1 ]; then
        printf '\n\033[1m%s\033[0m\n' "$1"
    else
        printf '\n%s\n' "$1"
    fi
}

fail() {
    printf 'demo: %s\n    what to do: %s\n' "$1" "$2" >&2
    exit 3
}

clean_up() {
    trap '' EXIT HUP INT TERM
    [ -z "$policy" ] || rm -f "$policy"
    [ -n "$dir" ] || exit
    say "Removing all of it"
    [ ! -x "$dir/data/gitdeploy/bin/gitdeploy" ] || "$checkout/install.sh" --data "$dir/data" --uninstall --purge >/dev/null
    if [ -z "$engine" ]; then
        # shellcheck disable=SC2046 # a list
        docker rm --force --volumes $(docker ps --all --quiet --filter "label=gitdeploy.app=$app") >/dev/null 2>&1
        # shellcheck disable=SC2046 # a list
        docker rmi --force $(docker images --quiet --filter "label=gitdeploy.app=$app") gitdeploy-demo/python >/dev/null 2>&1
    else
        stop_engine
    fi
    [ -z "$registry" ] || kill "$registry"
    [ -z "$bridge" ] || ip link delete "$bridge"
    rm -rf "$dir"
}

# install PACKAGE…: Debian's, without starting their services, now or with the machine.
install() {
    [ "$(id -u)" = 0 ] || fail "these packages are missing: $*" "as root: apt-get install $*"
    command -v apt-get >/dev/null || fail "these programs are missing: $*" "install them; only on Debian and Ubuntu this can do it"
    say "Installing $*"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2 </dev/null
    apt-get install --quiet=2 --yes --no-remove --no-install-recommends "$@" </dev/null >/dev/null ||
        fail "apt-get could not install $*" "see its message above"
    [ -z "$policy" ] || rm -f "$policy"
    policy=''
    [ ! -d /run/systemd/system ] || for service; do
        case $service in
            docker.io) systemctl --quiet disable docker.service docker.socket containerd.service ;;
            docker-registry) systemctl --quiet disable docker-registry.service ;;
        esac
    done
}

install_programs() {
    set --
    command -v docker >/dev/null && docker version >/dev/null 2>&1 || command -v dockerd >/dev/null || set -- docker.io
    command -v docker >/dev/null || ! apt-cache show docker-cli >/dev/null 2>&1 || set -- "$@" docker-cli
    command -v docker-registry >/dev/null || set -- "$@" docker-registry
    command -v git >/dev/null || set -- "$@" git
    command -v curl >/dev/null || set -- "$@" curl
    command -v ip >/dev/null || set -- "$@" iproute2
    /usr/bin/python3 -c 'import pip' 2>/dev/null || set -- "$@" python3 python3-pip
    [ $# = 0 ] || install "$@"
}

# free_port WISH: that port of this machine, or another one if it is taken.
free_port() {
    /usr/bin/python3 -c 'import socket, sys
for port in (int(sys.argv[1]), 0):
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            continue
        print(probe.getsockname()[1])
        break' "$1"
}

# An engine with everything in our directory, that leaves the firewall and the network of this machine as they are.
start_engine() {
    [ "$(id -u)" = 0 ] || fail "no Docker Engine answers, and only root can start one" "run this as root, or start Docker"
    say "No Docker Engine answers: starting one in $dir"
    ip link add gd-demo type bridge || fail "the network bridge gd-demo cannot be made" "does another demo run? ip link delete gd-demo"
    bridge=gd-demo
    ip address add 10.213.97.1/24 dev "$bridge"
    ip link set "$bridge" up
    export DOCKER_HOST="unix://$dir/docker.sock"
    dockerd --data-root "$dir/docker" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" --host "$DOCKER_HOST" \
        --bridge "$bridge" --iptables=false --ip-forward=false --containerd-namespace gitdeploy-demo \
        --containerd-plugins-namespace gitdeploy-demo-plugins >"$dir/dockerd.log" 2>&1 &
    engine=$!
    wait_for "$engine" docker version || fail "the engine does not start: $(tail -n 1 "$dir/dockerd.log")" "see $dir/dockerd.log"
}

# Stops it with its containers, and what it leaves behind if it could not start.
stop_engine() {
    kill "$engine" 2>/dev/null
    wait "$engine" 2>/dev/null
    [ ! -e "$dir/exec/containerd/containerd.pid" ] || kill "$(cat "$dir/exec/containerd/containerd.pid")" 2>/dev/null
    grep -o " $dir/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount "$mount"; done
}

start_registry() {
    registry_port=$(free_port 5000)
    say "Starting a registry on 127.0.0.1:$registry_port"
    cat >"$dir/registry.yml" <<END
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $dir/registry } }
http: { addr: 127.0.0.1:$registry_port }
END
    docker-registry serve "$dir/registry.yml" >"$dir/registry.log" 2>&1 &
    registry=$!
    wait_for "$registry" curl --silent --fail "http://127.0.0.1:$registry_port/v2/" ||
        fail "the registry does not start: $(tail -n 1 "$dir/registry.log")" "see the message"
}

# wait_for PROCESS COMMAND…: until the command succeeds; fails when the process ends or half a minute passes.
wait_for() {
    process=$1
    shift
    tries=150
    until "$@" >/dev/null 2>&1; do
        kill -0 "$process" 2>/dev/null && [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.2
    done
}

# What is there under the demo's names would be taken over, and removed at the end.
require_free_names() {
    found=$(docker ps --all --quiet --filter "name=^/$container\$" && docker ps --all --quiet --filter "label=gitdeploy.app=$app")
    [ -z "$found" ] || fail "there are containers of another demo" "end it, or: docker rm --force $(echo "$found" | sort -u | xargs)"
}

# The base image: this machine's Python and the libraries it loads.
make_base_image() {
    say "Making a base image of this machine's Python"
    python=$(readlink -f /usr/bin/python3)
    name=${python##*/}
    {
        dpkg -L "$name-minimal" "lib$name-minimal" "lib$name-stdlib" | grep -v -e /share/ -e /lib-dynload/
        ldd "$python" | grep -o '/[^ ]*'
        echo /usr/bin/python3
    } | sort --unique >"$dir/files"
    tar --create --dereference --no-recursion --files-from "$dir/files" 2>/dev/null |
        docker import - gitdeploy-demo/python >/dev/null || fail "the base image cannot be made" "see the message above"
}

make_repository() {
    say "Making a data directory as Gogs has it, with the repository $app"
    mkdir -p "$dir/data/gogs/conf" "$dir/data/git/gogs-repositories"
    printf '[repository]\nROOT = /data/git/gogs-repositories\n' >"$dir/data/gogs/conf/app.ini"
    cp "$checkout/gitdeploy/demo/gogs" "$dir/gogs"
    repository=$dir/data/git/gogs-repositories/$app.git
    git init --quiet --bare "$repository"
    git --git-dir "$repository" symbolic-ref HEAD refs/heads/main
    rm -f "$repository"/hooks/*
    printf '#!/usr/bin/env sh\n"%s" hook --config=%s post-receive\n' "$dir/gogs" "'$dir/data/gogs/conf/app.ini'" \
        >"$repository/hooks/post-receive"
    chmod 755 "$dir/gogs" "$repository/hooks/post-receive"

    cp -R "$checkout/gitdeploy/demo/app" "$dir/clone"
    cd "$dir/clone" || exit
    git init --quiet
    git symbolic-ref HEAD refs/heads/main
    git config user.name Alice
    git config user.email alice@example.com
    git config core.sshCommand "$dir/gogs"
    git config ssh.variant simple
    git remote add origin "git@gogs:$app.git"
}

# release VERSION: what a developer does.
release() {
    say "\$ echo $1 >VERSION && git commit -am 'Release $1' && git push"
    echo "$1" >VERSION
    git add --all && git commit --quiet --message "Release $1" && git push --set-upstream origin main || exit
    say "\$ curl http://127.0.0.1:$port"
    curl --silent --show-error "http://127.0.0.1:$port" || exit
}

look_around() {
    printf '\nLook around, in another terminal:\n\n'
    [ -z "$engine" ] || echo "    export DOCKER_HOST=$DOCKER_HOST"
    cat <<END
    curl http://127.0.0.1:$port
    $gitdeploy status
    $gitdeploy logs $app
    $gitdeploy rollback $app
    docker ps
    cat $dir/data/gitdeploy/config.toml
    cd $dir/clone && echo 0.0.3 >VERSION && git commit -am 'Release 0.0.3' && git push

END
    if [ -t 0 ]; then
        printf 'Press Enter to remove all of it. '
        read -r _
    fi
}

trap clean_up EXIT
trap 'exit 130' HUP INT TERM
install_programs
dir=$(mktemp -d "${TMPDIR:-/tmp}/gitdeploy-demo.XXXXXX") || exit 3
docker version >/dev/null 2>&1 || start_engine
require_free_names
start_registry
make_base_image
make_repository

say "Installing gitdeploy"
port=$(free_port 8080)
gitdeploy=$dir/data/gitdeploy/bin/gitdeploy
echo "\$ ./install.sh --data $dir/data --repo $app --container $container --image 127.0.0.1:$registry_port/dev-app --publish $port:80"
"$checkout/install.sh" --no-timer --data "$dir/data" --repo "$app" --container "$container" \
    --image "127.0.0.1:$registry_port/dev-app" --publish "$port:80" "$@" || exit

release 0.0.1
release 0.0.2

say "\$ curl http://127.0.0.1:$registry_port/v2/dev-app/tags/list"
curl --silent --show-error "http://127.0.0.1:$registry_port/v2/dev-app/tags/list"
say "\$ gitdeploy history $app"
"$gitdeploy" history "$app"
look_around
