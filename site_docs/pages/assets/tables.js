// A table with data-sortable is sorted by the column whose heading is pressed; again, the other way.
function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const rising = heads[column].getAttribute("aria-sort") !== "ascending";
  const value = (row) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  };
  const order = (one, other) => {
    const [a, b] = [value(one), value(other)];
    // What is not known is last, however it is sorted.
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1;
    const difference =
      typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return rising ? difference : -difference;
  };
  heads.forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
}

// A table that is wider than the page can be moved with the keyboard too.
const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) {
      target.setAttribute("tabindex", "0");
      target.setAttribute("role", "group");
      target.setAttribute("aria-label", "Table");
    } else {
      target.removeAttribute("tabindex");
      target.removeAttribute("role");
      target.removeAttribute("aria-label");
    }
  }
});

document$.subscribe(() => {
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      head.querySelector("button").addEventListener("click", () => sortBy(table, column));
    }
  }
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    watcher.observe(wrap);
  }
});

// The theme puts a landmark without a name above each block of code.
const named = () => {
  for (const [place, buttons] of document.querySelectorAll(".md-code__nav").entries()) {
    buttons.setAttribute("aria-label", `Code ${place + 1}`);
  }
};
new MutationObserver(named).observe(document.querySelector("main"), { childList: true, subtree: true });
named();
