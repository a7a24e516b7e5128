#!/bin/sh
# Resolves the locks again. `mainstage` itself is this repository's own package, so it stays out of them.
set -eu
cd "$(dirname "$0")/.."
compile() { .venv/bin/python -m uv pip compile --quiet --universal --generate-hashes --no-header "$@"; }
compile --no-emit-package mainstage pyproject.toml -o requirements/blueprint.lock
compile --no-emit-package mainstage --group dev pyproject.toml -o requirements/dev.lock
# A preset's lock is for the image's Python; its "newer" sibling for machines that have none near it.
for preset in requirements/presets/*.in; do
    case "$preset" in
    *.newer-python.in) compile --python-version 3.13 "$preset" -o "${preset%.in}.lock" ;;
    *) compile --fork-strategy fewest --python-version 3.10 "$preset" -o "${preset%.in}.lock" ;;
    esac
done
