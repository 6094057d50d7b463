#!/bin/sh
# Installs gitdeploy into the data directory of a Git server, upgrades it there, or takes it out again. It writes nothing
# anywhere else but the timer for scheduled jobs (set_tick), and writes there as the owner of the repositories, also when root
# runs it: that user could put a symbolic link in the place of any file, and gains nothing by it.
set -u

usage() {
    cat <<'END'
./install.sh --data DIR --repo OWNER/NAME [--image REF] [--publish HOST:CONTAINER]… [--strategy S] [--container NAME]
    installs or upgrades gitdeploy in DIR/gitdeploy, and has a push to this repository deploy. DIR is what is mounted at
    /data in Gogs' container; for a Gogs on the host, the directory with its custom/conf/app.ini.
./install.sh --data DIR                      upgrades, with the hooks of all repositories that have one
./install.sh --data DIR --all [--image 'REGISTRY/{owner}/{repo}']
    every repository of this Gogs but forks and mirrors, and with an image also those that are made later, by their first
    push; without one, those that config.toml has a table for
./install.sh --data DIR --bare PATH [--repo OWNER/NAME] [--image REF] …    a bare repository that no Gogs keeps
./install.sh --data DIR --uninstall          puts back what was there; running apps, config, history and logs stay
./install.sh --data DIR --uninstall --purge  config, history and logs go, too
./install.sh --demo                          all of it in a temporary directory, to look at

--edge          what certificates for domains need (`gitdeploy help domains`), too; an upgrade keeps it
--no-timer      no systemd timer or cron line, which start what [apps.X.schedule] says, and renew certificates
--wheels DIR    takes the dependencies from files there, made with the Python version that will run them, in this checkout, by:
                pip download -d DIR -c .constraints.txt setuptools docker dulwich toml loguru h2 cronsim acme
--mode direct   the Git server's hook starts the worker (the default): it needs Python and the Docker socket beside it
--mode agent    a container does the work, for a Gogs without either: ./install.sh --mode agent --help
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

checkout=$(cd "$(dirname "$0")" && pwd -P) || exit 3
data='' repo='' bare='' image='' wheels='' mode=direct all='' uninstall='' purge='' demo='' timer=yes edge=''

before=''
for argument; do
    [ "$before $argument" != '--mode agent' ] || exec sh "$checkout/gitdeploy/agent/install.sh" "$@"
    before=$argument
done

# What is left in "$@" is for `gitdeploy enrol`.
left=$#
while [ "$left" -gt 0 ]; do
    option=$1 value=''
    shift
    left=$((left - 1))
    case $option in
        --data | --repo | --bare | --image | --publish | --strategy | --container | --mode | --wheels)
            [ "$left" -gt 0 ] || fail "$option: expected a value, found none" "./install.sh --help" 2
            value=$1
            shift
            left=$((left - 1))
            ;;
    esac
    case $option in
        --data) data=$value ;;
        --repo) repo=$value ;;
        --bare) bare=$value ;;
        --image) image=$value ;;
        --publish | --strategy | --container) set -- "$@" "$option" "$value" ;;
        --mode) mode=$value ;;
        --wheels) wheels=$value ;;
        --all) all=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --no-timer) timer='' ;;
        --edge) edge=edge ;;
        --demo) demo=yes ;;
        --help | -h) usage && exit 0 ;;
        *) fail "$option: no such option" "./install.sh --help" 2 ;;
    esac
done

[ -z "$demo" ] || exec sh "$checkout/gitdeploy/demo/demo.sh" ${wheels:+--wheels "$wheels"}

