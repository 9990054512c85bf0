// The palette (Ctrl or Cmd K), single keys, and the sheet that lists them. They lead to what pages offer as links and
// buttons; nothing is reached by them alone.
const $ = (selector, root = document) => root.querySelector(selector);
const root = $(".brand")?.getAttribute("href");
const sprite = $("use")?.getAttribute("href").split("#")[0];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function icon(name) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  for (const [key, value] of [["class", "icon"], ["aria-hidden", "true"], ["focusable", "false"]]) drawn.setAttribute(key, value);
  use.setAttribute("href", `${sprite}#${name}`);
  drawn.append(use);
  return drawn;
}

// What a person chose lately is kept for this tab and this person.
const shelf = `recent ${$("#operator .head span")?.textContent}`;
function recent() {
  try { return JSON.parse(sessionStorage.getItem(shelf)) ?? []; } catch { return []; }
}
function remember(item) {
  const kept = [item, ...recent().filter(({ href }) => href !== item.href)].slice(0, 5);
  try { sessionStorage.setItem(shelf, JSON.stringify(kept)); } catch {}
}

const field = make("input", {
  type: "text", role: "combobox", "aria-label": "Search", "aria-controls": "palette-list", "aria-expanded": "false",
  "aria-autocomplete": "list", placeholder: "Page, action, or the beginning of a name or id", autocomplete: "off", spellcheck: "false",
});
const list = make("div", { id: "palette-list", role: "listbox", "aria-label": "Found", hidden: "" });
const note = make("p", { role: "status", class: "why" });
const palette = make("dialog", { id: "palette", class: "palette", "aria-label": "Palette" }, make("div", { class: "field" }, icon("search"), field), list, note);
let items = [];
let current = 0;
let asked;
// What the list answers, and whether Enter came before the answer to what is typed.
let drawn = null;
let isWanted = false;

function mark(next) {
  current = items.length ? (next + items.length) % items.length : 0;
  for (const [place, option] of [...list.querySelectorAll("[role=option]")].entries()) {
    option.setAttribute("aria-selected", String(place === current));
    if (place === current) option.scrollIntoView({ block: "nearest" });
  }
  if (items.length) field.setAttribute("aria-activedescendant", `palette-${current}`);
  else field.removeAttribute("aria-activedescendant");
}

function choose(item) {
  if (!item) return;
  if (item.refused) note.textContent = item.refused;
  else {
    const { text, detail, href, icon } = item;
    remember({ text, detail, href, icon });
    palette.close();
    location.assign(href);
  }
}

function draw(groups) {
  items = groups.flatMap((group) => group.items);
  let place = 0;
  list.replaceChildren(...groups.map((group) => {
    const title = make("div", { class: "title", "aria-hidden": "true" }, group.title);
    const options = group.items.map((item) => {
      const option = make("div", { role: "option", id: `palette-${place++}`, "aria-selected": "false" }, icon(item.icon), make("span", {}, item.text), make("span", { class: "why" }, item.refused ?? item.detail));
      if (item.refused) option.setAttribute("aria-disabled", "true");
      option.addEventListener("click", () => choose(item));
      return option;
    });
    return make("div", { role: "group", "aria-label": group.title }, title, ...options);
  }));
  list.hidden = items.length === 0;
  field.setAttribute("aria-expanded", String(!list.hidden));
  note.textContent = list.hidden ? "Nothing begins with this." : "";
  mark(0);
}

async function ask() {
  asked?.abort();
  const now = (asked = new AbortController());
  const q = field.value.trim();
  try {
    const answer = await fetch(`${root}/search?format=json&q=${encodeURIComponent(q)}`, { signal: now.signal });
    if (!answer.ok || answer.redirected) throw new Error(answer.redirected ? "Sign in again" : `No answer (${answer.status})`);
    const { groups } = await answer.json();
    const lately = q ? [] : recent();
    if (asked !== now) return;
    draw(lately.length ? [{ title: "Recent", items: lately }, ...groups] : groups);
    drawn = q;
    if (isWanted) choose(items[current]);
    isWanted = false;
  } catch (error) {
    if (error.name !== "AbortError") note.textContent = error.message;
  }
}

