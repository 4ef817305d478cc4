/**
 * The script behind the printed command: sets a host up with what the server runs, then has Berth join it.
 *
 * It comes over a connection whose key was pinned on the command line, and takes every file by its digest over
 * the same pin, so nothing runs that the server did not name. POSIX sh, with curl and sha256sum.
 */

import { assert } from "@berth/base";
import type { SoftwareFile } from "@berth/protocol";

export interface JoinScriptFacts {
  readonly files: readonly SoftwareFile[];
  readonly version: string;
  /** Of the Node binary among the files, as Node calls it: `x64`. */
  readonly architecture: string;
  /** SHA-256 of the server's public key, base64. */
  readonly serverPin: string;
  /** SHA-256 of the authority's certificate. */
  readonly fingerprint: string;
}

/** What `uname -m` says of an architecture that Node knows. */
const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** What goes into the script stands in single quotes: anything else than this is a mistake of ours. */
const PLAIN = /^[A-Za-z0-9+/=:._-]+$/;

/** Pure: the same facts give the same text. */
export function renderJoinScript(facts: JoinScriptFacts): string {
  const { files, version, architecture, serverPin, fingerprint } = facts;
  const list = files.map(({ digest, path }) => `${word(digest)} ${word(path)}`).join("\n");
  return `#!/bin/sh
# Sets this host up for Berth and joins it to a cluster:  sh -s -- URL TOKEN [options of berth platform start]
set -eu
url=\${1:?the URL of the cluster} token=\${2:?a token, by berth node join on the server}
shift 2
pin='${word(serverPin)}' fingerprint='${word(fingerprint)}' version='${word(version)}'
prefix=\${BERTH_PREFIX:-/usr/local}
home="$prefix/lib/berth"
${FUNCTIONS}
[ "$(id -u)" = 0 ] || fail "this needs root: put sudo before sh"
[ "$(uname -s)-$(uname -m)" = 'Linux-${word(MACHINES[architecture] ?? architecture)}' ] ||
  fail "the server has Berth for Linux on ${word(architecture)}, this is $(uname -s) on $(uname -m)"
echo "Joining $url: Berth $version goes to $home"
missing=$(missing_packages)
[ -z "$missing" ] || install $missing
mkdir -p "$home/$version"
while read -r digest path; do
  case "$path" in
    node) fetch "$digest" "$home/node-$version" 755 ;;
    *) fetch "$digest" "$home/$version/\${path#bundle/}" 644 ;;
  esac
done <<'FILES'
${list}
FILES
mkdir -p "$prefix/bin"
printf '#!/bin/sh\\nexec "%s" "%s" "$@"\\n' "$home/node-$version" "$home/$version/berth.mjs" >"$prefix/bin/berth.new"
chmod 755 "$prefix/bin/berth.new"
mv "$prefix/bin/berth.new" "$prefix/bin/berth"
installed=$(echo "$missing" | tr ' ' ',')
exec "$prefix/bin/berth" platform start --consent --installed "$installed" \\
  --join "$url" --token "$token" --fingerprint "$fingerprint" "$@" </dev/null
`;
}

/** The parts that do not depend on the cluster. The token goes to curl by its standard input, not its words. */
const FUNCTIONS = `fail() { echo "berth: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }
missing_packages() {
  list=''
  [ -S /var/run/docker.sock ] || have dockerd || list="$list docker.io"
  have haproxy || list="$list haproxy"
  have nft || list="$list nftables"
  have iptables || list="$list iptables"
  have conntrack || list="$list conntrack"
  have ip || list="$list iproute2"
  echo $list
}
install() {
  have apt-get || fail "missing here: $*. Install them or their equals and run this again"
  echo "  packages: $*"
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \\
    >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; fail "the packages could not be installed; all of it: $log"; }
  rm -f "$log"
}
# fetch DIGEST FILE MODE: nothing is there, or exactly what the server named.
fetch() {
  if [ -f "$2" ] && [ "sha256:$(sha256sum "$2" | cut -d' ' -f1)" = "$1" ]; then return; fi
  status=$(printf 'header = "Authorization: Bearer %s"\\n' "$token" |
    curl -K - -sSk --pinnedpubkey "sha256//$pin" -o "$2.part" -w '%{http_code}' "$url/v1/join/software/$1") ||
    fail "$url cannot be reached"
  if [ "$status" != 200 ]; then
    words=$(sed -n 's/.*"detail":"\\([^"]*\\)".*/\\1/p' "$2.part")
    rm -f "$2.part"
    fail "\${words:-the server answered $status}"
  fi
  [ "sha256:$(sha256sum "$2.part" | cut -d' ' -f1)" = "$1" ] || fail "$2 came broken: run this again"
  chmod "$3" "$2.part"
  mv "$2.part" "$2"
}`;

function word(text: string): string {
  assert(PLAIN.test(text), "what goes into a script is plain");
  return text;
}
