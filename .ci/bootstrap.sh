#!/bin/sh
# Makes .venv ready: system libraries, uv, Python, the locked packages and the project itself.
# Runs before every make target; says nothing and takes well under a second when nothing is to do.
# Usage: .ci/bootstrap.sh [app]   ("app" adds what building the program needs)
set -eu
cd "$(dirname "$0")/.."

say() { echo "bootstrap: $*" >&2; }
fail() { say "$*"; exit 1; }

uv_command() { command -v uv || { [ -x .tools/bin/uv ] && echo .tools/bin/uv; }; }

# Library that Qt loads and the Debian package that has it. The first six are enough without a
# screen; the rest is for a window under X11.
libraries='
libEGL.so.1 libegl1
libGL.so.1 libgl1
libxkbcommon.so.0 libxkbcommon0
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
libglib-2.0.so.0 libglib2.0-0
libxcb-cursor.so.0 libxcb-cursor0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-shape.so.0 libxcb-shape0
libxcb-xkb.so.1 libxcb-xkb1
libxkbcommon-x11.so.0 libxkbcommon-x11-0
'

missing_packages() {
    # By full path: a plain user on Debian has no /sbin on the search path.
    known=$(/sbin/ldconfig -p 2>/dev/null || ldconfig -p)
    echo "$libraries" | while read -r library package; do
        case $known in *"$library "*) ;; *) printf ' %s' "$package" ;; esac
    done
    uv_command >/dev/null || python3 -m pip --version >/dev/null 2>&1 || printf ' python3-pip'
    if [ "${1:-}" = app ]; then
        # PyInstaller reads libraries with objdump and links against the shared interpreter.
        command -v objdump >/dev/null || printf ' binutils'
        case $known in *"libpython3."*) ;; *) printf ' libpython3-dev' ;; esac
    fi
}

system_libraries() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || {
        say "this system may lack libraries; on Debian they are:$missing"
        return 0
    }
    install="apt-get install -y --no-install-recommends$missing"
    [ "$(id -u)" = 0 ] || fail "libraries are missing. Run this, then try again:
    sudo apt-get update && sudo $install"
    say "installing$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # Word splitting is wanted: the line is a command.
    # shellcheck disable=SC2086
    { apt-get update && $install; } >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get failed"; }
    rm -f "$log"
}

[ "$(uname)" != Linux ] || system_libraries "$@"

# The folder counts too: scripts in .venv/bin hold its path, so a moved checkout starts afresh.
stamp=.venv/bootstrap.stamp
wanted="$PWD
$(cksum requirements.lock pyproject.toml .ci/bootstrap.sh)"
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

if ! uv_command >/dev/null; then
    say "bringing uv into .tools"
    # --target works where the system forbids installing, and changes nothing outside this folder.
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --target .tools uv || fail "could not install uv; it needs python3 with pip"
fi
uv=$(uv_command)

say "preparing .venv"
place=$(head -n 1 "$stamp" 2>/dev/null || true)
rm -f "$stamp"
if [ ! -x .venv/bin/python ] || [ "$place" != "$PWD" ]; then
    "$uv" venv --quiet --clear --no-project --python '>=3.11,<3.14' .venv
fi
export VIRTUAL_ENV="$PWD/.venv"
"$uv" pip sync --quiet --require-hashes --compile-bytecode requirements.lock
# The build tool comes from the lock as well, so nothing unchecked is fetched here.
"$uv" pip install --quiet --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"
