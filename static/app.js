// Announcements, focus, one post for one click, counters, keys. Every page works without it.
"use strict";

const FIELD = "input:not([type=hidden]), select, textarea";
const INVALID = ":is(input, select, textarea)[aria-invalid=true]";
const UNREACHABLE = "Countersign did not answer, so nothing was changed. Try again in a moment.";
const SIGNED_OUT = "You were signed out. What you typed is still here: sign in in another tab, then press the button again.";
const SIGNED_IN = "You are signed in again. Nothing was changed yet: press the button once more.";
const TYPED = "You have typed something here. Press Cancel to discard it.";

// --- saying what happened ---

function announce(sentence, failed, link) {
  const announcer = document.getElementById("announcer");
  if (announcer.textContent === sentence) return;  // a poll that fails each second says so once
  const line = document.createElement("p");
  line.textContent = sentence;
  if (failed) line.setAttribute("role", "alert");
  if (link) linkWord(line.firstChild, ...link);
  announcer.replaceChildren(line);
  announcer.classList.add("toast");
}

function linkWord(text, word, address) {
  const found = text.splitText(text.data.lastIndexOf(word));
  found.splitText(word.length);
  found.replaceWith(Object.assign(document.createElement("a"), { href: address, textContent: word }));
}

document.addEventListener("announce", ({ detail }) => announce(detail.sentence, detail.failed, detail.link));
document.addEventListener("htmx:error", () => announce(UNREACHABLE, true));
document.addEventListener("htmx:response:error", ({ detail: { ctx: { response } } }) => {
  const token = response.headers.get("Fresh-Token");
  if (response.status >= 500) announce(UNREACHABLE, true);
  if (response.status === 401) announce(SIGNED_OUT, true);
  if (token) {  // somebody signed in again elsewhere: the forms of this page are theirs now
    document.querySelectorAll("[name=csrf_token]").forEach((input) => (input.value = token));
    announce(SIGNED_IN);
  }
});
document.addEventListener("click", () => {
  const announcer = document.getElementById("announcer");
  if (announcer.classList.contains("toast")) announcer.replaceChildren();
});

// --- where the focus goes ---

const opened = {};  // the button that opened a row's panel, by the row's id
const stops = (element) => [...element.querySelectorAll("a, button")];
const firstField = (element) => element.querySelector(".decision form:not(.remark), .many")?.querySelector(FIELD);

document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
  const target = ctx.target.matches ? ctx.target : document.querySelector(ctx.target);  // a text where the answer chose it
  ctx.leaving = target.contains(document.activeElement);
  ctx.stop = stops(target).indexOf(document.activeElement);
  ctx.focused = document.activeElement.id;
  ctx.typed = target.querySelector("[data-typed]");
  ctx.decided = ctx.sourceEvent?.type === "submit" && target.querySelector(".panel [method=post]");
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  const target = event.target;  // what came instead, where the asker itself was replaced
  target.querySelectorAll("[data-limit]").forEach(count);
  if (ctx.typed) target.querySelector(".decision")?.setAttribute("data-typed", "");
  const asked = ["submit", "click"].includes(ctx.sourceEvent?.type);
  const invalid = asked && target.querySelector(INVALID);
  if (invalid) invalid.focus();
  else if (ctx.decided && !target.querySelector(".panel, [role=alert]")) goOn(target, ctx.sourceEvent.submitter);
  else if ((asked || ctx.leaving) && !target.contains(document.activeElement)) landing(target, asked ? -1 : ctx.stop, asked ? "" : ctx.focused)?.focus();
});

// What was typed while a chosen template's values were on their way stays.
document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
  const form = ctx.sourceElement.name === "template" && ctx.sourceElement.form;
  ctx.late = form ? [...new FormData(form)].filter(([name, value]) => ctx.request.body.get(name) !== value) : [];
});

document.addEventListener("htmx:after:swap", ({ detail: { ctx }, target }) => {
  for (const [name, value] of ctx.late) {
    const field = target.querySelector(`[name="${name}"]`);
    field.form.elements[name].value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
});

// After a decision to the next project that waits below, else above; else to what the decided row offers.
function goOn(row, submitter) {
  const rows = [...row.parentElement.children];
  const place = rows.indexOf(row);
  const waits = (each) => each !== row && each.querySelector(".asks button:enabled");
  const button = waits([...rows.slice(place), ...rows].find(waits) ?? row) || landing(row, -1);
  button?.focus();
  if (submitter?.name === "open_next" && button?.name === "accept") button.click();
}

// In a refreshed panel the same field, else the first one; in a refreshed row the same place; in one that was closed the
// button that opened it; else one that only asks: a second Enter must not act.
function landing(target, stop, focused) {
  const asked = target.querySelector(`.asks [name="${opened[target.id]}"]`);
  const same = focused && document.getElementById(focused);
  return (same || firstField(target)) ?? stops(target)[stop] ?? asked ?? target.querySelector(".asks button") ?? target.querySelector("a, button");
}

document.addEventListener("DOMContentLoaded", () => (document.querySelector(INVALID) ?? firstField(document))?.focus());

// Esc closes a panel, but throws nothing away: not what was typed in it, nor what came back to be corrected.
document.addEventListener("input", ({ target }) => target.closest(".decision")?.setAttribute("data-typed", ""));

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const here = document.activeElement;
  const panel = here === document.body ? document.querySelector(".decision") : here.closest(".decision");
  if (panel?.matches("[data-typed]")) announce(TYPED);
  else panel?.querySelector("[data-cancel]")?.click();
});

