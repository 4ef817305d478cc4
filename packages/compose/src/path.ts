/**
 * Paths as text: join, clean, parent. POSIX rules, no file system, no `node:path`, so that a stack that was
 * written on one machine means the same on another.
 */

/** `/a/./b/../c` → `/a/c`. An empty path is `.`. */
export function cleanPath(path: string): string {
  const absolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!absolute) parts.push("..");
  }
  const joined = parts.join("/");
  if (absolute) return `/${joined}`;
  return joined === "" ? "." : joined;
}

/** `path` below `base` unless it is absolute; clean. */
export function resolvePath(base: string, path: string): string {
  return path.startsWith("/") ? cleanPath(path) : cleanPath(`${base}/${path}`);
}

/** `path` as it is said from `directory`; both absolute and clean. */
export function relativePath(directory: string, path: string): string {
  const from = directory.split("/").filter(Boolean);
  const to = path.split("/").filter(Boolean);
  let same = 0;
  while (same < from.length && from[same] === to[same]) same++;
  return [...from.slice(same).map(() => ".."), ...to.slice(same)].join("/") || ".";
}

/** `~/a` → `/home/ann/a`. Other people's homes are not known to the reference: `~ben/a` is below the own one, too. */
export function expandHome(path: string, home: string | undefined): string {
  return home !== undefined && path.startsWith("~") ? cleanPath(`${home}/${path.slice(1)}`) : path;
}

const WINDOWS_PATH = /^(?:[a-zA-Z]:[\\/]|\\\\[^\\/.][^\\/]*[\\/][^\\/.][^\\/]*[\\/])/;

/** `C:\\x`, `C:/x` and `\\\\server\\share\\x`: left as they are, for the platform to refuse. */
export function isWindowsPath(path: string): boolean {
  return WINDOWS_PATH.test(path);
}

/** `/a/b` → `/a`. */
export function parentPath(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

/** `/a/b` → `b`. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether `path` is `directory` or below it. Both clean and absolute. */
export function isWithin(directory: string, path: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}
