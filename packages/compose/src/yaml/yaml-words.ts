/**
 * What is wrong with a text that is no YAML, in words for people who never read the grammar, at the place where the
 * mistake was made and not where a reader gave up.
 */

import type { Document, Node, Scalar, YAMLError } from "yaml";
import { isCollection, isScalar, visit } from "yaml";

/** A problem of a text as a whole. */
export interface YamlProblem {
  readonly offset: number;
  readonly message: string;
  readonly expected?: string;
}

/** The first error of a document: the others follow from it. */
export function yamlProblem(
  error: YAMLError,
  text: string,
  document: Document.Parsed,
): YamlProblem {
  const [offset] = error.pos;
  switch (error.code) {
    case "TAB_AS_INDENT":
      return { offset, message: "a tab indents this line", expected: "spaces only" };
    case "BAD_INDENT":
      return badIndent(error, text, document);
    case "MISSING_CHAR":
      return missingChar(error, text, document);
    case "BAD_SCALAR_START":
      return quotesNeeded(offset, `begins with ${JSON.stringify(text[offset] ?? "")}`);
    case "BAD_ALIAS":
      return quotesNeeded(offset, `begins with ${JSON.stringify(text[offset] ?? "*")}`);
    case "BLOCK_AS_IMPLICIT_KEY":
      return blockAsKey(offset, text);
    case "MULTILINE_IMPLICIT_KEY":
      return noColon(offset, text);
    default:
      return { offset, message: `is not YAML: ${lowered(error.message)}` };
  }
}

/** Of a line that is shown, at most so much. */
const ITEM_SHOWN_CHARS_MAX = 60;

function lowered(message: string): string {
  return `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** A line that is taken for a key: often it is an item without its space, or text that a `|` above is missing. */
function noColon(offset: number, text: string): YamlProblem {
  const line = lineOf(text, offset);
  const before = text.slice(0, text.lastIndexOf("\n", offset - 1) + 1).trimEnd();
  if (/^\s*-[^\s-]/.test(line)) {
    const message = "a dash without a space after it begins no item of a list";
    return { offset, message, expected: `- ${line.trim().slice(1, ITEM_SHOWN_CHARS_MAX)}` };
  }
  if (/:\s+[|>][-+0-9]*$/.test(before.slice(-ITEM_SHOWN_CHARS_MAX))) {
    return {
      offset,
      message: `the text of the ${before.match(/[|>][-+0-9]*$/)?.[0]} above is not indented`,
      expected: "its lines deeper than its key",
    };
  }
  return {
    offset,
    message: "there is no colon after the key of this line",
    expected: "KEY: VALUE, with a space after the colon",
  };
}

function quotesNeeded(offset: number, what: string): YamlProblem {
  return { offset, message: `a text that ${what} is no YAML`, expected: "the text in quotes" };
}

/** Lines of one mapping begin at one column; open brackets are found by what is still open at the end. */
function badIndent(error: YAMLError, text: string, document: Document.Parsed): YamlProblem {
  const [offset] = error.pos;
  if (error.message.startsWith("Flow")) {
    const open = openBracket(document, text, offset);
    const sign = text[open ?? offset] === "{" ? "{" : "[";
    const end = sign === "{" ? "}" : "]";
    return {
      offset: open ?? offset,
      message: `the ${sign} is not closed`,
      expected: `a ${end}, or lines that are indented deeper`,
    };
  }
  return {
    offset: firstOfLine(text, offset),
    message: `the line is indented by ${indentOf(text, offset)}, as no line above it that it could belong to`,
    expected: "the column of its sisters",
  };
}

function missingChar(error: YAMLError, text: string, document: Document.Parsed): YamlProblem {
  const [offset] = error.pos;
  if (error.message.startsWith("Implicit map keys")) return noColon(offset, text);
  const quote = /closing (["'])/.exec(error.message)?.[1];
  if (quote === undefined) return { offset, message: `is not YAML: ${lowered(error.message)}` };
  const kind = quote === '"' ? "QUOTE_DOUBLE" : "QUOTE_SINGLE";
  const open = lastOpen(
    document,
    offset,
    (node) => isScalar(node) && (node as Scalar).type === kind,
  );
  return {
    offset: open ?? offset,
    message: `the ${quote} is not closed`,
    expected: `a ${quote} at the end of the text`,
  };
}

function blockAsKey(offset: number, text: string): YamlProblem {
  const line = lineOf(text, offset);
  if (/:\s.*:(\s|$)/.test(line)) {
    return quotesNeeded(offset, 'has a colon with a space (": ") in it');
  }
  return {
    offset: firstOfLine(text, offset),
    message: `the line is indented by ${indentOf(text, offset)}, as no line above it that it could belong to`,
    expected: "the column of its sisters",
  };
}

/** The innermost bracket that is still open at `offset`, where a line begins that it cannot hold. */
function openBracket(document: Document.Parsed, text: string, offset: number): number | undefined {
  const isFlow = (node: Node) => isCollection(node) && node.flow === true;
  const held = text.slice(0, offset).trimEnd().length;
  let found: number | undefined;
  visit(document, {
    Node: (_key, node) => {
      const [start, valueEnd] = node.range ?? [offset, 0];
      if (isFlow(node) && start < held && valueEnd > held) found = start;
    },
  });
  return found ?? lastOpen(document, text.length, isFlow);
}

/** Where the last node begins that is of a kind and reaches up to `end`. */
function lastOpen(
  document: Document.Parsed,
  end: number,
  isKind: (node: Node) => boolean,
): number | undefined {
  let found: number | undefined;
  visit(document, {
    Node: (_key, node) => {
      const [start, valueEnd] = node.range ?? [end, 0];
      if (isKind(node) && start < end && valueEnd >= end - 1) found = start;
    },
  });
  return found;
}

function lineOf(text: string, offset: number): string {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", offset);
  return text.slice(start, end < 0 ? text.length : end);
}

function indentOf(text: string, offset: number): string {
  const count = lineOf(text, offset).search(/\S|$/);
  return `${count} space${count === 1 ? "" : "s"}`;
}

/** The first character of the line that is no blank. */
function firstOfLine(text: string, offset: number): number {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  return start + lineOf(text, offset).search(/\S|$/);
}
