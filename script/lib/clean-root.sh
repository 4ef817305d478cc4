# shellcheck shell=bash
# The host's half of script/clean-machine: a minimal root from the host's own package sources, and a cgroup.

need_host() {
  [ "$(id -u)" = 0 ] || { echo "script/clean-machine needs root (namespaces, mounts, debootstrap)" >&2; exit 1; }
  local missing=()
  for program in debootstrap slirp4netns unshare git; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} = 0 ] || { echo "missing here: apt-get install ${missing[*]}" >&2; exit 1; }
}

suite() { . /etc/os-release && echo "$VERSION_CODENAME"; }

# Lines `URI RELEASE`: the distribution's own sources on this host, without third parties.
sources() {
  local name; name=$(suite)
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v name="$name" '$3 == "main" && ($2 == name || $2 == name "-updates" || $2 == name "-security") { print $1, $2 }' |
    sort -u
}

make_root() {
  local root=$1 base=$2 systemd=$3 name uri include=()
  mkdir -p "$root"
  if [ -n "$base" ] && [ -f "$base" ]; then tar -xpf "$base" -C "$root" --numeric-owner; return; fi
  name=$(suite)
  uri=$(sources | awk -v name="$name" '$2 == name { print $1; exit }')
  [ -n "$uri" ] || { echo "no package source for $name on this host" >&2; return 1; }
  [ "$systemd" = false ] || include=(--include=systemd,systemd-sysv,dbus)
  debootstrap --variant=minbase "${include[@]}" "$name" "$root" "$uri"
  [ -z "$base" ] || tar -cpf "$base" -C "$root" --numeric-owner .
}

settle_root() {
  local root=$1 services=$2
  sources | awk '{ print "deb", $1, $2, "main" }' >"$root/etc/apt/sources.list"
  # Proxies and the rules for frozen mirrors: what works for the host's apt has to work inside.
  apt-config dump | grep -E '^Acquire::(http|https)::Proxy|^Acquire::Check-|^Acquire::Languages ' >"$root/etc/apt/apt.conf.d/90host" || true
  echo "nameserver 10.0.2.3" >"$root/etc/resolv.conf"
  echo clean >"$root/etc/hostname"
  printf '127.0.0.1 localhost clean\n::1 localhost\n' >"$root/etc/hosts"
  if [ "$services" = false ]; then
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
  fi
  # Authorities that the host trusts besides the public ones, as networks that inspect TLS have.
  if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then cp "$NODE_EXTRA_CA_CERTS" "$root/etc/host-authorities.pem"; fi
  chroot "$root" useradd --create-home --uid 1000 guest
}

# One cgroup for the whole machine (in each hierarchy of version 1): removing it leaves nothing behind.
cgroup_folders() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo "/sys/fs/cgroup/$1"; return; fi
  local hierarchy
  for hierarchy in /sys/fs/cgroup/*/; do
    # Names of joined controllers are links to one folder.
    [ -L "${hierarchy%/}" ] || [ ! -f "$hierarchy/cgroup.procs" ] || echo "$hierarchy$1"
  done
}

make_cgroup() {
  local folder
  for folder in $(cgroup_folders "$1"); do
    mkdir -p "$folder"
    # A cpuset of version 1 begins empty, and takes no process until it has both.
    if [ -f "$folder/cpuset.cpus" ] && [ ! -f /sys/fs/cgroup/cgroup.controllers ]; then
      cat "${folder%/*}/cpuset.cpus" >"$folder/cpuset.cpus"
      cat "${folder%/*}/cpuset.mems" >"$folder/cpuset.mems"
    fi
  done
}

remove_cgroup() {
  local folder
  for folder in $(cgroup_folders "$1"); do
    # The last processes leave some milliseconds after they were ended.
    for _ in $(seq 50); do
      [ -d "$folder" ] || break
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
  done
}
