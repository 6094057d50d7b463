#!/bin/sh
# What install.sh --mode agent does: builds the agent's image and runs it beside a Git server that has neither Python nor the
# Docker socket. Needs nothing but Docker on this machine. Run again to upgrade: a push that is being deployed then is kept by the
# old agent and done by the new one.
set -u
unset IFS

usage() {
    cat <<'END'
./install.sh --mode agent --data DIR [--repo OWNER/NAME [--image REF] [--publish HOST:CONTAINER]… [--strategy S]]
    DIR is what is mounted at /data in Gogs' container; for a Gogs on the host, the directory with its custom/conf/app.ini.
./install.sh --mode agent --volume NAME …              the same where Gogs' data is in a volume
./install.sh --mode agent --data DIR --all --image 'REGISTRY/{owner}/{repo}'    every repository but forks
./install.sh --mode agent --data DIR --uninstall       takes the hooks out; running apps, config, history and logs stay
./install.sh --mode agent --data DIR --uninstall --purge   config, history and logs go, too

--swarm         on a manager of a Swarm: a service that is pinned to this machine, in place of a plain container; run again
                without it to get the container back
--name NAME     of the agent's container or service, and of its volume: gitdeploy if left out
--base IMAGE    with Python 3.11 or newer and pip, to build the agent's image on: python:3.13-alpine if left out
--wheels DIR    takes the dependencies from files there, made with the Python version that will run them, in this checkout, by:
                pip download -d DIR -c .constraints.txt setuptools docker dulwich toml loguru h2 cronsim acme
END
}

say() {
    printf '%s\n' "$1"
}

# fail MESSAGE WHAT-TO-DO [STATUS]: status 2 for bad usage, 3 for a machine that is not fit.
fail() {
    printf 'install.sh: %s\n' "$1" >&2
    [ -z "$2" ] || printf '    what to do: %s\n' "$2" >&2
    exit "${3:-3}"
}

checkout=$(cd "$(dirname "$0")/../.." && pwd -P) || exit 3
data='' volume='' repo='' image='' name=gitdeploy base='' wheels='' all='' uninstall='' purge='' swarm=''

# What is left in "$@" is for `gitdeploy enrol`.
left=$#
while [ "$left" -gt 0 ]; do
    option=$1 value=''
    shift
    left=$((left - 1))
    case $option in
        --data | --volume | --repo | --image | --publish | --strategy | --container | --mode | --name | --base | --wheels)
            [ "$left" -gt 0 ] || fail "$option: expected a value, found none" "./install.sh --mode agent --help" 2
            value=$1
            shift
            left=$((left - 1))
            ;;
    esac
    case $option in
        --data) data=$value ;;
        --volume) volume=$value ;;
        --repo) repo=$value ;;
        --image) image=$value ;;
        --publish | --strategy | --container) set -- "$@" "$option" "$value" ;;
        --mode | --edge) ;; # the image has what certificates need
        --name) name=$value ;;
        --base) base=$value ;;
        --wheels) wheels=$value ;;
        --all) all=yes ;;
        --swarm) swarm=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --help | -h) usage && exit 0 ;;
        *) fail "$option: no such option of agent mode" "./install.sh --mode agent --help" 2 ;;
    esac
done