# check_usage OPTION…: the options for `gitdeploy enrol`.
check_usage() {
    [ -n "$data" ] || fail "--data: expected the data directory of the Git server, found none" "./install.sh --help" 2
    [ "$mode" = direct ] || fail "--mode: expected direct or agent, found $mode" "./install.sh --help" 2
    [ -d "$data" ] || fail "--data: there is no directory $data" "name what is mounted at /data in Gogs' container" 2
    data=$(cd "$data" && pwd -P) || fail "--data: $data may not be entered" "run this as its owner, or as root"
    home=$data/gitdeploy
    if [ -n "$bare" ]; then
        [ -d "$bare/objects" ] || fail "--bare: expected a bare repository, found none at $bare" "git init --bare makes one" 2
        bare=$(cd "$bare" && pwd -P)
        [ -n "$repo" ] || repo=$(basename "$(dirname "$bare")")/$(basename "$bare" .git)
    fi
    [ -z "$repo" ] || [ -z "$all" ] || fail "--all and --repo exclude each other" "choose one" 2
    [ -n "$repo" ] || [ $# = 0 ] || fail "--publish, --strategy and --container are of one repository" "add --repo OWNER/NAME" 2
    [ -n "$repo$all" ] || [ -z "$image" ] || fail "--image is of one repository, or of all" "add --repo OWNER/NAME" 2
    [ -z "$wheels" ] || wheels=$(cd "$wheels" && pwd -P) || fail "--wheels: there is no such directory" "./install.sh --help" 2
    [ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall" "./install.sh --help" 2
}

# step NAME ARGUMENT…: see gitdeploy/cli/installer.py.
step() {
    "$python" -I -B "$checkout/gitdeploy/cli/installer.py" "$@"
}

# find_python: sets $python, a Python that the owner of the repositories may run, and $uid and $gid, that owner.
find_python() {
    bad='there is no Python 3.11 or newer'
    for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3 /usr/local/bin/python3; do
        python=$("$python" -I -c 'import sys; print(sys.executable)' 2>/dev/null) || continue
        if ! "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            bad="$python is $("$python" -V 2>&1), and gitdeploy needs 3.11 or newer"
        elif [ -z "$uninstall" ] && ! "$python" -I -c 'import pip' 2>/dev/null; then
            bad="$python has no pip"
        else
            owner=$(step owner "$data" "$bare") || exit
            uid=${owner% *} gid=${owner#* }
            ! may_run || return 0
            bad="user $uid, who owns the repositories, may not run $python"
        fi
    done
    hint='install Python 3.11 or newer, with pip'
    if command -v apt-get >/dev/null; then
        hint='apt-get install python3 python3-pip (Debian 12, Ubuntu 24.04, or newer)'
    elif command -v apk >/dev/null; then
        hint='apk add python3 py3-pip'
    elif command -v dnf >/dev/null; then
        hint='dnf install python3.11 python3.11-pip'
    fi
    fail "$bad" "$hint"
}

may_run() {
    case $(id -u) in
        0 | "$uid") ;;
        *) fail "the repositories belong to user $uid, and you are user $(id -u)" "run this as that user, or as root" ;;
    esac
    step run "$uid" "$gid" "$python" -I -c '' 2>/dev/null
}

# make_lib DIRECTORY: the package of this checkout with its dependencies.
make_lib() {
    lib=$1
    step requirements "$edge" >"$work/requirements" || exit
    set -- --target "$lib" --requirement "$work/requirements"
    [ ! -e "$checkout/.constraints.txt" ] || set -- "$@" --constraint "$checkout/.constraints.txt"
    [ -z "$wheels" ] || set -- "$@" --no-index --find-links "$wheels"
    if ! "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "$@" >"$work/log" 2>&1; then
        tail -n 15 "$work/log" >&2
        fail "pip cannot install the dependencies" "see its message above; without a network, use --wheels DIR"
    fi
    if ! cp -RL "$checkout/gitdeploy" "$lib" || ! find "$lib/gitdeploy" -name __pycache__ -prune -exec rm -rf {} + ||
        ! "$python" -I -m compileall -q "$lib/gitdeploy" || ! chmod -R a+rX,go-w "$work"; then
        fail "$work cannot be written" "make room there: df -h $work"
    fi
}

imports='import docker, dulwich, toml, loguru, h2, cronsim, gitdeploy'

install_program() {
    if [ -n "$edge" ] || [ -e "$home/lib/acme" ]; then
        edge=edge imports="$imports, acme, josepy, cryptography.x509"
    fi
    version=$(step version) || exit
    lib=''
    # Asks the installed program itself, as the owner: what is damaged is installed again.
    case $(readlink "$home/lib") in
        "lib-$version-"*) step run "$uid" "$gid" env "PYTHONPATH=$home/lib" "$python" -s -P -c "$imports" 2>/dev/null ;;
        *) false ;;
    esac || {
        say "installing the program and its dependencies into $home"
        work=$(mktemp -d) || fail "there is no temporary directory" "set TMPDIR to a directory with room"
        trap 'rm -rf "$work"' EXIT
        trap 'exit 130' HUP INT TERM
        make_lib "$work/lib"
    }
    step setup "$data" "$lib" "$version" "$uid" "$gid" || exit
}

# gitdeploy VERB ARGUMENT…: the installed one, as the owner.
gitdeploy() {
    step run "$uid" "$gid" "$home/bin/gitdeploy" "$@"
}

# refresh_hooks: brings the hooks of all enrolled repositories up to date but $repo's, which is.
refresh_hooks() {
    result=0
    apps=$(step enrolled "$data") || exit
    for app in $apps; do
        [ "$app" = "$(printf %s "$repo" | tr '[:upper:]' '[:lower:]')" ] || gitdeploy enrol "$app" || result=$?
    done
    return "$result"
}

# What starts scheduled jobs: a timer of systemd's or a line of cron's, which looks once a minute whether there is anything to
# look at, and then runs gitdeploy as the owner of the repositories. GITDEPLOY_ROOT is for tests: what is / else.

set_tick() {
    tick=gitdeploy-schedules-$(printf %s "$home" | cksum | cut -d ' ' -f 1)
    units=${GITDEPLOY_ROOT-}/etc/systemd/system/$tick
    line=${GITDEPLOY_ROOT-}/etc/cron.d/$tick
    user=$("$python" -I -c 'import pwd, sys; print(pwd.getpwuid(int(sys.argv[1])).pw_name)' "$uid" 2>/dev/null)
    if [ -z "$timer" ] || [ -n "$uninstall" ]; then
        remove_tick
        return
    fi
    program="$home/bin/gitdeploy schedule --tick"
    [ -z "${DOCKER_HOST-}" ] || program="DOCKER_HOST=$DOCKER_HOST $program"
    case $home${DOCKER_HOST-} in
        *[!A-Za-z0-9/._+:,=@-]*) unset_tick "systemd and cron could mistake a character in: $program" ;;
        *) write_tick ;;
    esac
}

