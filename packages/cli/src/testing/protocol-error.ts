/** For `assert.rejects` and `assert.throws`: a ProtocolError by code and words. */

import { type ErrorCode, ProtocolError } from "@berth/protocol";

export function isProtocolError(code: ErrorCode, words: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof ProtocolError && error.code === code && words.test(error.message);
}