# check_usage OPTION…: the options for `gitdeploy enrol`. Sets $data to where the agent finds Gogs' data.
check_usage() {
    [ -z "$data" ] || [ -z "$volume" ] || fail "--data and --volume exclude each other" "choose one" 2
    [ -n "$data$volume" ] || fail "expected --data or --volume, found neither" "./install.sh --mode agent --help" 2
    [ -z "$repo" ] || [ -z "$all" ] || fail "--all and --repo exclude each other" "choose one" 2
    if [ $# -gt 0 ] && [ -z "$repo" ] || [ -n "$image" ] && [ -z "$repo$all" ]; then
        fail "--image, --publish, --strategy and --container are of one repository" "add --repo OWNER/NAME" 2
    fi
    [ -z "$all" ] || [ -n "$image" ] || fail "--all: expected an image, found none" "add --image 'REGISTRY/{owner}/{repo}'" 2
    [ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall" "./install.sh --mode agent --help" 2
    [ -z "$wheels" ] || [ -d "$wheels" ] || fail "--wheels: there is no directory $wheels" "--help says what makes it" 2
    [ -n "$volume" ] || [ -d "$data" ] || fail "--data: there is no directory $data" "name what is mounted at /data in Gogs" 2
    command -v docker >/dev/null || fail "there is no docker command" "install Docker: https://docs.docker.com/engine/install"
    error=$(docker version 2>&1 >/dev/null) || fail "Docker does not answer: $error" "start it, or run this as root"
    node=$(docker info --format '{{.Swarm.NodeID}}' 2>/dev/null)
    [ -z "$(tasks)" ] || is_service ||
        fail "a task of the service $name runs here, and this machine cannot end it: ${said##*daemon: }" \
            "see: docker node ls; on a manager that others reach: docker service rm $name"
    [ -z "$swarm" ] || [ -n "$uninstall" ] || check_swarm
    if [ -n "$volume" ]; then
        docker volume inspect "$volume" >/dev/null 2>&1 || fail "there is no volume $volume" "see: docker volume ls" 2
        data=/data
    else
        data=$(cd "$data" && pwd -P)
    fi
}

# check_swarm: a service can start here. It is asked before anything is built or stopped.
check_swarm() {
    said=$(docker node inspect --format '{{.Spec.Availability}}' self 2>&1) ||
        fail "--swarm: this machine is no manager that can start a service: ${said##*daemon: }" \
            "leave --swarm out for a plain container"
    [ "$said" = active ] ||
        fail "--swarm: this machine takes no tasks: its availability is $said" "docker node update --availability active self"
    ! docker service inspect "$name" >/dev/null 2>&1 || is_service ||
        fail "--swarm: the cluster has a service $name that is not this machine's agent" "choose another name by --name"
}

# is_service: whether the service of that name is this machine's agent: names are the whole cluster's. Sets $said.
is_service() {
    said=$(docker service inspect --format '{{.Spec.TaskTemplate.Placement.Constraints}}' "$name" 2>&1)
    case $said in
        "[node.id==$node]") ;;
        *) return 1 ;;
    esac
}

# tasks [--all]: the containers of the service here.
tasks() {
    docker ps "$@" --quiet --filter "label=com.docker.swarm.service.name=$name"
}

# agent: the container to call the agent in; the cluster gives a task's a name of its own.
agent() {
    tasks | head -n 1 | grep . || printf '%s\n' "$name"
}

build() {
    say "building the agent's image"
    work=$(mktemp -d) || fail "there is no room for temporary files" "make room: df -h /tmp"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    cp -R "$checkout/pyproject.toml" "$checkout/hooks" "$checkout/gitdeploy" "$work" || fail "$work is full" "df -h $work"
    find "$work" -name __pycache__ -prune -exec rm -rf {} +
    set -- --tag "$name" --file "$work/gitdeploy/agent/Dockerfile"
    [ -z "$base" ] || set -- "$@" --build-arg "BASE=$base"
    if [ -n "$wheels" ]; then
        cp -R "$wheels" "$work/wheels" || fail "$work is full" "df -h $work"
        set -- "$@" --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/src
    fi
    if ! docker build "$@" "$work" >"$work/log" 2>&1; then
        tail -n 20 "$work/log" >&2
        fail "the agent's image could not be built" "see above; --base and --wheels build it without Docker Hub and pypi.org"
    fi
}

# bind SOURCE TARGET: a directory or file of this machine, as --mount takes it.
bind() {
    printf 'type=bind,"source=%s","target=%s"' "$1" "$2"
}

