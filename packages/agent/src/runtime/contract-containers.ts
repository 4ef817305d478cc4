/** The runtime's contract: lives of containers, their output, commands inside them. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { rejectsWith, type Subject } from "./contract-subject.ts";
import type { LogChunk } from "./port.ts";

const OBEDIENT = ["sh", "-c", 'trap "exit 0" TERM; sleep 100000 & wait'] as const;
/** Awkward for shells, files and parsers. */
const VALUES: Readonly<Record<string, string>> = {
  QUOTES: `a "b" 'c' \`d\``,
  LINES: "one\ntwo\r\n\tthree",
  DOLLAR: "$HOME $(id) $$ %s",
  JSON: '{"a":[1,"\\\\"]}',
  UNICODE: "Ankerplätze 泊位 🚢",
  EMPTY: "",
  SPACES: "  both ends  ",
  EQUALS: "a=b=c",
};

export function lifeTests(subject: Subject): void {
  it("answers the existing container when a name is created twice", async () => {
    const request = subject.request();
    const first = await subject.runtime.createContainer(request);
    const second = await subject.runtime.createContainer(request);
    assert.equal(second.id, first.id);
    assert.equal(first.phase, "created");
    assert.equal(first.name, request.name);
    assert.deepEqual(second.labels, request.labels);
  });

  it("starts, shows the process, and starting again changes nothing", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.startContainer(id);
    const state = await runtime.inspectContainer(id);
    assert.equal(state?.phase, "running");
    assert.equal(typeof state.pid, "number");
    assert.equal(state.imageId, subject.harness.image.imageId);
    assert.equal(state.exitCode, undefined);
  });

  it("finds containers by name and lists those of a cluster only", async () => {
    const { runtime } = subject;
    const { id, name, labels } = await subject.run();
    assert.equal((await runtime.inspectContainer(name))?.id, id);
    const listed = (await runtime.listContainers(subject.harness.cluster)).find(
      (container) => container.id === id,
    );
    assert.equal(listed?.name, name);
    assert.equal(listed.phase, "running");
    assert.deepEqual(listed.labels, labels);
    assert.deepEqual(await runtime.listContainers(`${subject.harness.cluster}-other`), []);
  });

  it("waits for the end and gives the code", async () => {
    const { id } = await subject.run({ command: ["sh", "-c", "sleep 0.1; exit 3"] });
    const state = await subject.runtime.waitContainer(id);
    assert.deepEqual([state.phase, state.exitCode, state.oomKilled], ["exited", 3, false]);
    assert.ok((state.finishedAt ?? 0) >= (state.startedAt ?? Number.POSITIVE_INFINITY));
    assert.equal((await subject.runtime.waitContainer(id)).exitCode, 3);
  });

  it("stops by the signal, and by force when the grace is over", async () => {
    const { runtime } = subject;
    const obedient = await subject.run({ command: OBEDIENT });
    await runtime.stopContainer(obedient.id, 20_000);
    assert.equal((await runtime.inspectContainer(obedient.id))?.exitCode, 0);
    const deaf = await subject.run();
    await runtime.stopContainer(deaf.id, 1_000);
    assert.equal((await runtime.inspectContainer(deaf.id))?.exitCode, 137);
    await runtime.stopContainer(deaf.id, 1_000);
  });

  it("kills, and killing what has ended is no error", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.killContainer(id, "SIGKILL");
    assert.equal((await runtime.waitContainer(id)).exitCode, 137);
    await runtime.killContainer(id, "SIGKILL");
  });
}

export function endTests(subject: Subject): void {
  it("removes what runs, and removing what is gone succeeds", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.removeContainer(id);
    assert.equal(await runtime.inspectContainer(id), undefined);
    await runtime.removeContainer(id);
    await rejectsWith("not_found", runtime.startContainer(id));
  });

  it("names the executable that is missing", async () => {
    const { runtime } = subject;
    const created = await runtime.createContainer(subject.request({ command: ["/no/such/tool"] }));
    const error = await rejectsWith("engine_error", runtime.startContainer(created.id));
    assert.match(error.message, /\/no\/such\/tool/);
    assert.match(
      (await runtime.inspectContainer(created.id))?.error ?? "",
      /no such file|not found/,
    );
  });

  it("refuses an image that is not there", async () => {
    const request = subject.request({ imageId: `sha256:${"0".repeat(64)}` });
    await rejectsWith("image_unavailable", subject.runtime.createContainer(request));
  });

  it("gives up when the signal says so", async () => {
    const { id } = await subject.run();
    const abort = new AbortController();
    const waiting = subject.runtime.waitContainer(id, abort.signal);
    abort.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
  });
}

