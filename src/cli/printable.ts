// Text for a terminal: names in a file may hold control characters, which must not reach it.

/** One line, or a list whose further lines are indented by two. */
export function printableLine(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what goes
  return message.replace(/(?:(?!\n {2})[\u0000-\u001f\u007f-\u009f])+/g, " ").trim();
}

/** Lines stay lines. */
export function printableText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what goes
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, " ");
}
