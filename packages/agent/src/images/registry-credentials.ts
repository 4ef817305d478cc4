/**
 * Logins for the registries that a node's images come from: asked of the server when an image really has to
 * be fetched, and not kept: a new password is in use at once.
 *
 * While the server cannot be reached an image is tried without: a public one comes, a private one is
 * refused by its registry and tried again with the task's next attempt.
 */

import type { Logger } from "@berth/base";
import { type ApiClient, asProtocolError, type RegistryAuth, registryOf } from "@berth/protocol";

export interface RegistryCredentialsOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly log: Logger;
}

export class RegistryCredentials {
  readonly #options: RegistryCredentialsOptions;
  /** Questions under way, by project: the images of one deployment share one. */
  readonly #asking = new Map<string, Promise<readonly RegistryAuth[]>>();

  constructor(options: RegistryCredentialsOptions) {
    this.#options = options;
  }

  /** The login for the registry of `reference`, for images of `project`; nothing where there is none. */
  async authFor(project: string, reference: string): Promise<RegistryAuth | undefined> {
    const server = registryOf(reference);
    return (await this.allOf(project)).find((auth) => auth.server === server);
  }

  /** Every login that images of `project` may need: a build tells only later what it is made from. */
  async allOf(project: string): Promise<readonly RegistryAuth[]> {
    const known = this.#asking.get(project);
    if (known !== undefined) return known;
    const asking = this.#ask(project).finally(() => this.#asking.delete(project));
    this.#asking.set(project, asking);
    return asking;
  }

  async #ask(project: string): Promise<readonly RegistryAuth[]> {
    const { api, node, log } = this.#options;
    try {
      const params = { node };
      return (await api.call("getRegistryAuths", { params, query: { project } })).auths;
    } catch (error) {
      log.info("no logins could be asked for", { project, code: asProtocolError(error).code });
      return [];
    }
  }
}