export function outputTests(subject: Subject): void {
  const everything = async (id: string, since?: string) => {
    const chunks: LogChunk[] = [];
    const { signal } = new AbortController();
    for await (const chunk of subject.runtime.logs(id, since, signal)) chunks.push(chunk);
    return chunks;
  };

  it("gives output line by line with its stream and stamp, then ends", async () => {
    const { id } = await subject.run({
      command: ["sh", "-c", "echo one; echo two; sleep 0.1; echo bad >&2; exit 0"],
    });
    const chunks = await everything(id);
    assert.deepEqual(
      chunks.map((chunk) => [chunk.stream, Buffer.from(chunk.bytes).toString()]),
      [
        ["stdout", "one\n"],
        ["stdout", "two\n"],
        ["stderr", "bad\n"],
      ],
    );
    for (const chunk of chunks) {
      assert.match(chunk.stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      assert.equal(Date.parse(chunk.stamp), chunk.at);
    }
  });

  it("begins at a stamp, which is included", async () => {
    const { id } = await subject.run({
      command: ["sh", "-c", "echo one; sleep 0.1; echo two; sleep 0.1; echo three; exit 0"],
    });
    const all = await everything(id);
    const rest = await everything(id, all[1]?.stamp);
    assert.deepEqual(
      rest.map((chunk) => Buffer.from(chunk.bytes).toString()),
      ["two\n", "three\n"],
    );
  });

  it("gives bytes as they were written, with a terminal too", async () => {
    const text = "Ankerplätze 泊位";
    for (const tty of [false, true]) {
      const { id } = await subject.run({ command: ["echo", text], engine: { tty } });
      const [chunk] = await everything(id);
      assert.equal(
        Buffer.from(chunk?.bytes ?? [])
          .toString()
          .trimEnd(),
        text,
      );
    }
  });

  it("ends the stream when the signal says so", async () => {
    const { id } = await subject.run({ command: ["sh", "-c", "echo here; sleep 100000"] });
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const chunk of subject.runtime.logs(id, undefined, abort.signal)) {
      seen.push(Buffer.from(chunk.bytes).toString());
      abort.abort();
    }
    assert.deepEqual(seen, ["here\n"]);
  });
}

export function commandTests(subject: Subject): void {
  const shell = { tty: false, stdin: false } as const;

  it("runs commands inside with their output and code", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    assert.deepEqual(await runtime.runInside(id, ["echo", "hello"], { timeoutMs: 20_000 }), {
      exitCode: 0,
      output: "hello\n",
    });
    const failed = await runtime.runInside(id, ["sh", "-c", "exit 7"], { timeoutMs: 20_000 });
    assert.equal(failed.exitCode, 7);
    const missing = await runtime.runInside(id, ["/no/such/tool"], { timeoutMs: 20_000 });
    assert.ok([126, 127].includes(missing.exitCode), `code ${missing.exitCode}`);
  });

  it("gives up on a command that takes too long", async () => {
    const { id } = await subject.run();
    const running = subject.runtime.runInside(id, ["sleep", "60"], { timeoutMs: 300 });
    await rejectsWith("timed_out", running);
  });

  it("refuses commands in a container that does not run", async () => {
    const { id } = await subject.runtime.createContainer(subject.request());
    const running = subject.runtime.runInside(id, ["true"], { timeoutMs: 20_000 });
    await rejectsWith("conflict", running);
  });

  it("keeps the streams of a command apart and gives its code", async () => {
    const { id } = await subject.run();
    const stream = await subject.runtime.exec(id, {
      ...shell,
      command: ["sh", "-c", "echo out; echo err >&2; exit 5"],
    });
    const seen = { stdout: "", stderr: "" };
    for await (const chunk of stream.output()) {
      seen[chunk.stream] += Buffer.from(chunk.bytes).toString();
    }
    assert.deepEqual(seen, { stdout: "out\n", stderr: "err\n" });
    assert.equal(await stream.exitCode(), 5);
  });

  it("hands input over until its end", async () => {
    const { id } = await subject.run();
    const stream = await subject.runtime.exec(id, { ...shell, stdin: true, command: ["cat"] });
    await stream.write(Buffer.from("a line\n"));
    stream.endInput();
    let text = "";
    for await (const chunk of stream.output()) text += Buffer.from(chunk.bytes).toString();
    assert.equal(text, "a line\n");
    assert.equal(await stream.exitCode(), 0);
  });

  it("hands environment values over byte for byte", async () => {
    const { id } = await subject.run({ environment: VALUES });
    const { output } = await subject.runtime.runInside(id, ["cat", "/proc/1/environ"], {
      timeoutMs: 20_000,
    });
    const seen = output.split("\0");
    for (const [name, value] of Object.entries(VALUES)) {
      assert.ok(seen.includes(`${name}=${value}`), `${name} in ${JSON.stringify(output)}`);
    }
  });
}
