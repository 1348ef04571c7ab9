// The keyboard: one key for each thing that is done all day, and the sheet that lists them. Never while somebody types,
// and never at all once it was turned off in the sheet.
"use strict";

const TYPING = "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]";
const OFF = "keys off";
const rows = () => [...document.querySelectorAll("#found tbody tr")];
const current = () => document.activeElement.closest("#found tbody tr");

const KEYS = {
  a: () => press("accept"),
  r: () => press("reject"),
  x: () => tick(current()),
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => current() && step(1),
  ArrowUp: () => current() && step(-1),
  "/": () => focusOn(document.getElementById("q")),
  "?": help,
};

// Each answers whether it did something, so that the key is not also the browser's.
function press(decision) {
  const place = current() ?? rows()[0] ?? document.querySelector(".standing");
  const button = place?.querySelector(`.asks [name=${decision}]:enabled`);
  button?.focus();
  button?.click();
  return Boolean(button);
}

function step(by) {
  const all = rows();
  const here = all.indexOf(current());
  return focusOn(all[here < 0 ? 0 : here + by]?.querySelector("th a, button"));
}

function tick(row) {
  const box = row?.querySelector("[name=project]");
  box?.click();
  return Boolean(box);
}

function focusOn(element) {
  element?.focus();
  return Boolean(element);
}

document.addEventListener("keydown", (event) => {
  const busy = event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]");
  if (busy || localStorage.getItem(OFF) || event.target.closest?.(TYPING)) return;
  if (Object.hasOwn(KEYS, event.key) && KEYS[event.key]()) event.preventDefault();
});

// --- the sheet; it stands here and not in the page, because without a script there are no keys ---

const SHEET = {
  "a": "accept the row you are in, or the first one",
  "r": "reject it",
  "x": "select",
  "j ↓": "next row",
  "k ↑": "previous row",
  "/": "search",
  "Esc": "close what is open, unless you typed in it",
  "?": "show this help",
};

function help() {
  const sheet = document.getElementById("keys") ?? document.body.appendChild(document.createElement("dialog"));
  if (!sheet.id) {
    const keys = (names) => names.split(" ").map((name) => `<kbd>${name}</kbd>`).join(" ");
    const lines = Object.entries(SHEET).map(([names, does]) => `<div><dt>${keys(names)}</dt><dd>${does}</dd></div>`);
    sheet.id = "keys";
    sheet.setAttribute("aria-labelledby", "keys-title");
    sheet.innerHTML = `<h2 id="keys-title">Keyboard shortcuts</h2><dl>${lines.join("")}</dl>
      <p class="field check"><input id="keys-on" type="checkbox"><label for="keys-on">Use keyboard shortcuts on this computer</label></p>
      <form method="dialog"><button>Close</button></form>`;
    document.getElementById("keys-on").checked = !localStorage.getItem(OFF);
  }
  sheet.showModal();
  return true;
}

document.addEventListener("click", (event) => event.target.closest("[data-help]") && help());
document.addEventListener("change", (event) => {
  if (!event.target.matches("#keys-on")) return;
  if (event.target.checked) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "yes");
});
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-help]").forEach((button) => (button.hidden = false));
});
