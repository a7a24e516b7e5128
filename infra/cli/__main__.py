"""`python -m infra.cli` is `mainstage`."""

from infra.cli import main

main()
