// What scripts add to pages that are complete without them: copy buttons, the theme without a reload, keys, toasts,
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
  link.href = URL.createObjectURL(new Blob([$(button.dataset.download).textContent + "\n"], { type: "text/plain" }));
  link.download = button.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
}

const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

async function passkey(button) {
  const address = button.dataset.passkey;
  const send = (body) => fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const csrf = $('input[name="csrf"]').value;
  try {
    const asked = await (await send({ csrf })).json();
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON?.(asked.publicKey) ?? { ...asked.publicKey, challenge: decode(asked.publicKey.challenge) };
    const credential = await navigator.credentials.get({ publicKey });
    const answer = await send({ csrf, credential: credential.toJSON(), next: $('input[name="next"]')?.value });
    if (!answer.ok) throw new Error();
    location.assign((await answer.json()).next);
  } catch {
    const word = $("span", button) ?? button.appendChild(document.createElement("span"));
    word.textContent = ": not accepted, try again";
  }
}

on("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { copy: from, copyText, download: file, passkey: door } = button.dataset;
  if (from || copyText) copy(button);
  else if (file) download(button);
  else if (door) passkey(button);
  else if (button.getAttribute("aria-disabled") === "true") event.preventDefault();
  else if (button.hasAttribute("commandfor") && !("commandForElement" in button)) {
    const dialog = document.getElementById(button.getAttribute("commandfor"));
    if (button.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  }
});

on("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-theme-switch]") && event.submitter) {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    document.documentElement.dataset.theme = event.submitter.value;
    for (const each of form.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === event.submitter));
    fetch(form.action, { method: "POST", body, redirect: "manual" });
  }
  delete form.dataset.changed;
});

on("input", (event) => {
  const form = event.target.closest("form[data-guard]");
  if (form) form.dataset.changed = "";
  if (event.target.dataset.remember) {
    try { localStorage.setItem(event.target.dataset.remember, event.target.value); } catch {}
  }
});

addEventListener("beforeunload", (event) => {
  if ($("form[data-changed]")) event.preventDefault();
});

for (const choice of document.querySelectorAll("[data-remember]")) {
  let kept = null;
  try { kept = localStorage.getItem(choice.dataset.remember); } catch {}
  if (choice.value === kept) choice.checked = true;
}

let first = "";
on("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const root = $(".brand")?.getAttribute("href");
  const go = { c: "/identity/clients", k: "/identity/keys", a: "/audit", h: "" };
  if (event.key === "/") {
    event.preventDefault();
    ($("#filter") ?? $(".find input"))?.focus();
  } else if (first === "g" && event.key in go && root) location.assign(root + go[event.key]);
  first = event.key;
});
