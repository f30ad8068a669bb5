#!/usr/bin/env bash
# Runs experiments on a borrowed machine: clones the repository, pulls, runs each experiment, and pushes it with its
# results. cloud/sky.yaml starts it; any shell with these variables can, too:
#
#   REPOSITORY    where git clones from and pushes experiments to
#   REVISION      a branch, tag or commit; without it the repository's default branch
#   EXPERIMENTS   an experiment a line, as options of `dvc exp run`: -n higher -S train.lr=3e-5
#   EXTRA         what the DVC remote needs of extras/: s3, gs, azure or ssh
#   GIT_TOKEN     for a repository behind https: git asks for it, and no file holds it
#   FOLDER        of the clone, ~/shelftalk without it
#   VENV          an environment that is set up already; without it `make setup` makes one
#
# An experiment that was interrupted and is started again, here or elsewhere, goes on from SHELFTALK_CHECKPOINTS; one that
# was pushed under its name from this commit is left alone.
set -euo pipefail

: "${REPOSITORY:?where to clone from}" "${EXPERIMENTS:?an experiment a line, as options of dvc exp run}"
rank=${SKYPILOT_NODE_RANK:-0}  # of several machines, which train together; the first has the results
folder=${FOLDER:-$HOME/shelftalk}
git_settings=$(mktemp)
trap 'rm -f "$git_settings"' EXIT

# DVC reads git's global settings alone, so that is where the helper has to be; a file of our own, as this machine may
# have settings already. The helper's single quotes keep the token a variable's name.
set_up_git() {
    export GIT_AUTHOR_NAME=${GIT_AUTHOR_NAME:-borrowed} GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL:-borrowed@localhost}
    export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_TERMINAL_PROMPT=0
    [ -n "${GIT_TOKEN:-}" ] || return 0
    export GIT_CONFIG_GLOBAL=$git_settings
    # shellcheck disable=SC2016
    git config --global credential.helper '!f() { echo username=x-access-token; echo "password=$GIT_TOKEN"; }; f'
}

clone() {
    [ -d "$folder/.git" ] || git clone --quiet "$REPOSITORY" "$folder"
    cd "$folder"
    git fetch --quiet --tags origin
    local revision=${REVISION:-HEAD}
    git checkout --quiet --force --detach "$(git rev-parse --quiet --verify "origin/$revision" || echo "$revision")"
}

# SkyPilot brings uv to each of its machines, and uv a Python where the machine's own is too old.
set_up_packages() {
    local uv=$HOME/.local/bin/uv python=()
    if [ -z "${VENV:-}" ]; then
        if [ -x "$uv" ] && "$uv" python install --quiet 3.11; then
            python=("PYTHON=$("$uv" python find 3.11)")
        fi
        make setup ${EXTRA:+"extra-$EXTRA"} "${python[@]}"
    fi
    export PATH=${VENV:-$PWD/.venv}/bin:$PATH DVC_NO_ANALYTICS=1
}

# The name that an experiment's options give it.
name_of() {
    while [ $# -gt 1 ]; do
        case $1 in -n | --name) echo "$2" && return ;; esac
        shift
    done
}

is_pushed() {
    local names
    names=$(dvc exp list --name-only origin)
    [ -n "$1" ] && grep --quiet --line-regexp --fixed-strings -- "$1" <<< "$names"
}

# Runs an experiment from the commit; a machine that is not the first only trains with the others.
run_experiment() {
    git reset --quiet --hard
    if [ "$rank" = 0 ]; then
        dvc exp run --pull "$@" && dvc exp push --run-cache origin
    else
        dvc exp run --pull "$@" audit && python -m src.stages.train
    fi
}

set_up_git
clone
set_up_packages
dvc pull --quiet --run-cache --allow-missing

failed=0
while IFS= read -r line <&3; do
    mapfile -d '' -t words < <(xargs -r printf '%s\0' <<< "$line")  # quotes as in a shell, but no commands
    [ ${#words[@]} -gt 0 ] || continue
    echo "Experiment: $line"
    if is_pushed "$(name_of "${words[@]}")"; then
        echo "It has run from this commit and is pushed: remove it there, or choose another name, for another run."
        continue
    fi
    run_experiment "${words[@]}" || { echo "Failed: $line" >&2; failed=1; }
done 3<<< "$EXPERIMENTS"
exit $failed
