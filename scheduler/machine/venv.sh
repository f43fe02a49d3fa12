#!/bin/sh
# Builds .venv from a lock file: venv.sh LOCK STAMP. Chooses a Python that TensorFlow has wheels for.
set -eu
lock=$1
stamp=$2

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

if [ ! -x .venv/bin/python ]; then
    chosen=
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if fits "$python"; then
            chosen=$python
            break
        fi
    done
    if [ -z "$chosen" ]; then
        found=$("${PYTHON:-python3}" --version 2>&1 || true)
        echo "recsweep needs Python 3.11, 3.12 or 3.13; found: ${found:-none}. Install one, or name it: make PYTHON=/path/to/python3.12" >&2
        exit 2
    fi
    echo "Building .venv with $("$chosen" --version)"
    if ! "$chosen" -m venv .venv; then
        rm -rf .venv
        echo "Cannot build a virtual environment with $chosen: install its venv module (Debian: apt-get install python3-venv) or name another: make PYTHON=/path/to/python3.12" >&2
        exit 2
    fi
fi
echo "Installing $lock (TensorFlow is large: a minute or two)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$lock"
touch "$stamp"
