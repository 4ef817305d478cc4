/**
 * Contents of a task's secrets: from the server once, from the sealed copy afterwards, so that a task
 * starts again without the server. A copy counts only for the versions that it was made for.
 */

import { type ApiClient, type Assignment, ProtocolError } from "@berth/protocol";
import type { AgentState } from "../state/agent-state.ts";
import type { Sealer } from "../state/seal.ts";

interface SealedSecrets {
  readonly versions: Readonly<Record<string, string>>;
  /** Base64 by name. */
  readonly contents: Readonly<Record<string, string>>;
}

export interface SecretSourceOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly state: AgentState;
  readonly sealer: Sealer;
}

export class SecretSource {
  readonly #options: SecretSourceOptions;

  constructor(options: SecretSourceOptions) {
    this.#options = options;
  }

  /** Bytes by name. */
  async read(
    { task, secrets }: Assignment,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Buffer>> {
    const names = Object.keys(secrets);
    if (names.length === 0) return new Map();
    const known = this.#sealed(task.id);
    const isCurrent = names.every((name) => known?.versions[name] === secrets[name]?.version);
    const contents =
      isCurrent && known ? known.contents : await this.#fetch(task.id, secrets, signal);
    const bytes = new Map<string, Buffer>();
    for (const name of names) {
      const text = contents[name];
      if (text === undefined) {
        throw new ProtocolError("unavailable", `the server did not hand over secret ${name}`, {
          task: task.id,
          secret: name,
        });
      }
      bytes.set(name, Buffer.from(text, "base64"));
    }
    return bytes;
  }

  /**
   * Who may pass the doors of a service whose copy `task` is another node's, by name of secret. Kept nowhere: a node
   * that starts without the server lets nobody pass those doors.
   */
  async fetchAtDoor(task: string, signal: AbortSignal): Promise<ReadonlyMap<string, Buffer>> {
    const { api, node } = this.#options;
    const contents = await api.call("getTaskSecrets", { params: { node, task }, signal });
    const entries = Object.entries(contents);
    return new Map(entries.map(([name, text]) => [name, Buffer.from(text, "base64")]));
  }

  #sealed(task: string): SealedSecrets | undefined {
    const sealed = this.#options.state.readSecret(task);
    if (typeof sealed !== "string") return undefined;
    return JSON.parse(this.#options.sealer.open(sealed, task)) as SealedSecrets;
  }

  async #fetch(
    task: string,
    secrets: Assignment["secrets"],
    signal: AbortSignal,
  ): Promise<SealedSecrets["contents"]> {
    const { api, node, state, sealer } = this.#options;
    const contents = await api.call("getTaskSecrets", { params: { node, task }, signal });
    const versions: Record<string, string> = {};
    for (const [name, { version }] of Object.entries(secrets)) versions[name] = version;
    await state.putSecret(task, sealer.seal(JSON.stringify({ versions, contents }), task));
    return contents;
  }
}
