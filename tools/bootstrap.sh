#!/bin/sh
# Makes .venv: the blueprint, its locked dependencies and both of this repository's packages (editable).
# Needs Python >= 3.11 with venv or pip; finds uv or puts it into .tools/uv. Does nothing when .venv is current.
set -eu
cd "$(dirname "$0")/.."

lock=requirements/dev.lock
stamp=.venv/.installed
wanted=$(cat "$lock" pyproject.toml components/pyproject.toml | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "Mainstage needs Python 3.11 or newer. Install it (Debian/Ubuntu: apt-get install python3 python3-venv; macOS: brew install python), or name one: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

uv_version=0.13.8
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=.tools/uv/bin/uv
    if [ ! -x "$uv" ]; then
        echo "Setting up uv $uv_version in .tools/uv"
        rm -rf .tools/uv
        if "$python" -m venv .tools/uv >/dev/null 2>&1; then
            .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
        elif "$python" -m pip --version >/dev/null 2>&1; then
            rm -rf .tools/uv
            "$python" -m pip install --quiet --disable-pip-version-check --target .tools/uv "uv==$uv_version"
        else
            echo "Mainstage needs venv or pip for $python. Install one: apt-get install python3-venv (Debian/Ubuntu), or uv itself (https://docs.astral.sh/uv)." >&2
            exit 1
        fi
    fi
fi

echo "Installing the locked dependencies into .venv (once; one or two minutes)"
# A person sees uv's own progress; a log stays short.
if [ -t 2 ]; then quiet=""; else quiet="--quiet"; fi
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    # A seeded environment, because Pulumi's pip toolchain expects pip in it.
    UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --seed --clear --python "$python" .venv
fi
# shellcheck disable=SC2086
"$uv" pip install $quiet --python .venv --compile-bytecode --require-hashes -r "$lock"
"$uv" pip install --quiet --python .venv --no-deps --no-build-isolation -e components -e .
echo "$wanted" >"$stamp"
