"use strict";
// Sorting, searching, folding of long tables, and the theme. Everything is readable without it.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const toggle = document.querySelector("[data-theme-toggle]");
  const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const label = () => { toggle.textContent = theme() === "dark" ? "Light" : "Dark"; toggle.setAttribute("aria-label", `Switch to the ${theme() === "dark" ? "light" : "dark"} theme`); };
  toggle.hidden = false;
  toggle.addEventListener("click", () => { root.dataset.theme = theme() === "dark" ? "light" : "dark"; label(); });
  dark.addEventListener("change", label);
  label();

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const key = (row, place) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y;
  };
  // What is unknown is last, whichever way the others are.
  const sort = (table, place, falling) => {
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, place), row]);
    rows.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : falling ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const button of document.querySelectorAll("button[data-sort]")) {
    const head = button.closest("th");
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const falling = before ? before === "ascending" : head.classList.contains("number");
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sort(head.closest("table"), head.cellIndex, falling);
    });
  }

  for (const button of document.querySelectorAll("[data-more]")) {
    const table = button.previousElementSibling.querySelector("table");
    const all = button.textContent;
    const show = (short) => {
      table.classList.toggle("is-short", short);
      button.setAttribute("aria-expanded", String(!short));
      button.textContent = short ? all : "Show fewer rows";
    };
    button.hidden = false;
    button.addEventListener("click", () => show(!table.classList.contains("is-short")));
    show(true);
  }

  for (const field of document.querySelectorAll("[data-search]")) {
    const figure = field.closest("figure");
    const rows = [...figure.querySelectorAll("tbody tr")];
    const found = figure.querySelector("[data-found]");
    field.closest(".search").hidden = false;
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      figure.classList.toggle("is-searched", words.length > 0);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      found.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
