// Rows of text in aligned columns.

/** Numbers (columns whose cells below the head all start with a digit) are aligned to the right. */
export function textTable(rows: readonly (readonly string[])[], { head = false } = {}): string {
  const body = head ? rows.slice(1) : rows;
  const count = Math.max(0, ...rows.map((row) => row.length));
  const columns = Array.from({ length: count }, (_, column) => ({
    width: Math.max(...rows.map((row) => row[column]?.length ?? 0)),
    isNumeric: body.length > 0 && body.every((row) => /^$|^-?[\d.,]+%?$/.test(row[column] ?? "")),
  }));
  while (columns.at(-1)?.width === 0) columns.pop();
  const line = (row: readonly string[]): string =>
    columns
      .map(({ width, isNumeric }, column) => (row[column] ?? "")[isNumeric ? "padStart" : "padEnd"](width))
      .join("  ")
      .trimEnd();
  const lines = rows.map(line);
  if (head) lines.splice(1, 0, columns.map(({ width }) => "-".repeat(width)).join("  "));
  return lines.join("\n");
}

/** Three digits, in powers of ten where that is shorter to read. */
export function shortNumber(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toPrecision(3);
}
