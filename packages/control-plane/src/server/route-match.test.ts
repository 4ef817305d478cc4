/** Paths to routes: every row of the table is found, and what is nobody's is not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type RouteDescription, routes } from "@berth/protocol";
import { matchRoute, matchRoutes } from "./route-match.ts";

test("every route is found by its method and path, with its parameters", () => {
  for (const [id, { method, path }] of Object.entries<RouteDescription>(routes)) {
    const params: Record<string, string> = {};
    const asked = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      params[name] = `a-${name}`;
      return `a-${name}`;
    });
    assert.deepEqual(matchRoute(method, asked), { id, method, params }, id);
  }
});

test("what is written out comes before a parameter, for the methods that it has", () => {
  const stack = "/v1/projects/p/environments/e/stacks/s";
  const methods = (path: string) =>
    matchRoutes(path).map(({ id, method, params }) => [id, method, params["parameter"]]);
  assert.deepEqual(methods(`${stack}/parameters/values`), [
    ["showParameters", routes.showParameters.method, undefined],
    ["forgetParameter", routes.forgetParameter.method, "values"],
  ]);
});

test("parameters are decoded, and a slash within one is part of it", () => {
  const found = matchRoute("GET", "/v1/registries/a%2Fb%20c");
  const other = matchRoute("DELETE", "/v1/registries/a%2Fb%20c");
  assert.deepEqual((found ?? other)?.params, { server: "a/b c" });
});

test("what is nobody's path is found by no method", () => {
  for (const path of [
    "",
    "*",
    "v1/nodes",
    "/",
    "/v1/nodes/",
    "/v1//nodes",
    "/V1/nodes",
    "/v1/nodes/%ff",
    `/v1/nodes/${"x".repeat(257)}`,
    "/v1/nodes/a/b/c",
  ]) {
    assert.deepEqual(matchRoutes(path), [], path);
  }
  assert.equal(matchRoute("PATCH", "/v1/nodes"), undefined);
});
