// What scripts add to pages that are complete without them: copy buttons, the theme without a reload, toasts,
// remembered languages, passkeys, and dialogs where `command` is not known.
const $ = (selector, root = document) => root.querySelector(selector);
const on = (type, handle) => document.addEventListener(type, handle);

function say(text) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = text;
  $("#toasts")?.append(toast);
  let left = setTimeout(() => toast.remove(), 5000);
  toast.onpointerenter = () => clearTimeout(left);
  toast.onpointerleave = () => (left = setTimeout(() => toast.remove(), 2000));
}

async function copy(button) {
  const source = button.dataset.copy && $(button.dataset.copy);
  const word = $("[data-word]", button) ?? button;
  const before = word.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copyText ?? source.textContent);
    word.textContent = "Copied";
    const shape = $("use", button);
    const drawn = shape?.getAttribute("href");
    shape?.setAttribute("href", drawn.replace(/#.*/, "#check"));
    setTimeout(() => shape?.setAttribute("href", drawn), 2000);
    say("Copied");
  } catch {
    if (source) getSelection().selectAllChildren(source);
    word.textContent = "Selected";
    say("Copying is not allowed here; the text is selected");
  }
  setTimeout(() => (word.textContent = before), 2000);
}

function download(button) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([$(button.dataset.download).textContent + "\n"], { type: button.dataset.type }));
  link.download = button.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
}

const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const keys = (list) => list?.map((key) => ({ ...key, id: decode(key.id) }));

function requested(given) {
  return PublicKeyCredential.parseRequestOptionsFromJSON?.(given)
    ?? { ...given, challenge: decode(given.challenge), allowCredentials: keys(given.allowCredentials) };
}

function creation(given) {
  return PublicKeyCredential.parseCreationOptionsFromJSON?.(given)
    ?? { ...given, challenge: decode(given.challenge), user: { ...given.user, id: decode(given.user.id) }, excludeCredentials: keys(given.excludeCredentials) };
}

// Both ways ask the server first, then the browser, and bring the answer back with the ticket of the question.
async function passkey(button, address, ceremony, more) {
  const send = async (body) => {
    const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const read = await answer.json();
    if (!answer.ok) throw new Error(read.detail);
    return read;
  };
  const csrf = $('input[name="csrf"]').value;
  const word = $("[data-word]", button) ?? button;
  const before = word.textContent;
  try {
    const asked = await send({ csrf });
    const credential = await ceremony(asked.publicKey);
    const done = await send({ csrf, ticket: asked.ticket, credential: credential.toJSON(), ...more });
    location.assign(done.next);
  } catch (error) {
    word.textContent = error.name === "Error" && error.message ? error.message : "Not accepted, try again";
    setTimeout(() => (word.textContent = before), 6000);
  }
}

// A preference: sent behind the back of the page, which shows it already.
function keep(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  fetch(form.action, { method: "POST", body, redirect: "manual" });
}

on("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { copy: from, copyText, download: file, passkey: door } = button.dataset;
  if (from || copyText) copy(button);
  else if (file) download(button);
  else if (door) passkey(button, door, async (given) => navigator.credentials.get({ publicKey: requested(given) }), { next: $('input[name="next"]')?.value });
  else if (button.getAttribute("aria-disabled") === "true") event.preventDefault();
  else if (button.hasAttribute("commandfor") && !("commandForElement" in button)) {
    const dialog = document.getElementById(button.getAttribute("commandfor"));
    if (button.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  }
});

// The page with a new secret closes by its own button; every other way out asks first.
on("click", (event) => event.target.matches(".veil") && $("#leave")?.showModal());
on("keydown", (event) => {
  if (event.key !== "Escape" || !$("[data-reveal]") || $("#leave").open) return;
  // The same key would close again what it opened.
  event.preventDefault();
  $("#leave").showModal();
});

on("submit", (event) => {
  const form = event.target;
  if (form.dataset.passkeyNew) {
    event.preventDefault();
    const name = form.elements.name.value;
    passkey($("button", form), form.dataset.passkeyNew, async (given) => navigator.credentials.create({ publicKey: creation(given) }), { name });
    return;
  }
  if (form.matches("[data-theme-switch]") && event.submitter) {
    event.preventDefault();
    document.documentElement.dataset.theme = event.submitter.value;
    for (const each of form.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === event.submitter));
    keep(form, event.submitter);
  }
  delete form.dataset.changed;
});

// The selection of a list: all rows at once, and how many there are.
on("change", ({ target }) => {
  const list = target.closest(".pick") && target.closest("#list");
  if (!list) return;
  const boxes = [...list.querySelectorAll("td.pick input")];
  const all = $("[data-all]", list);
  if (target === all) for (const box of boxes) box.checked = all.checked;
  const count = boxes.filter((box) => box.checked).length;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && !all.checked;
  $("[data-selected]", list).textContent = `${count} selected`;
});

// As the server judges a chosen secret (`estimated_bits`): below 128 it warns.
function bits(text) {
  const signs = [...text];
  const sizes = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[^a-zA-Z0-9]/, 33]];
  const alphabet = sizes.reduce((sum, [used, size]) => sum + (used.test(text) ? size : 0), 0);
  return signs.length * Math.min(Math.log2(alphabet), Math.log2(new Set(signs).size));
}

const isPast = (text) => Date.parse(text) <= Date.now();
const live = {
  strength: (text) => text && `About ${Math.floor(bits(text))} bits${bits(text) < 128 ? ": weak_secret, easier to guess than 128 random bits" : ""}`,
  first: (text) => (isPast(text) ? "This client will be expired from the start" : ""),
  later: (text) => (isPast(text) ? "This client will be expired at once" : ""),
};

on("input", (event) => {
  const words = live[event.target.dataset.live];
  if (words) $(`#${event.target.id}-live`).textContent = words(event.target.value);
  const form = event.target.closest("form[data-guard]");
  if (form) form.dataset.changed = "";
  const kept = event.target.closest("form[data-kept]");
  if (kept) keep(kept);
});

addEventListener("beforeunload", (event) => {
  if ($("form[data-changed]")) event.preventDefault();
});

// A page that shows what happens: told by the server, it asks for its list again, unless somebody is reading a line
// of it. It stops when the tab is hidden or nobody has touched it for ten minutes, so that the session can end.
function watch(address) {
  let source, idle, due;
  const badge = (shown) => ($("#live").hidden = !shown);
  const stop = () => {
    source?.close();
    source = undefined;
    badge(false);
  };
  const refresh = () => {
    due = undefined;
    const list = $("[data-stream]");
    if (list && !$("details[open]", list) && !list.contains(document.activeElement)) htmx.trigger(list, "told");
  };
  const start = () => {
    clearTimeout(idle);
    idle = setTimeout(stop, 600_000);
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.onopen = () => badge(true);
    source.onerror = () => badge(false);
    source.onmessage = () => (due ??= setTimeout(refresh, 300));
  };
  for (const type of ["pointerdown", "keydown", "scroll"]) on(type, start);
  on("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  start();
}
const watched = $("[data-stream]");
if (watched) watch(watched.dataset.stream);
