/**
 * How the bundle takes what costs more to load than a command does with it.
 *
 * `import` of one of Node's modules evaluates every getter of it, and some load whole subsystems: an HTTP client behind
 * node:http (14 MB in each process), Web Crypto behind node:crypto. The bundle takes these modules without importing them
 * and leaves those getters out; a source that asks for one is an error of the bundler. What a program may need but seldom
 * does is loaded at its first call.
 */

import { builtinModules, createRequire } from "node:module";
import type { Plugin } from "esbuild";

const require = createRequire(import.meta.url);

/** Packages of functions that are called late, if at all: `yaml` reads only what our own reader gives up on. */
const LATE_PACKAGES = ["yaml"] as const;

/** Node's modules of which an importer calls functions late, if at all. */
const LATE_BUILTINS = [
  { importer: "/node_modules/commander/", name: "node:child_process" },
  // Hashes of digests: most commands that load the loader make none.
  { importer: "/packages/compose/", name: "node:crypto" },
  { importer: "/packages/cli/src/commands/", name: "node:crypto" },
  { importer: "/packages/cli/src/stack/", name: "node:crypto" },
] as const;

const BUILTINS: ReadonlySet<string> = new Set(
  builtinModules.map((name) => (name.startsWith("node:") ? name : `node:${name}`)),
);

/**
 * See the module comment. `elsewhere`: files that a late package is asked of at run time, instead of being bundled.
 */
export const lightImports = (elsewhere: Readonly<Record<string, string>> = {}): Plugin => ({
  name: "light-imports",
  setup(bundle) {
    bundle.onResolve({ filter: /^[a-z0-9_:/]+$/ }, ({ path, kind, importer }) => {
      const name = path.startsWith("node:") ? path : `node:${path}`;
      if (kind !== "import-statement" || !BUILTINS.has(name)) return undefined;
      const isLate = LATE_BUILTINS.some(
        (row) => row.name === name && importer.includes(row.importer),
      );
      return { path: name, namespace: isLate ? "late-builtin" : "light-builtin" };
    });
    bundle.onLoad({ filter: /./, namespace: "light-builtin" }, ({ path }) => ({
      contents: `const module = ${taken(path)};
export default module;
${constantsOf(path)
  .map((name) => `export const ${name} = /* @__PURE__ */ (() => module.${name})();`)
  .join("\n")}
`,
    }));
    bundle.onLoad({ filter: /./, namespace: "late-builtin" }, ({ path }) => ({
      contents: `${lateFunctions(path, taken(path))}
export default { ${functionsOf(path).join(", ")} };
`,
    }));
    const packages = new RegExp(`^(${LATE_PACKAGES.join("|")})$`);
    bundle.onResolve({ filter: packages }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "late-package" } : undefined,
    );
    bundle.onLoad({ filter: /./, namespace: "late-package" }, ({ path }) => ({
      contents: lateFunctions(path, `require("${elsewhere[path] ?? path}")`),
      resolveDir: import.meta.dirname,
    }));
  },
});

function taken(builtin: string): string {
  return `process.getBuiltinModule("${builtin}")`;
}

/** Functions of `module` as exports that take it, by the text `from`, when they are called. */
function lateFunctions(module: string, from: string): string {
  return functionsOf(module)
    .map((name) => `export const ${name} = (...words) => ${from}.${name}(...words);`)
    .join("\n");
}

/** Names of a module that are there without running anything. */
function constantsOf(module: string): readonly string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(require(module)))
    .filter(([name, property]) => property.get === undefined && IDENTIFIER.test(name))
    .map(([name]) => name)
    .filter((name) => !RESERVED.has(name));
}

/** Names of a module's functions that are no classes and carry no constants: a call of theirs can wait. */
function functionsOf(module: string): readonly string[] {
  const loaded: Readonly<Record<string, unknown>> = require(module);
  return constantsOf(module).filter((name) => {
    const value = loaded[name];
    return typeof value === "function" && !isClass(value);
  });
}

function isClass(value: unknown): boolean {
  return String(value).startsWith("class ");
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const RESERVED: ReadonlySet<string> = new Set(["default", "module"]);
