// Warnings for people: what is said of several nodes is said once.

interface NodeWarning {
  readonly code: string;
  readonly node: string;
  readonly message: string;
  readonly fix: string;
}

const mostNames = 5;

/** One text per distinct message, with the nodes it is about. */
export function warningTexts(warnings: readonly NodeWarning[]): string[] {
  const nodesByText = new Map<string, string[]>();
  for (const { code, node, message, fix } of warnings) {
    const text = [`${code}: ${message}`, fix].filter(Boolean).join("; ");
    nodesByText.set(text, [...(nodesByText.get(text) ?? []), node].filter(Boolean));
  }
  return [...nodesByText].map(([text, nodes]) => {
    const more = nodes.length > mostNames ? ` and ${nodes.length - mostNames} more` : "";
    return nodes.length === 0 ? text : `${text} (${nodes.slice(0, mostNames).join(", ")}${more})`;
  });
}
