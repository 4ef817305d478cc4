/**
 * A command line as one text, split into words: how `command: echo "a b"` becomes two words.
 *
 * No shell runs. Quotes and backslashes group as in a shell; the line ends at an unquoted `;`, `&`, `|`, `<` or
 * `>`, because the reference implementation stops there (and so do its users' files); parentheses and
 * backquotes that a shell would run are refused.
 */

/** The words of `line`; `undefined` when a quote is not closed or a shell would be needed. */
export function shellWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word = "";
  let inWord = false;
  let single = false;
  let double = false;
  let back = false;
  // Inside $( ) everything is text: the shell that reads it later splits it.
  let dollar = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? "";
    const quoted = single || double || back || dollar;
    if (char === "\\" && !single) {
      const next = line[++at];
      if (next === undefined) return undefined;
      word += double && next !== '"' && next !== "\\" && next !== "$" && next !== "`" ? next : next;
      inWord = true;
    } else if (isSpace(char) && !quoted) {
      if (inWord) words.push(word);
      word = "";
      inWord = false;
    } else if (char === "'" && !double && !back && !dollar) {
      single = !single;
      inWord = true;
    } else if (char === '"' && !single && !back && !dollar) {
      double = !double;
      inWord = true;
    } else if (char === "`" && !single && !double && !dollar) {
      back = !back;
      word += char;
      inWord = true;
    } else if (char === "(" && !quoted) {
      if (!word.endsWith("$")) return undefined;
      dollar = true;
      word += char;
    } else if (char === ")" && !single && !double && !back) {
      if (!dollar) return undefined;
      dollar = false;
      word += char;
    } else if (!quoted && ";&|<>".includes(char)) {
      return finish(words, endedWord(word, char), inWord);
    } else {
      word += char;
      inWord = true;
    }
  }
  return single || double || back || dollar ? undefined : finish(words, word, inWord);
}

/** `echo 2>/dev/null`: the descriptor number belongs to the redirection, not to the words. */
function endedWord(word: string, char: string): string | undefined {
  return char === ">" && /^\d/.test(word) ? undefined : word;
}

function finish(words: string[], word: string | undefined, inWord: boolean): readonly string[] {
  if (inWord && word !== undefined) words.push(word);
  return words;
}

function isSpace(char: string): boolean {
  return char === " " || char === "\t" || char === "\r" || char === "\n";
}
