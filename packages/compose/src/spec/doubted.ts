/**
 * Words that the reference passes on as they are, and that somebody further down refuses: the engine at the first start of
 * a container, or the kernel. They load and print, with a warning at their place while it can still be mended.
 */

import { nearestWord } from "@berth/base";
import type { Codec } from "../codec/codec.ts";
import { isUnexpanded } from "../codec/scalar-codecs.ts";
import { kindName, type Tree } from "../tree/tree.ts";

/** Which words there are. */
export interface KnownWords {
  /** To suggest from. */
  readonly words: readonly string[];
  /** Forms beside the words. */
  readonly form?: RegExp;
  readonly expected: string;
  /** How words are compared: as they are, where nothing is said. */
  readonly plain?: (text: string) => string;
}

/** `codec`, of a text or a list of texts; each that is none of the words is warned of. */
export function doubted<T>(codec: Codec<T>, known: KnownWords): Codec<T> {
  const words = new Set(known.words);
  const isKnown = (text: string) =>
    text === "" || words.has(known.plain?.(text) ?? text) || known.form?.test(text) === true;
  const look = (tree: Tree, path: string, reading: Parameters<Codec<T>["read"]>[2]): void => {
    if (tree.kind !== "scalar" || isUnexpanded(tree, reading) || isKnown(tree.text)) return;
    reading.problems.warn(tree, path, `is ${kindName(tree)}, which the engine refuses`, {
      expected: known.expected,
      suggestion: nearestWord(known.plain?.(tree.text) ?? tree.text, known.words),
    });
  };
  return {
    ...codec,
    read(tree, path, reading) {
      const value = codec.read(tree, path, reading);
      if (value === undefined) return value;
      if (tree.kind === "seq") {
        // A word that a list repeats is doubted once: finding what it may mean costs a look at every known word.
        const seen = new Set<string>();
        for (const [index, item] of tree.items.entries()) {
          if (item.kind !== "scalar" || seen.has(item.text)) continue;
          seen.add(item.text);
          look(item, `${path}[${index}]`, reading);
        }
      } else look(tree, path, reading);
      return value;
    },
  };
}

/** capabilities(7), without the prefix that may stand before each. */
export const CAPABILITIES: KnownWords = {
  words: [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
  ],
  expected: "a capability of Linux such as NET_ADMIN, or ALL",
  plain: (text) => text.toUpperCase().replace(/^CAP_/, ""),
};

/** signal(7). */
export const SIGNALS: KnownWords = {
  words: [
    "ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT RTMAX RTMIN SEGV STKFLT STOP SYS TERM",
    "TRAP TSTP TTIN TTOU UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ CLD",
  ].flatMap((row) => row.split(" ").map((name) => `SIG${name}`)),
  form: /^(?:[1-9]|[1-5][0-9]|6[0-4]|(?:SIG)?RT(?:MIN\+|MAX-)(?:[0-9]|1[0-5]))$/i,
  expected: "a signal such as SIGTERM, or its number",
  plain: (text) => `SIG${text.toUpperCase().replace(/^SIG/, "")}`,
};

export const IPC_MODES: KnownWords = {
  words: ["none", "private", "host", "shareable"],
  form: /^(?:service|container):./,
  expected: "none, private, host, shareable or service:NAME",
};

export const PID_MODES: KnownWords = {
  words: ["host", "private"],
  form: /^(?:service|container):./,
  expected: "host or service:NAME",
};

export const HOST_MODE: KnownWords = { words: ["host"], expected: "host" };

export const NAME_SERVERS: KnownWords = {
  words: [],
  form: /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%\w+)?$/,
  expected: "an address such as 10.0.0.53",
};