function open(text = "") {
  if (!palette.isConnected) document.body.append(palette);
  field.value = text;
  drawn = null;
  if (!palette.open) palette.showModal();
  ask();
}

field.addEventListener("input", () => {
  isWanted = false;
  ask();
});
field.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) mark(current + step);
  else if (event.key === "Enter" && drawn !== field.value.trim()) isWanted = true;
  else if (event.key === "Enter") choose(items[current]);
  else return;
  event.preventDefault();
});
palette.addEventListener("click", (event) => event.target === palette && palette.close());

// Single keys, which can be switched off (WCAG 2.2, 2.1.4).
const SWITCH = "keys";
const isOff = () => { try { return localStorage.getItem(SWITCH) === "off"; } catch { return false; } };
const PLACES = { h: ["Home", ""], c: ["Clients", "/identity/clients"], k: ["Keys", "/identity/keys"], a: ["Audit log", "/audit"] };
const sheet = make("dialog", { class: "narrow", "aria-labelledby": "keys-title" });

function openSheet() {
  const line = (what, ...keys) => make("div", {}, make("dt", {}, ...keys.map((key) => make("kbd", {}, key))), make("dd", {}, what));
  const box = make("input", { type: "checkbox" });
  box.checked = !isOff();
  box.addEventListener("change", () => { try { localStorage.setItem(SWITCH, box.checked ? "on" : "off"); } catch {} });
  const done = make("button", { class: "button", type: "button" }, "Close");
  done.addEventListener("click", () => sheet.close());
  sheet.replaceChildren(
    make("h2", { id: "keys-title" }, "Keys"),
    make("dl", { class: "keys" },
      line("Search and actions", "Ctrl", "K"), line("Filter", "/"), ...Object.entries(PLACES).map(([key, [name]]) => line(name, "g", key)),
      line("New", "n"), line("Next and previous row", "j", "k"), line("Select the row", "x"), line("Theme", "t"), line("This sheet", "?")),
    make("label", { class: "check" }, box, make("span", {}, "Single keys work on this browser")),
    make("div", { class: "actions" }, done));
  if (!sheet.isConnected) document.body.append(sheet);
  sheet.showModal();
}

function move(step) {
  const stops = [...document.querySelectorAll(".table tbody .lead a, .record > summary")];
  const at = stops.findIndex((stop) => stop.closest("tr, .record").contains(document.activeElement));
  stops[at < 0 ? (step > 0 ? 0 : stops.length - 1) : at + step]?.focus();
}

function turnTheme() {
  const choices = [...document.querySelectorAll("[data-theme-switch] button")];
  const at = choices.findIndex((choice) => choice.getAttribute("aria-pressed") === "true");
  choices[(at + 1) % choices.length]?.click();
}

let first = "";
document.addEventListener("keydown", (event) => {
  if (!root) return;
  const isBare = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (!isBare && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    open();
    return;
  }
  const before = first;
  first = "";
  // the focus may still be on a field of a dialog that was closed a moment ago
  const isField = event.target.closest("input:not([type=checkbox]), select, textarea, dialog, [contenteditable]") && event.target.checkVisibility();
  if (!isBare || isField) return;
  // the sheet stays reachable, so that the keys can be switched on again
  if (event.key === "?") openSheet();
  else if (isOff()) return;
  else if (before === "g" && event.key in PLACES) location.assign(root + PLACES[event.key][1]);
  else if (event.key === "/") {
    event.preventDefault();
    ($("#filter") ?? $(".find input"))?.focus();
  } else if (event.key === "n") $('.page-head a.primary[href$="/new"]')?.click();
  else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  else if (event.key === "x") event.target.closest("tr")?.querySelector(".pick input")?.click();
  else if (event.key === "t") turnTheme();
  else first = event.key;
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest(".find input, a.find-link");
  if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(opener.value ?? "");
});
