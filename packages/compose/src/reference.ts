/**
 * The reference of the stack file, made from the code: docs/reference/compose.md and the JSON Schema for editors.
 *
 * `node packages/compose/tools/write-reference.ts` writes both; a test holds them to what this gives.
 */

import type { JsonSchema } from "./codec/codec.ts";
import { type EngineSupport, KUBERNETES, SWARM } from "./engine-support.ts";
import {
  ALIAS_NODES_MAX,
  CHAIN_MAX,
  DEPTH_MAX,
  EXPANDED_PORTS_MAX,
  FILE_BYTES_MAX,
  FILES_MAX,
  INTERPOLATION_DEPTH_MAX,
  SERVICES_MAX,
  VALUES_MAX,
} from "./limits.ts";
import { DIFFERENCES } from "./print/differences.ts";
import { projectWords } from "./spec/project-codec.ts";
import { SERVICE_KEYS } from "./spec/service-codec.ts";
import { SUPPORT, type SupportEntry } from "./support.ts";

/** The JSON Schema of a stack file. */
export function stackSchema(): object {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Stack file: Compose Specification with x-berth",
    ...withReferences(projectWords.schema),
  };
}

/** Keys that are resolved before the codecs read: `extends` of a service, `include` at the top. */
function withReferences(schema: JsonSchema): object {
  const copy = structuredClone(schema) as { properties: Record<string, unknown> };
  const path = { oneOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] };
  const inclusion = record({ path, project_directory: { type: "string" }, env_file: path }, [
    "path",
  ]);
  copy.properties["include"] = {
    type: "array",
    items: { oneOf: [{ type: "string" }, inclusion] },
  };
  const extension = record({ service: { type: "string" }, file: { type: "string" } }, ["service"]);
  const service = findService(copy.properties["services"]);
  if (service !== undefined) service["extends"] = { oneOf: [{ type: "string" }, extension] };
  return copy;
}

function record(properties: object, required: readonly string[]): object {
  return { type: "object", properties, required, additionalProperties: false };
}

