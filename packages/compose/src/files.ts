/**
 * The file-system port of the loader: it reads through this and nothing else, so that the same code loads a
 * checkout, an upload and a test's table. Nothing here can write.
 */

/** What the loader needs of a file system. Paths are absolute and clean. */
export interface ComposeFiles {
  /**
   * The file's text (UTF-8, or UTF-16 with a byte-order mark); `undefined` when it is missing or not a regular
   * file. The first place that is not UTF-8 is half of a surrogate pair, which no text has.
   */
  readText(path: string): string | undefined;
  stat(path: string): "file" | "directory" | undefined;
}

/** Files held in memory: tests, and stacks that came over the API. Directories follow from the paths. */
export function memoryFiles(files: Readonly<Record<string, string>>): ComposeFiles {
  const texts = new Map(Object.entries(files));
  const directories = new Set<string>(["/"]);
  for (const path of texts.keys()) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      directories.add(path.slice(0, at));
    }
  }
  return {
    readText: (path) => texts.get(path),
    stat: (path) => {
      if (texts.has(path)) return "file";
      return directories.has(path) ? "directory" : undefined;
    },
  };
}
