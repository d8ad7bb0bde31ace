#!/bin/sh
# Makes .venv in the checkout and installs requirements-dev.txt into it.
# Safe to run again: an environment that is already complete is only checked, which takes a second or two.
# PYTHON=python3.12 sh scripts/setup.sh chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

if ! new_enough .venv/bin/python; then
    chosen=
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
        if new_enough "$candidate"; then
            chosen=$candidate
            break
        fi
    done
    if [ -z "$chosen" ]; then
        echo "setup: no Python 3.10 or newer among '${PYTHON:-python3 ... python}':" \
            "install one, or name it with 'make setup PYTHON=/path/to/python3'." >&2
        exit 1
    fi
    echo "setup: making .venv with $("$chosen" --version)"
    # --clear: an environment of an older Python cannot be upgraded in place.
    "$chosen" -m venv --clear .venv || {
        echo "setup: '$chosen -m venv' failed; on Debian and Ubuntu 'apt install python3-venv' brings it." >&2
        rm -rf .venv
        exit 1
    }
fi

echo "setup: checking .venv against requirements-dev.txt (the first time takes a minute or more)"
.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
echo "setup: ready"
