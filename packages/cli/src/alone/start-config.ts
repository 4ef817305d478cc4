/** Starts `berth config` alone, or the whole program where that is not enough. It is bundled as a script of CommonJS. */

import { readFileSync } from "node:fs";
import { compiled, exportsOf } from "./code-cache.ts";

declare const __dirname: string;
declare const require: (name: string) => unknown;

type Main = (rest: readonly string[]) => Promise<number> | undefined;

function alone(): Main {
  const path = `${__dirname}/config-alone.js`;
  const script = compiled({
    path,
    source: readFileSync(path, "utf8"),
    cache: readFileSync(`${path}.cache`),
  });
  return (exportsOf(script, path, require) as { readonly main: Main }).main;
}

const [, , first, ...rest] = process.argv;
const running = first === "config" ? alone()(rest) : undefined;
// All is written by now, but what a full pipe waits for: the process ends by itself then.
if (running === undefined) void import("./berth.mjs" as string);
else void running.then((code) => (process.exitCode = code));
