// Sorts the table by a column, and shows the rows of one status whose clip or variant holds a text.
const table = document.getElementById("results");
const body = table && table.tBodies[0];
const search = document.getElementById("search");
let wanted = "";

function show() {
  const text = search.value.toLowerCase();
  for (const row of body.rows) {
    const name = (row.cells[0].textContent + " " + row.cells[1].textContent).toLowerCase();
    row.hidden = (wanted && row.dataset.status !== wanted) || !name.includes(text);
  }
}

function sort(head) {
  const up = !head.classList.contains("up");
  for (const other of table.tHead.rows[0].cells) other.classList.remove("up", "down");
  head.classList.add(up ? "up" : "down");
  const value = (row) => {
    const cell = row.cells[head.cellIndex];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const rows = [...body.rows].map((row) => [value(row), row]);
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // what has no value stands last
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return up ? order : -order;
  });
  body.append(...rows.map(([, row]) => row));
}

if (table) {
  for (const head of table.tHead.rows[0].cells) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort(head));
  }
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.addEventListener("click", () => {
      wanted = button.dataset.show;
      document.querySelector("button.on").classList.remove("on");
      button.classList.add("on");
      show();
    });
  }
  search.addEventListener("input", show);
}
