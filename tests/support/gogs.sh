#!/bin/sh
# Stands in for the gogs binary in the two roles that Git meets:
#   gogs serv key-1 --config=APP_INI           what sshd runs for a push (cmd/gogs/serv.go)
#   gogs hook --config=APP_INI NAME [ARG]…     what a repository's delegate hooks run (cmd/gogs/hook.go)
# The order of steps, the environment and the messages are those of Gogs 0.14. Its database is a file of lines "ID OWNER NAME".

fail() {  # MESSAGE
    echo "Gogs: $1" >&2
    exit 1
}

serve() {  # DATA, for a client that asks in SSH_ORIGINAL_COMMAND for: git-receive-pack 'Owner/Name.git'
    if [ -z "$SSH_ORIGINAL_COMMAND" ]; then
        echo "Hi there, You've successfully authenticated, but Gogs does not provide shell access." >&2
        exit 0
    fi
    verb=${SSH_ORIGINAL_COMMAND%% *}
    full=$(printf %s "${SSH_ORIGINAL_COMMAND#* }" | tr -d "'" | tr '[:upper:]' '[:lower:]')
    full=${full#/}
    row=$(grep -ix "[0-9]* $(dirname "$full") $(basename "$full" .git)" "$1/gogs/data/repositories") ||
        fail "Repository does not exist or you do not have access"
    id=${row%% *} name=${row##* } owner=${row#* } owner=${owner% *}
    cd "$1/git/gogs-repositories" || fail "Internal error"
    case $verb in
        git-upload-pack | git-upload-archive) exec "$verb" "$full" ;;
        git-receive-pack) ;;
        *) fail "Unknown git command" ;;
    esac
    export SSH_ORIGINAL_COMMAND=1
    export GOGS_AUTH_USER_ID=1 GOGS_AUTH_USER_NAME=alice GOGS_AUTH_USER_EMAIL=alice@example.com
    export GOGS_REPO_OWNER_NAME="$owner" GOGS_REPO_OWNER_SALT_MD5=ceb20772e0c9d240c75eb26b0e37abee
    export GOGS_REPO_ID="$id" GOGS_REPO_NAME="$name" GOGS_REPO_CUSTOM_HOOKS_PATH="$PWD/${full%.git}.git/custom_hooks"
    "$verb" "$full" || fail "Internal error"
}

run_hook() {  # DATA NAME [ARG]…
    [ -n "$SSH_ORIGINAL_COMMAND" ] || exit 0
    data=$1 name=$2
    shift 2
    updates=
    if [ "$name" != update ]; then updates=$(cat); fi
    if [ "$name" = post-receive ]; then
        # Here the real one updates its feeds, then asks its own web server to deliver webhooks and to test pull requests.
        printf '%s\n' "$updates" | while read -r old new ref; do
            echo "Trigger task: $GOGS_REPO_OWNER_NAME/$GOGS_REPO_NAME $old $new $ref" >>"$data/gogs/log/hooks/post-receive.log"
        done
    fi
    custom=$GOGS_REPO_CUSTOM_HOOKS_PATH/$name
    [ -f "$custom" ] || exit 0
    cd "$GOGS_REPO_CUSTOM_HOOKS_PATH/.." || fail "Internal error"
    if [ "$name" = update ]; then
        "$custom" "$@" || fail "Internal error"
    else
        printf '%s\n' "$updates" | "$custom" || fail "Internal error"
    fi
}

role=$1
shift
case $role in
    serv) config=${2#--config=} ;;
    hook) config=${1#--config=} && shift ;;
    *) fail "no such command here: $role" ;;
esac
data=${config%/gogs/conf/app.ini}
case $role in
    serv) serve "$data" ;;
    hook) run_hook "$data" "$@" ;;
esac
