/**
 * Mounts in their short form, `[source:]target[:options]`.
 *
 * The source decides the kind: a path (`./`, `/`, `~`) is a bind, a name is a volume, none is an anonymous volume.
 * A single letter before the colon is a drive of Windows only when a path with its own colon follows; the
 * reference takes `v:/data` for a drive and makes an unusable mount of it (see the table of differences).
 */

/** What the text says, before paths are resolved. */
export interface MountSpec {
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** The parts of a short form, or what is wrong with it. */
export function parseMountSpec(spec: string): MountSpec | string {
  if (spec === "") return "is empty";
  if (spec.length <= 2 && !spec.includes(":")) return { source: "", target: spec, options: [] };
  const parts = splitColons(spec);
  if (parts.some((part) => part === "")) {
    const [first] = parts;
    if (parts.at(-1) === "") return "has nothing after its last colon";
    return first === "" ? "has nothing before its first colon" : "has nothing between its colons";
  }
  if (parts.length > 3) return "has too many colons";
  const [first = "", second, third] = parts;
  if (second === undefined) return { source: "", target: first, options: [] };
  return { source: first, target: second, options: third === undefined ? [] : third.split(",") };
}

function splitColons(spec: string): readonly string[] {
  const parts: string[] = [];
  let rest = spec;
  while (true) {
    const drive = isDrive(rest) ? 2 : 0;
    const colon = rest.indexOf(":", drive);
    if (colon < 0) return [...parts, rest];
    parts.push(rest.slice(0, colon));
    rest = rest.slice(colon + 1);
  }
}

/** `C:\x:/y` and `C:/x:/y`, but not `v:/data` and `v:/data:ro`. */
function isDrive(text: string): boolean {
  return (
    /^[a-zA-Z]:(\\|\/[^:]*:[/\\a-zA-Z]:?[/\\])/.test(text) || /^[a-zA-Z]:\/[^:]*:\//.test(text)
  );
}

/** Whether a short form's source is a path of the host and not a volume's name. */
export function isHostPath(source: string): boolean {
  return /^[./~]/.test(source) || source.startsWith("\\\\") || /^[a-zA-Z]:[\\/]/.test(source);
}