// The check of a number marks its field, and offers the next free one.
document.addEventListener("htmx:after:swap", ({ target }) => {
  const said = target.querySelector?.(":scope > [data-usable]");
  const field = said && target.parentElement.querySelector("input");
  if (field) field.setAttribute("aria-invalid", said.dataset.usable === "no");
});

document.addEventListener("click", ({ target }) => {
  const field = target.matches("[data-use]") && target.closest("[role=status]").parentElement.querySelector("input");
  if (!field) return;
  field.value = target.dataset.use;
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// An edited field is no longer marked as wrong.
document.addEventListener("input", ({ target }) => target.matches(INVALID) && target.removeAttribute("aria-invalid"));

// --- a page that refreshes itself does not keep the session alive ---

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.sourceElement?.matches?.("[hx-trigger^=every]")) ctx.request.headers["Unattended"] = "true";
});

// --- Back shows no page of an ended session ---

const sessionMark = () => document.querySelector("meta[name=session]")?.content;
const endedSessions = () => JSON.parse(localStorage.getItem("ended-sessions") ?? "[]");

document.addEventListener("submit", ({ target }) => {
  if (target.matches(".bar .me")) localStorage.setItem("ended-sessions", JSON.stringify([...endedSessions().slice(-9), sessionMark()]));
});
window.addEventListener("pageshow", () => endedSessions().includes(sessionMark()) && location.replace("/login"));

// --- Back shows the page as it is: it posts no form again, and shows no list that was kept from before ---

history.replaceState(history.state, "", location.href);
window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

// --- the address of what is shown, after a search while typing ---

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.sourceElement.matches(".search")) history.replaceState(null, "", ctx.response.raw.url);
});

// --- changes by others appear by themselves, but not under the hands of whoever works in the list ---

function catchUp({ target }) {
  const found = document.getElementById("found");
  const stale = target.matches?.("[hx-trigger^=every][data-revision]") && found && found.dataset.revision !== document.querySelector("ul[data-revision]").dataset.revision;
  if (!stale || found.matches(":focus-within") || found.querySelector(":checked, .panel, tr[hx-trigger]")) return;
  htmx.ajax("GET", location.href, { target: found, select: "#found", swap: "outerMorph", headers: { Unattended: "true" } });
}

document.addEventListener("htmx:after:swap", catchUp);
document.addEventListener("htmx:finally:request", catchUp);  // nothing came, but what kept it from the list may be over

// --- a decision opens in its row; without a script it is a page of its own ---

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  const row = form.matches(".asks") && form.closest("tr");
  if (!row) return;
  event.preventDefault();
  opened[row.id] = submitter.name;
  const headers = { "HX-Target": `tr#${row.id}` };
  htmx.ajax("GET", `${form.action}/${submitter.name}`, { source: submitter, event, target: row, swap: "outerHTML", headers });
});

// --- how many are selected ---

document.addEventListener("change", ({ target }) => {
  const said = target.name === "project" && document.querySelector("[data-selected]");
  if (!said) return;
  const others = document.querySelectorAll("#decide [name=project]").length;
  said.textContent = `${document.querySelectorAll("#found :checked").length + others} selected`;
});

// --- Send to ERP saves first what is typed, so it follows the checkbox and not what is saved ---

function followActive() {
  const [active, send, why] = ["active", "send", "why-not"].map((id) => document.getElementById(id));
  if (!send) return;
  send.disabled = !active.checked;
  why.hidden = active.checked;
}

document.addEventListener("change", followActive);
window.addEventListener("pageshow", followActive);  // a browser may bring back how it was ticked

// --- one post for one click ---

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("method") !== "post") return;
  if (form.ariaBusy) {
    event.preventDefault();
    event.stopPropagation();
  }
  form.ariaBusy = "true";
}, true);

document.addEventListener("htmx:finally:request", (event) => (event.target.ariaBusy = null));
window.addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach((form) => (form.ariaBusy = null)));

// No refresh while a button is pressed: one that is replaced is never clicked.
document.addEventListener("htmx:before:request", (event) => {
  if (event.target.matches?.("[hx-trigger^=every]:active")) event.preventDefault();  // the document, once who asked is gone
});

// --- counting characters ---

function count(input) {
  const id = `${input.id}-limit`;
  const length = [...input.value].length;
  const counter = document.getElementById(id) ?? beside(input, id);
  counter.textContent = length ? `${length} of ${input.dataset.limit}` : "";
  counter.classList.toggle("over", length > input.dataset.limit);
}

function beside(input, id) {
  const counter = document.createElement("span");
  counter.id = id;
  counter.className = "limit";
  input.before(counter);
  input.setAttribute("aria-describedby", [input.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
  return counter;
}

document.addEventListener("input", (event) => event.target.matches("[data-limit]") && count(event.target));
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-limit]").forEach(count));

// --- the keyboard: one key for each thing that is done all day; never while somebody types, nor once it was turned off ---

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
