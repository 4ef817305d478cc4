# shellcheck shell=bash
# Finds Node 24 for the scripts: .node/ of this checkout first, then the host's when it is new enough.
NODE_MAJOR=24
NODE_HOME="$PWD/.node/node_modules/node/bin"

node_major() { "$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

find_node() {
  if [ -x "$NODE_HOME/node" ] && [ "$(node_major "$NODE_HOME/node")" -ge "$NODE_MAJOR" ]; then
    NODE="$NODE_HOME/node"
  elif command -v node >/dev/null && [ "$(node_major node)" -ge "$NODE_MAJOR" ]; then
    NODE="$(command -v node)"
  else
    NODE=""
  fi
  [ -n "$NODE" ] && PATH="$(dirname "$NODE"):$PATH" && export PATH
  [ -n "$NODE" ]
}

# Installs Node 24 below .node/ with the host's npm (any Node from 18 on is enough to begin).
install_node() {
  mkdir -p .node
  npm install --prefix .node --no-save --ignore-scripts=false --no-fund --no-audit --loglevel=error "node@$NODE_MAJOR"
}

require_node() {
  find_node && return
  if ! command -v npm >/dev/null; then
    echo "Node $NODE_MAJOR is missing and there is no npm to get it with: run script/up" >&2
    exit 1
  fi
  install_node >&2
  find_node || { echo "Node $NODE_MAJOR could not be installed below .node/" >&2; exit 1; }
}

# Dependencies by the lock file (versions and digests; nothing is written back). Not `npm ci`: that refuses a
# registry mirror that lacks the optional packages of other platforms. A stamp makes a repeated call free.
require_modules() {
  local stamp=node_modules/.berth-lock
  if [ ! -f "$stamp" ] || ! cmp -s package-lock.json "$stamp"; then
    npm install --no-save --no-fund --no-audit --loglevel=error
    cp package-lock.json "$stamp"
  fi
}
