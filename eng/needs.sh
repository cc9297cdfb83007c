# shellcheck shell=bash
# What the root commands check before they hand over to dotnet. Sourced from the repository's root folder.

say() { printf '%s\n' "onggi: $*" >&2; }

die() {
  say "$@"
  exit 1
}

# The SDK that global.json asks for: dotnet itself answers, since it knows how global.json rolls forward.
need_dotnet() {
  command -v dotnet > /dev/null ||
    die "dotnet is not on PATH. Install the .NET SDK 10 (10.0.100 or later): https://dotnet.microsoft.com/download/dotnet/10.0"
  dotnet --version > /dev/null 2>&1 ||
    die "this needs the .NET SDK 10.0.100 or a later 10.0; installed are: $(dotnet --list-sdks | cut -d' ' -f1 | paste -sd' ' -)." \
      "Get it from https://dotnet.microsoft.com/download/dotnet/10.0"
}

# install COMMAND PACKAGE...: true when COMMAND is there afterwards. Only root with apt-get installs, and says so.
install() {
  local command=$1
  shift
  command -v "$command" > /dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  say "$command is not on PATH; installing $* with apt-get"
  apt-get update -qq < /dev/null >&2 || say "apt-get update failed; trying with the package lists that are here"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" < /dev/null >&2 || return 1
  if [ -d /run/systemd/system ]; then
    say "Debian may have started $1 as a service, which Onggi does not use; to stop it: systemctl disable --now $1"
  fi
  command -v "$command" > /dev/null
}

# A redis-server of our own on a free port is what the demo, the tests and the benchmarks run against.
need_redis() {
  install redis-server redis-server redis-tools && return 0
  case "$(uname -s)" in
    Darwin) die "redis-server is not on PATH. Install it: brew install redis" ;;
    Linux) die "redis-server is not on PATH. Install it: sudo apt-get install redis-server (or your distribution's redis or valkey 7.0+)" ;;
    *) die "redis-server is not on PATH. On Windows run this inside WSL, where it is: sudo apt-get install redis-server" ;;
  esac
}

# Spin writes a checker in C for the model of the coherent cache, and gcc compiles it.
has_spin() { install spin spin && install gcc gcc libc6-dev; }

# Debian's own kubectl is too old to build the overlays. It asks no cluster for this.
has_kubectl() { kubectl version --client 2> /dev/null | grep -q '^Kustomize Version: v[5-9]'; }

# build PROJECT ASSEMBLY FOLDER...: builds PROJECT, unless ASSEMBLY is there and nothing under the FOLDERs changed since the last build.
# Says so on standard error, and shows the output only when it fails. No compiler server and no build nodes: when it ends, nothing of it keeps running.
build() {
  local project=$1 assembly=$2 started=$1/obj/build.started ended=$1/obj/build.ended
  shift 2
  # Files are compared with the start, so that what changes during a build is built next time; folders with the end, since a build makes some.
  if [ -f "$assembly" ] && [ -f "$ended" ] &&
    [ -z "$(find "$@" ./*.props global.json \( -name bin -o -name obj \) -prune -o \
      \( -type f -newer "$started" -o -type d -newer "$ended" \) -print -quit)" ]; then
    return
  fi
  say "building $project"
  mkdir -p "$project/obj"
  # Without it an interrupted or failed build is not taken for a finished one.
  rm -f "$ended"
  touch "$started"
  local output
  if ! output=$(MSBUILDDISABLENODEREUSE=1 dotnet build "$project" -c Release -p:UseSharedCompilation=false --nologo -v quiet 2>&1); then
    printf '%s\n' "$output" >&2
    die "$project does not build"
  fi
  touch "$ended"
}
