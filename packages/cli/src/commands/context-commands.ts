/** `berth context ls | use | add | rm` */

import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, textOption } from "../command.ts";
import { endpointsIn } from "../connection/client.ts";
import {
  chooseContext,
  configPath,
  LOCAL_CONTEXT,
  localContext,
  readConfig,
  serversFileOf,
  writeConfig,
} from "../connection/context.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const list: CommandDescription = {
  summary: "servers that this user knows; * marks the one in use",
  examples: [{ line: "berth context ls", does: "names, addresses, projects" }],
  async run(input) {
    const { environment, output } = input;
    const config = readConfig(environment);
    const contexts = { [LOCAL_CONTEXT]: localContext(environment), ...config.contexts };
    const current = chooseContext(environment, undefined).name;
    const rows = Object.entries(contexts).map(([name, context]) => {
      const { file } = serversFileOf(environment, name, context);
      const urls = endpointsIn({ url: context.url }, file).map(({ url }) => url);
      const project = `${context.project ?? "default"}/${context.environment ?? "main"}`;
      return { name, urls, project };
    });
    if (output.json) {
      const servers = Object.fromEntries(rows.map(({ name, urls }) => [name, urls]));
      output.line(JSON.stringify({ current, contexts: Object.keys(contexts), servers }));
      return EXIT.done;
    }
    // The one that was configured first, under it those that it told of.
    const lines = rows.flatMap(({ name, urls, project }) =>
      urls.map((url, index) =>
        index === 0 ? [name === current ? "*" : "", name, url, project] : ["", "", url, ""],
      ),
    );
    for (const line of table(["", "CONTEXT", "SERVER", "PROJECT"], lines)) output.line(line);
    return EXIT.done;
  },
};

export const use: CommandDescription = {
  summary: "make a context the one in use",
  arguments: [{ name: "context", summary: "its name", required: true }],
  examples: [{ line: "berth context use production", does: "from now on, for this user" }],
  async run(input) {
    const name = input.words[0] ?? "";
    chooseContext(input.environment, name);
    writeConfig(input.environment, { ...readConfig(input.environment), current: name });
    return said(input, { current: name }, `${name} is in use`);
  },
};

export const add: CommandDescription = {
  summary: "add a server, or change what is known of it",
  details: `The token is read from BERTH_TOKEN or --token-file; it is kept in the config file, readable by you only.`,
  arguments: [
    { name: "context", summary: "a name for it", required: true },
    { name: "url", summary: "http://HOST:PORT; several, divided by commas", required: true },
  ],
  options: [
    { flags: "--token-file <path>", summary: "file that holds the token, read at each use" },
  ],
  examples: [
    {
      line: "BERTH_TOKEN=… berth context add production http://10.0.0.5:7710",
      does: "keeps the token, too",
    },
  ],
  async run(input) {
    const [name = "", url = ""] = input.words;
    if (!url.split(",").every((each) => URL.canParse(each))) {
      throw new ProtocolError(
        "invalid_request",
        `"${url}" is no address; expected http://HOST:PORT, several divided by commas`,
      );
    }
    const config = readConfig(input.environment);
    const tokenFile = textOption(input, "tokenFile");
    const token = input.environment["BERTH_TOKEN"];
    const project = textOption(input, "project");
    const env = textOption(input, "env");
    const context = {
      url,
      ...(tokenFile === undefined ? {} : { tokenFile }),
      ...(tokenFile !== undefined || token === undefined ? {} : { token }),
      ...(project === undefined ? {} : { project }),
      ...(env === undefined ? {} : { environment: env }),
    };
    writeConfig(input.environment, {
      ...config,
      contexts: { ...config.contexts, [name]: context },
    });
    return said(input, { added: name }, `${name} is added (berth context use ${name})`);
  },
};

export const remove: CommandDescription = {
  summary: "forget a server",
  arguments: [{ name: "context", summary: "its name", required: true }],
  examples: [{ line: "berth context rm production", does: "nothing changes on the server" }],
  async run(input) {
    const name = input.words[0] ?? "";
    const { contexts = {}, current, ...rest } = readConfig(input.environment);
    if (contexts[name] === undefined) {
      const file = configPath(input.environment);
      throw new ProtocolError("not_found", `there is no context ${name} in ${file}`, { name });
    }
    const kept = Object.fromEntries(Object.entries(contexts).filter(([key]) => key !== name));
    const stays = current === undefined || current === name ? {} : { current };
    writeConfig(input.environment, { ...rest, ...stays, contexts: kept });
    return said(input, { removed: name }, `${name} is forgotten`);
  },
};

function said(input: CommandInput, data: object, words: string): number {
  input.output.line(input.output.json ? JSON.stringify(data) : words);
  return EXIT.done;
}
