# shellcheck shell=bash
# What Berth needs from the distribution, and how to get it there (Debian, Ubuntu and their relatives).

have_systemd() { [ -d /run/systemd/system ]; }

engine_runs() { [ -S /var/run/docker.sock ] && curl -fsS -m 2 --unix-socket /var/run/docker.sock http://localhost/_ping >/dev/null 2>&1; }

# A program may lie in /usr/sbin, which is not on every user's path.
have_program() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }

# Packages that are missing, space separated. An engine that runs is adopted whatever its package is called.
missing_packages() {
  local list=()
  have_program dockerd || engine_runs || list+=(docker.io)
  have_program haproxy || list+=(haproxy)
  have_program nft || list+=(nftables)
  have_program iptables || list+=(iptables)
  have_program ip || list+=(iproute2)
  [ -x /bin/busybox ] && file_is_static /bin/busybox || list+=(busybox-static)
  if ! find_node && ! command -v npm >/dev/null; then list+=(nodejs npm); fi
  echo "${list[*]}"
}

# The hello example copies busybox into an empty image: it must bring its libraries with it.
file_is_static() {
  local words
  # ldd fails on static programs, which is the answer here.
  words=$(ldd "$1" 2>&1 || true)
  case "$words" in *"not a dynamic"*|*"statically linked"*) ;; *) return 1 ;; esac
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
  command -v apt-get >/dev/null || {
    echo "this distribution has no apt-get: install $* by hand, then run script/up again" >&2
    return 1
  }
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}
