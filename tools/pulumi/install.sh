#!/bin/sh
# Makes .tools/bin/pulumi: the one on PATH when it is new enough and has its Python language host, else the pinned CLI,
# built from its published Go module, with the language host of this folder beside it. Says nothing when it is there.
set -eu
cd "$(dirname "$0")/../.."

version=3.259.0
bin=.tools/bin
built=.tools/pulumi/$version

say() { printf '%s\n' "$*"; }

# $1 >= $2, both a.b.c
at_least() {
    awk -v have="$1" -v want="$2" 'BEGIN {
        split(have, h, "."); split(want, w, ".")
        for (i = 1; i <= 3; i++) if (h[i] + 0 != w[i] + 0) exit !(h[i] + 0 > w[i] + 0)
        exit 0
    }'
}

version_of() { PULUMI_SKIP_UPDATE_CHECK=1 "$1" version 2>/dev/null | sed 's/^v//; s/[-+].*//'; }

# Links to a pulumi, and says so when it was another one, or none, before.
use() {
    [ "$(readlink "$bin/pulumi" || true)" != "$1" ] || return 0
    ln -sfn "$1" "$bin/pulumi"
    say "$bin/pulumi: pulumi $2"
}

# A link to the person's own pulumi: the engine looks for its language hosts beside the program that the link leads to.
use_installed() {
    found=$(PATH=$(printf %s "$PATH" | tr ':' '\n' | grep -v "/$bin\$" | paste -sd: -) command -v pulumi || true)
    [ -n "$found" ] || return 1
    have=$(version_of "$found")
    if [ -z "$have" ] || ! at_least "$have" "$version"; then
        say "pulumi ${have:-of an unknown version} at $found is older than $version and not used"
        return 1
    fi
    if ! [ -x "$(dirname "$(readlink -f "$found")")/pulumi-language-python" ] && ! command -v pulumi-language-python >/dev/null; then
        say "pulumi $have at $found has no Python language host and is not used"
        return 1
    fi
    use "$found" "$have, your own at $found"
}

build() {
    if ! command -v go >/dev/null 2>&1; then
        cat >&2 <<EOF
This needs the Pulumi CLI, $version or newer, and finds neither it nor Go 1.26 to build it with. Install one of them:
  Pulumi:  https://www.pulumi.com/docs/iac/download-install (macOS: brew install pulumi)
  Go:      https://go.dev/dl
then run make pulumi again. Everything but the engine's own tests and rehearsals works without it.
EOF
        return 1
    fi
    if [ ! -x "$built/pulumi" ]; then
        say "Building pulumi $version from its Go module (once; four to ten minutes, 2 GB of Go's caches)"
        rm -rf "$built.partial"
        mkdir -p "$built.partial"
        out=$PWD/$built.partial
        (
            cd tools/pulumi
            export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-trimpath -mod=readonly"
            go build -tags osusergo,grpcnotrace -o "$out/pulumi" \
                -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v$version" \
                github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
            sdk=$(go list -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)
            install -m 0755 "$sdk/python/cmd/pulumi-language-python-exec" "$out/"
        )
        rm -rf "$built"
        mv "$built.partial" "$built"
    fi
    # Whole at any moment: an engine may be starting it.
    cat >"$built/pulumi-language-python.partial" <<EOF
#!/bin/sh
export MAINSTAGE_PULUMI_ENGINE=\$PPID
export MAINSTAGE_PULUMI_EXECUTOR="$PWD/$built/pulumi-language-python-exec"
exec "$PWD/.venv/bin/python" "$PWD/tools/pulumi/language_host.py" "\$@"
EOF
    chmod 0755 "$built/pulumi-language-python.partial"
    mv -f "$built/pulumi-language-python.partial" "$built/pulumi-language-python"
    use "../pulumi/$version/pulumi" "$version, built from its Go module"
}

mkdir -p "$bin"
use_installed || build
