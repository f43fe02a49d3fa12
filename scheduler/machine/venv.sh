#!/bin/sh
# Finds a Python that TensorFlow has wheels for and lets it build .venv: venv.sh LOCK STAMP...
set -eu
here=$(dirname "$0")

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

say_why_not() {
    if ! command -v "$1" >/dev/null 2>&1; then
        found="there is no $1"
    else
        found="found: $("$1" --version 2>&1 || true)"
    fi
    echo "recsweep needs Python 3.11, 3.12 or 3.13; $found. Install one, or name it: make PYTHON=/path/to/python3.12" >&2
    exit 2
}

if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || say_why_not "$PYTHON"
    exec "$PYTHON" -I "$here/build_venv.py" "$@"
fi
for python in python3 python3.13 python3.12 python3.11; do
    if fits "$python"; then
        exec "$python" -I "$here/build_venv.py" "$@"
    fi
done
say_why_not python3
