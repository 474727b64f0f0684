// Short ways to the page's elements.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children. */
export function make(tag, properties = {}, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const cells = (tag, texts) => texts.map((textContent) => make(tag, { textContent }));

/** Rows of texts into a table that may have a caption. */
export function fillTable(table, head, rows) {
  table.tHead?.remove();
  table.tBodies[0]?.remove();
  const headCells = cells("th", head);
  for (const cell of headCells) cell.scope = "col";
  table.append(
    make("thead", {}, [make("tr", {}, headCells)]),
    make(
      "tbody",
      {},
      rows.map((row) => make("tr", {}, cells("td", row))),
    ),
  );
}

export function bar() {
  const fill = make("i");
  return {
    element: make("div", { className: "bar" }, [fill]),
    set: (share) => {
      fill.style.width = `${100 * share}%`;
    },
  };
}
