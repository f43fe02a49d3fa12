// Sorts a table by a column when its heading is pressed; the address remembers it, and the server reads it there.
"use strict";
(() => {
  function valueOf(row, column) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  }

  // What was not measured is last, whichever way.
  function compare(one, other, sign) {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other), "en");
  }

  function sort(table, heading, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => [valueOf(row, heading.cellIndex), place, row]);
    rows.sort((one, other) => compare(one[0], other[0], sign) || one[1] - other[1]);
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
    body.append(...rows.map(([, , row]) => row));
  }

  function addressed(heading, direction) {
    const address = new URL(location.href);
    address.searchParams.set("sort", `${heading.dataset.sort}.${direction}`);
    return address;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("table[data-sortable] th button");
    if (button === null) return;
    const heading = button.closest("th");
    const first = heading.dataset.first ?? "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = heading.getAttribute("aria-sort") === first ? other : first;
    const table = heading.closest("table");
    // Where only the first rows are here, the server sorts all of them.
    if (table.dataset.sortable === "address") {
      location.assign(addressed(heading, direction));
      return;
    }
    sort(table, heading, direction);
    if (location.protocol.startsWith("http")) history.replaceState(null, "", addressed(heading, direction));
  });
})();
