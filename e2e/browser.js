// The browser of the suite, and what it must never say: an error, a breach of the content security policy, a request
// to anybody else.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const PLACES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export async function launch() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  assert(executablePath, "Chromium is missing: apt-get install -y chromium, or name one in CHROMIUM");
  // Chromium refuses its sandbox to root.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args, timeout: 30_000 });
}

// A browser profile for one origin. `faults` collects what must stay empty; `expected` holds the statuses of pages that
// a test asks for on purpose, which the browser reports as errors as well.
export async function profile(browser, origin, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(10_000);
  const faults = [];
  const expected = new Set();
  context.on("console", (message) => {
    const status = message.text().match(/^Failed to load resource: .* status of (\d+)/)?.[1];
    if (message.type() !== "error" || expected.has(Number(status))) return;
    faults.push(`error: ${message.text()} (${message.location().url})`);
  });
  // The browser reports a transition between two pages that it gave up, as it may whenever the next page is not ready.
  const isTransition = (text) => /^Transition was (aborted|skipped)/.test(text);
  context.on("weberror", (thrown) => {
    const { message } = thrown.error();
    if (!isTransition(message)) faults.push(`exception: ${message}`);
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "blob:") faults.push(`request to ${request.url()}`);
  });
  if (options.javaScriptEnabled !== false) {
    await context.exposeFunction("e2eViolation", (text) => faults.push(`content security policy: ${text}`));
    await context.addInitScript(() =>
      document.addEventListener("securitypolicyviolation", (event) =>
        window.e2eViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample} on ${location.pathname}`)));
  }
  const page = await context.newPage();
  return { context, page, faults, expected, origin, console: `${origin}/console` };
}

// One session of the protocol for each page: ending any of them takes the virtual authenticator away.
const sessions = new WeakMap();

async function devtoolsOf(page) {
  if (!sessions.has(page)) sessions.set(page, await page.context().newCDPSession(page));
  return sessions.get(page);
}

// A virtual authenticator in the browser, which agrees to everything.
export async function addPasskeyDevice(page) {
  const devtools = await devtoolsOf(page);
  await devtools.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
}

// What axe finds in the page as it stands. It runs in a world of its own: the policy of the page lets no script in.
export async function violations(page) {
  const devtools = await devtoolsOf(page);
  const { frameTree } = await devtools.send("Page.getFrameTree");
  const world = { frameId: frameTree.frame.id, worldName: "axe" };
  const { executionContextId: contextId } = await devtools.send("Page.createIsolatedWorld", world);
  await devtools.send("Runtime.evaluate", { expression: AXE, contextId });
  const run = await devtools.send("Runtime.evaluate", {
    contextId,
    awaitPromise: true,
    returnByValue: true,
    expression: `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then((found) => ({
      passes: found.passes.length,
      violations: found.violations.map((rule) => rule.id + ": " + rule.help + ": "
        + rule.nodes.slice(0, 3).map((at) => at.html.slice(0, 150) + " " + (at.any[0]?.message ?? "")).join("; ")),
    }))`,
  });
  const value = run.result.value;
  assert(value?.passes > 0, `axe did not run on ${page.url()}: ${JSON.stringify(run).slice(0, 400)}`);
  return value.violations;
}

export const LOOKS = [
  { width: 1280, height: 900, colorScheme: "light" },
  { width: 1280, height: 900, colorScheme: "dark" },
  { width: 390, height: 844, colorScheme: "dark" },
  { width: 390, height: 844, colorScheme: "light" },
];

// What a person cannot hit because something else lies on it, and what leaves its card. A window on top covers the rest
// on purpose.
function misplaced(page) {
  return page.evaluate(() => {
    if (document.querySelector("dialog[open], [popover]:popover-open")) return [];
    const hidden = (control) => !control.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const found = [];
    for (const part of document.querySelectorAll("main .card table, main .card form, main .card .row-line")) {
      const [edge, of] = [part.getBoundingClientRect().right, part.closest(".card").getBoundingClientRect().right];
      if (edge > of + 1) found.push(`a ${part.localName} (${part.className}) ends ${edge - of} px beyond its card`);
    }
    for (const control of document.querySelectorAll("a[href], button, input, select, summary")) {
      const size = control.getBoundingClientRect();
      if (hidden(control) || size.width < 4 || size.height < 4 || control.matches(".skip, [type=radio]")) continue;
      if (control.localName === "select" && size.width < 48) found.push(`a select of ${size.width} px shows no choice`);
      control.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
      const box = control.getClientRects()[0];
      const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      const [below, above] = [control, top].map((element) => element?.outerHTML.slice(0, 80));
      if (!control.contains(top)) found.push(`${below} lies below ${above}`);
    }
    scrollTo({ top: 0, behavior: "instant" });
    return found;
  });
}

// Every look of the page as it stands: axe, nothing out of its place, and nothing that sticks out on a narrow screen.
// Gives pairs of where and what.
export async function inspect(page, name, looks = LOOKS) {
  const found = [];
  for (const { width, height, colorScheme } of looks) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const look = `${name}, ${width} px, ${colorScheme}`;
    for (const violation of await violations(page)) found.push([look, violation]);
    for (const control of await misplaced(page)) found.push([look, control]);
    const [inner, outer] = await page.evaluate(() => {
      const root = document.documentElement;
      return [root.scrollWidth, root.clientWidth];
    });
    if (inner > outer) found.push([look, `the page is ${inner} px wide in a window of ${outer} px`]);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  return found;
}