write_tick() {
    if [ "$(id -u)" != 0 ]; then
        command -v crontab >/dev/null || { unset_tick "only root can set up a timer here" && return; }
        own_crontab || { unset_tick "crontab -l: $said" && return; }
        said=$({ printf %s "$lines"; cron_line ''; } | LC_ALL=C crontab - 2>&1) || unset_tick "crontab: $said"
    elif [ -d "${GITDEPLOY_ROOT-}/run/systemd/system" ]; then
        service | put "$units.service"
        printf '%s\n' "# $tick" '[Timer]' 'OnCalendar=*-*-* *:*:00' 'AccuracySec=1s' '' '[Install]' 'WantedBy=timers.target' |
            put "$units.timer"
        { systemctl daemon-reload && systemctl --quiet enable --now "$tick.timer"; } ||
            unset_tick "systemd did not take $units.timer"
    elif [ -d "${line%/*}" ] && { command -v cron || command -v crond; } >/dev/null; then
        if [ -n "$user" ]; then
            cron_line "$user " | put "$line"
        else
            program="setpriv --reuid=$uid --regid=$gid --groups=$gid env $program" # cron knows users by name alone
            cron_line 'root ' | put "$line"
        fi || unset_tick "$line cannot be written"
    else
        unset_tick "neither systemd nor cron runs here"
    fi
}

# own_crontab [OPTION]…: $lines are those of the user's crontab that are not ours; if it fails, $said is why.
own_crontab() {
    if ! lines=$(crontab "$@" -l 2>/dev/null); then
        said=$(LC_ALL=C crontab "$@" -l 2>&1 >/dev/null)
        case $said in
            *'no crontab'* | *"can't open"*'No such file'*) lines='' ;; # the second is busybox's
            *) return 1 ;;
        esac
    fi
    lines=$(printf '%s\n' "$lines" | grep -v "# $tick\$")
    [ -z "$lines" ] || lines="$lines
"
}

# cron_line USER: a line for cron; what it says would be mailed every minute.
cron_line() {
    printf '%s\n' "* * * * * ${1}test ! -e $home/schedules || $program >/dev/null 2>&1 # $tick"
}

# KillMode: a run outlives the look that starts it. LogLevelMax: else the journal tells of every minute.
service() {
    printf '%s\n' "# $tick" '[Unit]' "Description=gitdeploy starts scheduled jobs of $home" "ConditionPathExists=$home/schedules" \
        '' '[Service]' 'Type=oneshot' "User=$uid" "Group=$gid" 'KillMode=process' 'LogLevelMax=err' "ExecStart=/usr/bin/env $program"
}

# put FILE: writes it, unless that is in it already.
put() {
    new=$(cat)
    [ "$(cat "$1" 2>/dev/null)" = "$new" ] || { printf '%s\n' "$new" >"$1" && chmod 644 "$1"; }
}

unset_tick() {
    say "no timer for scheduled jobs ([apps.X.schedule]) and certificates (domains): $1"
    say "    if there are any, have this run every minute: $program"
}

remove_tick() {
    if [ -e "$units.timer" ]; then
        systemctl --quiet disable --now "$tick.timer"
        rm -f "$units.timer" "$units.service"
        systemctl daemon-reload
    fi
    [ ! -e "$line" ] || rm -f "$line"
    set --
    [ "$(id -u)" != 0 ] || set -- -u "${user:-root}" # its owner may have installed it before
    if crontab "$@" -l 2>/dev/null | grep -q "# $tick\$" && own_crontab "$@"; then
        printf %s "$lines" | crontab "$@" - || say "take the line out of the crontab of $user that ends with: # $tick"
    fi
}

check_usage "$@"
find_python

if [ -n "$uninstall" ]; then
    step uninstall "$data" "$purge" "$uid" "$gid" || exit
    set_tick # behind what may be refused: an installation that stays keeps its timer
    rmdir "$home" 2>/dev/null # its owner may not, in a directory of root's
    say "gitdeploy is out of $data; the apps run on"
    exit 0
fi

[ -z "$image" ] || set -- "$@" --image "$image"
[ -z "$bare" ] || set -- "$@" --bare "$bare"
install_program
if [ -n "$all" ]; then
    gitdeploy enrol --all "$@" || exit
elif [ -n "$repo" ]; then
    gitdeploy enrol "$repo" "$@" || exit
fi
refresh_hooks || exit
set_tick
gitdeploy enrol --later || say "until that is put right, no new repository is enrolled by itself; all else is done"
say "gitdeploy is in $home. Look whether everything is right: $home/bin/gitdeploy doctor"
