"use strict";
// Sorting, cells that open as dialogs, the theme, and commands that copy themselves; the page is whole without it.

function remembered(value) {
  try { // storage is closed to some pages that open from disk
    if (value !== undefined) localStorage.setItem("vgbench-theme", value);
    return localStorage.getItem("vgbench-theme");
  } catch (error) {
    return value ?? null;
  }
}

const root = document.documentElement;
if (remembered()) root.dataset.theme = remembered();

function isDark() {
  return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

function button(text, act, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (name) made.className = name;
  made.addEventListener("click", act);
  return made;
}

function offerTheme(nav) {
  const says = () => (isDark() ? "Light" : "Dark");
  const made = button(says(), () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered(root.dataset.theme);
    made.textContent = says();
  }, "theme");
  nav.append(made);
}

function keyOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number(text);
  return text === "" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
}

function order(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
}

function sortBy(table, head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row, head.cellIndex) }));
  rows.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null); // empty cells stay last
    return up ? order(a.key, b.key) : order(b.key, a.key);
  });
  body.append(...rows.map((entry) => entry.row));
}

function makeSortable(table) {
  for (const head of table.tHead.rows[0].cells) {
    const made = button(head.textContent, () => sortBy(table, head));
    head.replaceChildren(made);
  }
}

function openIn(dialog, details) {
  const title = details.querySelector(".name").textContent;
  const close = button("Close", () => dialog.close(), "close");
  dialog.setAttribute("aria-label", title);
  dialog.replaceChildren(details.querySelector(".opened").cloneNode(true), close);
  for (const link of dialog.querySelectorAll("a")) link.addEventListener("click", () => dialog.close());
  offerCopies(dialog);
  dialog.showModal();
  dialog.scrollTop = 0;
  close.focus();
}

function offerCopies(within) {
  for (const command of within.querySelectorAll(".command")) {
    const made = button("Copy", async () => {
      await navigator.clipboard.writeText(command.querySelector("code").textContent);
      made.textContent = "Copied";
    });
    command.append(made);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  offerTheme(document.querySelector(".top nav"));
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  const dialog = document.createElement("dialog");
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // the backdrop
  document.querySelectorAll("details.cell > summary").forEach((summary) => {
    summary.setAttribute("aria-haspopup", "dialog");
    summary.addEventListener("click", (event) => {
      event.preventDefault();
      openIn(dialog, summary.parentElement);
    });
  });
});
