/** The registry, its way over the wire and its reference page. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { errorOfAnswer } from "./client/answer-error.ts";
import {
  asProtocolError,
  ERRORS,
  type ErrorCode,
  errorOfProblem,
  ProtocolError,
  problemOf,
} from "./errors.ts";
import { errorsPage } from "./errors-page.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

test("every code has a status of an error, a meaning and an advice as sentences", () => {
  for (const code of codes) {
    const { status, title, advice } = ERRORS[code];
    assert.ok(status >= 400 && status <= 599, code);
    assert.match(title, /^[A-Z].*\.$/, code);
    assert.match(advice, /^[A-Z].*\.$/, code);
  }
});

test("an error survives its way as a problem document, whatever its code", () => {
  for (const code of codes) {
    const error = new ProtocolError(code, "what happened", { limit: "x", value: 3 });
    const problem = problemOf(error, "i1");
    const received = errorOfProblem(JSON.parse(JSON.stringify(problem)));
    assert.deepEqual(
      [received?.code, received?.message, received?.details],
      [code, "what happened", { limit: "x", value: 3 }],
    );
    assert.equal(problem.type, `urn:berth:error:${code}`);
    assert.equal(problem.status, ERRORS[code].status);
  }
});

test("what is no problem document is none", () => {
  for (const body of [null, 1, "x", [], {}, { code: "nope", detail: "x" }, { code: "conflict" }]) {
    assert.equal(errorOfProblem(body), undefined);
  }
});

test("an answer without a problem document gets the code of its status", () => {
  const cases = [
    [401, "unauthenticated"],
    [413, "body_too_large"],
    [502, "unavailable"],
    [418, "internal"],
  ] as const;
  for (const [status, code] of cases) {
    assert.equal(errorOfAnswer(status, "<html>").code, code);
  }
  const own = errorOfAnswer(
    500,
    JSON.stringify(problemOf(new ProtocolError("internal", "x"), "i7")),
  );
  assert.deepEqual(own.details, { instance: "i7" });
});

test("any thrown thing becomes an error with its cause", () => {
  const known = new ProtocolError("conflict", "x");
  assert.equal(asProtocolError(known), known);
  const cause = new TypeError("broken");
  const made = asProtocolError(cause);
  assert.deepEqual([made.code, made.message, made.cause], ["internal", "broken", cause]);
  assert.equal(asProtocolError("text").message, "text");
});

test("the reference page is that of the registry", () => {
  const path = new URL("../../../docs/reference/errors.md", import.meta.url);
  if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, errorsPage());
  assert.equal(readFileSync(path, "utf8"), errorsPage());
});