/** The properties of a service, wherever the schema has them. */
function findService(schema: unknown): Record<string, unknown> | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  const properties = (schema as { properties?: Record<string, unknown> }).properties;
  if (properties !== undefined && "image" in properties && "cap_add" in properties)
    return properties;
  for (const value of Object.values(schema)) {
    const found = findService(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

const LEVEL_WORDS = { honoured: "yes", partly: "in part", not: "no" } as const;

function row(entry: SupportEntry): string {
  return `| \`${entry.pattern}\` | ${LEVEL_WORDS[entry.level]} | ${entry.instead} |`;
}

function serviceRows(): string {
  const named = new Map(SUPPORT.map((entry) => [entry.pattern, entry]));
  return [...SERVICE_KEYS]
    .filter((key) => key !== "x-berth")
    .toSorted()
    .map((key) => {
      const entry = named.get(`services.*.${key}`);
      const [honoured, instead] =
        entry === undefined ? ["yes", ""] : [LEVEL_WORDS[entry.level], entry.instead];
      const elsewhere = [SWARM, KUBERNETES].map((engine) => elsewhereCell(key, engine, entry));
      return `| \`${key}\` | ${honoured} | ${instead} | ${elsewhere.join(" | ")} |`;
    })
    .join("\n");
}

/** What another engine could do with a key of a service; nothing where the own one does not honour it. */
function elsewhereCell(
  key: string,
  engine: Readonly<Record<string, EngineSupport>>,
  own: SupportEntry | undefined,
): string {
  if (own?.level === "not") return "";
  const found = engine[key];
  if (found === undefined) return "yes";
  return found.note === "" ? "no" : `${LEVEL_WORDS[found.level]}: ${found.note}`;
}

function otherRows(): string {
  return SUPPORT.filter((entry) => !/^services\.\*\.[a-z_]+$/.test(entry.pattern))
    .map(row)
    .join("\n");
}

const HEAD = `# The stack file

A stack file is a [Compose Specification](https://github.com/compose-spec/compose-spec) file. Everything in the
specification loads. A key that is not honoured is a warning with its line and with what happens instead; a key that does not
exist is an error with the nearest one that does, unless it begins with \`x-\`. All problems of a file come in one go.

This page is made from the code (\`packages/compose/tools/write-reference.ts\`).

## Variables

| form | value |
|---|---|
| \`$V\`, \`\${V}\` | the variable; a warning and an empty text when it is not set |
| \`\${V:-word}\`, \`\${V-word}\` | the word when V is unset (with the colon: or empty) |
| \`\${V:?word}\`, \`\${V?word}\` | an error with the word when V is unset (or empty) |
| \`\${V:+word}\`, \`\${V+word}\` | the word when V is set (and not empty), else nothing |
| \`$$\` | a dollar |

Words may have variables in them. Braces are matched in pairs, so a default may be JSON. A dollar before anything else is a dollar.
Variables come from the environment of the command, then from \`.env\` beside the file (or from \`--env-file\`). Keys have no variables.

## x-berth

Unknown words under \`x-berth\` are errors.

| place | key | value |
|---|---|---|
| service | \`probes.startup\`, \`probes.ready\`, \`probes.live\` | one of \`http: {port, path: /, headers, status: 200-399}\`, \`tcp: {port}\`, \`grpc: {port, service}\`, \`exec: [...]\`; with \`delay\`, \`interval\`, \`timeout\` (durations), \`success\`, \`failure\` (counts) |
| service | \`routes\` | list of \`{host, path: /, port, tls, ...}\`: requests from outside to the host and path go to the container port; \`{tcp, port}\` for connections. All keys: [routes](routes.md) |
| service | \`bind: host\` | relative binds are real paths of the node, where the project's policy allows it |
| service | \`drain\` | longest wait for open connections before a container is stopped |
| service | \`min_healthy\` | how long a copy must be ready to count as deployed |
| service | \`progress_deadline\` | a rollout without progress for this long has failed |
| service | \`requests: {cpus, memory}\` | what is set aside for a copy |
| service | \`tolerations\` | taints of nodes that do not keep its copies away: list of \`key\` or \`key=value\` |
| service | \`strategy: balanced\\|room\\|tightest\\|cheapest\` | which of the nodes that will do: evenly used (default), the emptiest, as few nodes as possible, the lowest price |
| service | \`weights: {fit, spread, affinity, images, stability, taints, failures}\` | how much each of these counts when nodes are compared, 0 (not at all) to 100; what is absent counts as the strategy says. \`berth explain\` and \`berth deploy --plan\` show points and weights |
| service | \`class: guaranteed\\|burstable\\|best-effort\` | what it may count on: guaranteed (default), its own requests; the others also what tasks leave unused of theirs, as far as the project goes (\`berth project policy --overcommit\`) |
| service | \`devices: [{kind, count, share, models}]\` | devices of nodes: \`count\` (1) of them, \`share\` (0.001 to 1) of each, of one of the \`models\`; in place of \`gpus\` of the same kind |
| service | \`failover: wait\\|fence\` | a copy that only one may run of, on a node without contact: waits for it, a fence hook or a person (default), or stops by itself and is started elsewhere. Where its volume lies on the node it always waits |
| volume | \`mode: exclusive\\|shared\` | exclusive (default): one live user at a time |
| volume | \`per_copy: true\` | a volume for each copy |
| top | \`engine: native\\|swarm\\|kubernetes\` | who schedules the stack |
| top | \`strategy\` | of services that state none; else the project's (\`berth project policy --strategy\`) |
| top | \`weights\` | of services; those of a service go before, word by word, those of the project (\`berth project policy --weight\`) behind |
| top | \`parameters\` | values that the file asks for by name: see below |

\`\`\`yaml
services:
  web:
    image: shop/web
    x-berth:
      probes:
        ready: {http: {port: 8080, path: /healthz}, interval: 2s, failure: 3}
        live: {tcp: {port: 8080}, delay: 10s}
      routes: [{host: shop.example.com, port: 8080}]
      drain: 30s
volumes:
  uploads: {x-berth: {mode: shared}}
\`\`\`

### External secrets and configs

\`berth secret create NAME --file F\` and \`berth config-file create NAME\` keep one for an environment, apart from stacks; a file names it with \`external: true\`, and with
\`name:\` where its key is another. A deploy takes the newest content, and its release keeps that. \`update\` gives it another: the next deploy of the same file replaces the
copies that use it, a rollback brings the old content back. What a stack uses is not removed.

### Parameters

A parameter is used as \`\${NAME}\`, or as a secret with \`environment: NAME\`. Its value is the first of: \`--set\` or \`--set-file\`, a variable of that
name, what was kept by an earlier deploy, a made-up value, the default. On a terminal \`berth deploy\` asks for what is left. Given and made-up
values are kept by the server, sealed, also when the stack is removed (its volumes may need them): \`berth stack parameters\`.

| key | value |
|---|---|
| \`type\` | \`text\` (default), \`integer\`, \`number\`, \`boolean\` |
| \`description\` | shown where the value is asked for |
| \`default\` | stays with the file and is not kept |
| \`required: false\` | an empty text stands for a value that nobody gave |
| \`pattern\`, \`choices\` | a regular expression that the whole value matches; the values there are |
| \`generate\` | \`password\` (letters and digits), \`hex\`, \`base64\`, \`uuid\`, \`jwt\` (HS256): made up at the first deploy |
| \`length\` | characters of a password (32) or of hex (64), bytes before base64 (32) |
| \`signed_with\`, \`claims\`, \`lifetime\` | of a token: the parameter that is its key, what it says, until it expires |
| \`secret: true\` | never shown; the default for what is made up. In \`environment\` a value is seen by whoever may read releases: use \`secrets\` for what must not be |

\`\`\`yaml
x-berth:
  parameters:
    DOMAIN: {description: where the shop answers, pattern: '[a-z0-9.-]+'}
    DB_PASSWORD: {generate: password}
services:
  db:
    image: postgres:16
    environment: {POSTGRES_PASSWORD_FILE: /run/secrets/db_password}
    secrets: [db_password]
secrets:
  db_password: {environment: DB_PASSWORD}
\`\`\`
`;

const DIFFERENCES_TABLE = `## Differences from docker compose config

\`berth config\` prints what \`docker compose config\` 2.26 prints, but for these. The table may only shrink; each row has a test.

| what | why |
|---|---|
${DIFFERENCES.map(({ what, why }) => `| ${what} | ${why} |`).join("\n")}
`;

/** The page docs/reference/compose.md. */
export function referencePage(): string {
  return `${HEAD}
## Services

Stacks run on Berth's own nodes. What docker's Swarm mode and Kubernetes could keep of a key stands beside, for those who choose: no stack runs there as yet.

| key of \`services.*\` | honoured | what happens | Swarm could | Kubernetes could |
|---|---|---|---|---|
${serviceRows()}

## Keys inside keys, and at the top

What is not named here is honoured.

| key | honoured | what happens |
|---|---|---|
${otherRows()}

${DIFFERENCES_TABLE}
## Limits

| limit | value |
|---|---|
| a file | ${FILE_BYTES_MAX / 1024 / 1024} MB |
| nesting | ${DEPTH_MAX} levels |
| values that aliases repeat | ${ALIAS_NODES_MAX} |
| services | ${SERVICES_MAX} |
| files of a load | ${FILES_MAX} |
| values, repeated ones counted at each use | ${VALUES_MAX} |
| ports that ranges stand for | ${EXPANDED_PORTS_MAX} |
| a chain of includes or extends | ${CHAIN_MAX} |
| nested defaults of variables | ${INTERPOLATION_DEPTH_MAX} |
`;
}
