#!/bin/sh
# Sets up the project on Linux x86-64: Python environment, packages for this machine, native code, folders. `sh init.sh --help`
set -eu

usage() {
    cat <<'TEXT'
usage: sh init.sh                          set up; seconds when it is done already
       sh init.sh --demo [arguments]       set up, detect in a real clip with a trained model (tools/demo_clip.py),
                                           then train and test on the embedded data set (tools/compare.py)
       sh init.sh --demo quick             the same without the training: about three minutes
       sh init.sh --test [arguments]       set up, then run the tests; arguments go to pytest, such as -k config
       sh init.sh --print-mxnet-package    print MXNet's package for this machine, change nothing
       sh init.sh --help

Packages go into the active virtualenv or conda environment, else into ./.venv (made from the newest Python 3.8 to 3.12).
MXNET_PACKAGE=mxnet-cu112==1.9.1 sh init.sh     another build of MXNet than the one chosen (a requirement or a wheel file)
TEXT
}

say() { printf 'init.sh: %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 2; }

# 3.8 to 3.12, 64 bit. Running it also rejects names that only pretend to be a Python (version managers).
suits() { "$1" -c 'import sys; sys.exit(not ((3, 8) <= sys.version_info[:2] <= (3, 12) and sys.maxsize > 2**32))' 2>/dev/null; }
version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo 'that does not run'; }

active_environment() {
    folder=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
    [ -n "$folder" ] || return 1
    python=$folder/bin/python
    [ -x "$python" ] || die "the active environment $folder has no Python: deactivate it and run init.sh again"
    suits "$python" || die "the active environment $folder has Python $(version "$python"), MXNet needs 3.8 to 3.12:" \
        "deactivate it and run init.sh again, which then makes ./.venv"
}

# The newest suitable Python of PATH that can make virtual environments. $1: what it must be able to import.
find_python() {
    for name in python3.12 python3.11 python3.10 python3.9 python3.8 python3 python; do
        if command -v "$name" >/dev/null 2>&1 && suits "$name" && "$name" -c "$1" 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

make_environment() {
    python=$PWD/.venv/bin/python
    if suits "$python" && "$python" -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    if "$python" -c pass 2>/dev/null && ! suits "$python"; then
        die "./.venv has Python $(version "$python"), MXNet needs 3.8 to 3.12: remove or rename ./.venv and run init.sh again"
    fi
    if ! base=$(find_python 'import venv, ensurepip'); then
        if base=$(find_python 'pass'); then
            short=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
            die "$base cannot make virtual environments: apt-get install python$short-venv, then run init.sh again"
        fi
        for name in python3 python; do
            command -v "$name" >/dev/null 2>&1 || continue
            die "only Python $(version "$name") is here, MXNet needs 3.8 to 3.12:" \
                "install one (apt-get install python3.11 python3.11-venv, or conda create -n dff python=3.11 and activate it)"
        done
        die "no Python is here: install 3.8 to 3.12 (apt-get install python3 python3-venv), then run init.sh again"
    fi
    say "making .venv with $base (Python $(version "$base"))"
    rm -rf .venv
    "$base" -m venv .venv || die "$base -m venv .venv failed: free space on this disk, or activate an environment of your own first"
}

build_native() {
    # A compiler and Python.h are optional: without them NumPy and MXNet's own operators do the same work.
    if ! command -v "${CXX:-g++}" >/dev/null 2>&1; then
        warn 'no C++ compiler: the parts in C++ and Cython are not built, slower ones are used' \
            '(apt-get install g++, then run init.sh again)'
        return 0
    fi
    build_cython &     # while the operators are built: either takes about half a minute
    "$python" lib/operator_cxx/build.py || warn "the native operators are not built, MXNet's own are used, slower"
    wait $!
}

build_cython() {
    if ! "$python" lib/setup.py --quiet build_ext --inplace >output/build.log 2>&1; then
        cause='see output/build.log'
        "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || cause='no Python headers: apt-get install python3-dev'
        warn "the Cython modules are not built, NumPy is used, slower ($cause, then run init.sh again)"
    fi
}

case ${1:-} in
    ''|--demo|--test|--print-mxnet-package) mode=${1:-}; [ $# -eq 0 ] || shift ;;
    --help|-h) usage; exit 0 ;;
    *) usage >&2; die "unknown argument '$1': see the usage above" ;;
esac
case $mode in
    --demo) [ "${1:-}" != quick ] || [ $# -eq 1 ] || { usage >&2; die "unknown argument '$2' after quick"; } ;;
    --test) ;;
    *) [ $# -eq 0 ] || { usage >&2; die "unknown argument '$1': see the usage above"; } ;;
esac

cd "$(dirname "$0")"
machine=$(uname -sm)
[ "$machine" = 'Linux x86_64' ] || die "MXNet's wheels are for Linux x86-64 only and this is $machine: use such a machine or container"

if [ "$mode" = --print-mxnet-package ]; then
    active_environment || python=$(find_python 'pass') || die 'no Python 3.8 to 3.12 is here: install one'
    exec "$python" tools/install_packages.py --print
fi
mkdir -p output model/pretrained_model external/mxnet 2>/dev/null && : >output/.writable 2>/dev/null ||
    die "cannot write in $PWD: clone into a folder of your own, or mend its permissions (chown, chmod)"
rm -f output/.writable

active_environment || make_environment
"$python" tools/install_packages.py || exit 2
build_native
"$python" tools/describe_setup.py || exit 2
case $mode in
    --demo)
        # What is wrong with the arguments is said before the clip takes its minute.
        [ "${1:-}" = quick ] || "$python" tools/compare.py --check "$@" || exit
        "$python" tools/demo_clip.py || exit
        [ "${1:-}" != quick ] || exit 0
        exec "$python" tools/compare.py "$@" ;;
    --test) exec "$python" -m pytest tests "$@" ;;
esac
