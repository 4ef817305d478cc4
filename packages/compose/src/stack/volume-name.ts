/**
 * Names of volumes that the file does not name: those of relative binds and anonymous ones.
 *
 * Two different places never get one name (`./a/b` and `./a-b`), and a place keeps its name whatever else
 * stands in the file: a name that moved on would leave the data behind. So a text that cannot be shown as it
 * is carries a hash of itself.
 */

/** Names of a stack have at most this many characters. */
const NAME_CHARS_MAX = 63;
/** Stands for a slash; texts that contain it themselves, or could run into it, are hashed. */
const SLASH = "--";
const PLAIN = /^[a-zA-Z0-9._]+(-[a-zA-Z0-9._]+)*(\/[a-zA-Z0-9._]+(-[a-zA-Z0-9._]+)*)*$/;

/** `bind-data--db` for the clean relative path `data/db`. */
export function bindVolumeName(path: string): string {
  return nameOf(BIND, path, PLAIN.test(path));
}

/** `web--var--cache` for `/var/cache` of the service `web`. */
export function anonymousVolumeName(service: string, target: string): string {
  const path = target.replace(/^\/+/, "");
  const isPlain = PLAIN.test(`${service}/${path}`) && !service.startsWith("bind");
  return nameOf(`${service}${SLASH}`, path, isPlain);
}

const BIND = "bind-";

function nameOf(prefix: string, path: string, isPlain: boolean): string {
  const name = `${prefix}${path.replaceAll("/", SLASH)}`;
  if (isPlain && name.length <= NAME_CHARS_MAX) return name;
  const hash = hashOf(`${prefix}\0${path}`);
  const shown = name.replace(/[^a-zA-Z0-9._-]/g, "-");
  return `${shown.slice(0, NAME_CHARS_MAX - hash.length - SLASH.length)}${SLASH}${hash}`;
}

/** FNV-1a (Fowler, Noll, Vo), 64 bits: no enemy chooses the paths of his own stack. */
function hashOf(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}