# start: replaces the agent.
start() {
    set -- --mount "type=volume,source=$name,target=/var/lib/gitdeploy" --env "GITDEPLOY_DATA=$data"
    if [ -n "$volume" ]; then
        set -- "$@" --mount "type=volume,source=$volume,target=$data"
    else
        set -- "$@" --mount "$(bind "$data" "$data")"
    fi
    config=${data%/*}/config # where app.ini lies with Gitea's rootless image
    [ -n "$volume" ] || [ ! -d "$data/git/repositories" ] || [ ! -f "$config/app.ini" ] ||
        set -- "$@" --mount "$(bind "$config" "$config"),readonly"
    host=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null)}
    host=${host:-unix:///var/run/docker.sock}
    case $host in
        unix://*) set -- "$@" --mount "$(bind "${host#unix://}" /var/run/docker.sock)" ;;
        *) fail "the agent can use a Docker Engine on this machine only, and DOCKER_HOST is $host" "unset DOCKER_HOST" ;;
    esac
    logins=${DOCKER_CONFIG:-${HOME:-/root}/.docker}
    [ ! -d "$logins" ] || set -- "$@" --mount "$(bind "$(cd "$logins" && pwd -P)" /root/.docker),readonly"
    set -- --detach --name "$name" --init --network host "$@"
    call=$name
    retire "replacing the agent that runs"
    if [ -n "$swarm" ]; then
        call="\$(docker ps -qf name=^$name.1.)"
        # By its id the image is this one, and no registry is asked. The cluster ends a task that is not healthy: after 5 minutes,
        # lest a machine that is busy building loses the agent.
        set -- "$@" --no-resolve-image --constraint "node.id==$node" --endpoint-mode dnsrr --restart-condition any \
            --update-order stop-first --stop-grace-period 60s --health-retries 20
        docker service create "$@" "$(docker image inspect --format '{{.Id}}' "$name")" >/dev/null
    else
        docker run --restart always "$@" "$name" >/dev/null
    fi || fail "the agent could not be started" "see Docker's message above"
    tries=0
    until docker exec "$(agent)" test -e "$data/gitdeploy/spool/bell" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then
            [ -z "$swarm" ] || docker service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$name" >&2
            docker logs --tail 15 "$(agent)" >&2
            fail "the agent does not work yet" "see its messages above; it goes on trying: docker logs -f $call"
        fi
        sleep 0.5
    done
    say "the agent runs: docker exec $call gitdeploy status"
}

# retire MESSAGE: ends the agent, container or service, and waits for its end, so that there are never two. It gets a minute to
# leave its deployment in order.
retire() {
    if docker container inspect "$name" >/dev/null 2>&1; then
        say "$1"
        docker stop --time 60 "$name" >/dev/null
        docker rm "$name" >/dev/null || fail "the old container $name cannot be removed" "docker rm --force $name"
    fi
    if is_service; then
        say "$1"
        docker service rm "$name" >/dev/null || fail "the service $name cannot be removed" "docker service rm $name"
    fi
    tries=0
    while [ -n "$(tasks --all)" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 180 ] ||
            fail "the old agent's container does not go away" "docker rm --force $(tasks --all)"
        sleep 0.5
    done
}

remove() {
    if docker container inspect "$name" >/dev/null 2>&1; then
        docker start "$name" >/dev/null
    elif is_service; then
        [ -n "$(tasks)" ] || fail "the service $name has no task that could take the hooks out" "see: docker service ps $name"
    else
        fail "there is no agent named $name" "see: docker ps --all; docker service ls" 2
    fi
    docker exec "$(agent)" gitdeploy remove --all || exit
    docker exec "$(agent)" rm -rf "$data/gitdeploy" || exit
    retire "ending the agent"
    [ -z "$purge" ] || docker volume rm "$name" >/dev/null
    say "gitdeploy is out of $data; what it deployed runs on"
    [ -n "$purge" ] || say "config, history and logs are in the volume $name; --purge removes them"
}

check_usage "$@"
[ -z "$uninstall" ] || { remove && exit; }
build
start
if [ -n "$repo$all" ]; then
    [ -z "$image" ] || set -- --image "$image" "$@"
    docker exec "$(agent)" gitdeploy enrol "${repo:---all}" "$@" || exit
    say "now push to ${repo:-one of them}"
fi
