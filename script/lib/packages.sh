# shellcheck shell=bash
# What Berth needs from the distribution, and how to get it there (Debian, Ubuntu and their relatives).

ENGINE_SOCKET=/var/run/docker.sock

have_systemd() { [ -d /run/systemd/system ]; }

# Somebody listens on the engine's socket; the kernel's own list, which needs no program and no rights.
engine_listens() { grep -Eq ' 00010000 .* (/var)?/run/docker\.sock$' /proc/net/unix; }

# The engine answers. A minimal machine has no curl: then a listener has to be enough.
engine_runs() {
  [ -S "$ENGINE_SOCKET" ] || return 1
  if command -v curl >/dev/null; then
    curl -fsS -m 2 --unix-socket "$ENGINE_SOCKET" http://localhost/_ping >/dev/null 2>&1
  else
    engine_listens
  fi
}

# A program may lie in /usr/sbin, which is not on every user's path.
have_program() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

# Packages that are missing, space separated. An engine that runs is adopted whatever its package is called.
missing_packages() {
  local list=()
  have_program dockerd || engine_listens || list+=(docker.io)
  have_program haproxy || list+=(haproxy)
  have_program nft || list+=(nftables)
  have_program iptables || list+=(iptables)
  have_program conntrack || list+=(conntrack)
  have_program ip || list+=(iproute2)
  [ -x /bin/busybox ] && file_is_static /bin/busybox || list+=(busybox-static)
  # npm brings the modules, and Node 24 itself where the host's is older; it needs some Node to run.
  if ! command -v npm >/dev/null; then
    command -v node >/dev/null || list+=(nodejs)
    list+=(npm)
  fi
  [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -n "${NODE_EXTRA_CA_CERTS:-}" ] || list+=(ca-certificates)
  echo "${list[*]}"
}

# What only the tests need: other people's resolvers, registries and certificate authorities, to test against.
missing_test_packages() {
  local list=()
  have_program dig || list+=(bind9-dnsutils)
  have_program docker-registry || list+=(docker-registry)
  have_program htpasswd || list+=(apache2-utils)
  have_program git || list+=(git)
  have_program curl || list+=(curl)
  have_program openssl || list+=(openssl)
  have_program pebble || list+=(pebble)
  have_program ps || list+=(procps)
  have_program etcd || list+=(etcd-server)
  have_program keepalived || list+=(keepalived)
  # An S3-compatible storage.
  have_program swift-proxy-server || list+=(swift-proxy swift-account swift-container swift-object)
  echo "${list[*]}"
}

# The hello example copies busybox into an empty image: it must bring its libraries with it.
file_is_static() {
  local words
  # ldd fails on static programs, which is the answer here.
  words=$(ldd "$1" 2>&1 || true)
  case "$words" in *"not a dynamic"*|*"statically linked"*) ;; *) return 1 ;; esac
}

may_become_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Ends the script before anything is changed when PACKAGES can be installed by nobody here.
require_installer() {
  if ! command -v apt-get >/dev/null; then
    echo "This distribution has no apt-get. Install these or their equals by hand, then run $0 again: $*" >&2
    exit 1
  fi
  if ! may_become_root; then
    echo "Missing here: $*. User $(id -un) may not install packages, and there is no sudo. Ask an administrator for" >&2
    echo "  apt-get install --no-install-recommends $*" >&2
    echo "then run $0 again. Nothing was changed." >&2
    exit 1
  fi
}

# Ends the script before anything is changed when there can be no engine for this user.
require_engine_rights() {
  [ "$(id -u)" != 0 ] || return 0
  if engine_runs && [ -w "$ENGINE_SOCKET" ]; then return 0; fi
  if engine_listens; then
    echo "A container engine runs, but user $(id -un) may not use it. As root: usermod -aG docker $(id -un), then log in again." >&2
  else
    echo "No container engine runs, and only root may start one: sudo $0, or ask an administrator to start one." >&2
  fi
  echo "Nothing was changed." >&2
  exit 1
}

install_packages() {
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
}
