// What must not happen: a secret that comes back, a link that tells something, a form of a stranger that is obeyed.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import * as person from "./person.js";
import { API, askToken } from "./server.js";
import { nothingElseHappened, open, openStranger, start, story } from "./suite.js";

const guard = story();
let server, who;

guard("an owner signs in", async () => {
  server = await start({ hasApi: true });
  who = await open(server.origin);
  await person.setUp(who, server.link);
  await person.enroll(who);
  await who.page.goto(who.console);
  await person.isAtHome(who, "enrollment");
});

// Goes somewhere; a page that the browser refuses to show again is a fine answer.
async function attempt(page, move) {
  await move({ timeout: 5000 }).catch((error) => assert.match(error.message, /ERR_CACHE_MISS|ERR_ABORTED|Timeout/));
  // The browser puts its own page there, in its own time.
  for (let tries = 0; tries < 50; tries++) {
    const source = await page.content().catch(() => null);
    if (source !== null) return;
    await page.waitForTimeout(100);
  }
  assert.fail("the browser shows no page");
}

guard("a secret that was shown once does not come back: Back, Forward, Reload, later pages", async () => {
  const { page } = who;
  const { id, secret } = await person.createClient(who, "shown-once", API.scope);
  const isGone = async (where) => {
    const source = await page.content();
    assert(!source.includes(secret), `${where} (${page.url()}) shows the secret again`);
  };
  const answer = await page.evaluate(() => performance.getEntriesByType("navigation")[0].name);
  assert(!answer.includes(secret), "the address does not carry the secret");
  await person.stored(who);
  await isGone("the page after it");
  await attempt(page, (bound) => page.goBack(bound));
  await isGone("Back");
  await attempt(page, (bound) => page.reload(bound));
  await isGone("Reload after Back");
  await attempt(page, (bound) => page.goForward(bound));
  await isGone("Forward");
  const parts = ["", "credentials", "access", "limits", "settings", "danger"].map((part) => person.path(who, id, part));
  for (const address of [...parts, `${who.console}/audit`, `${who.console}/identity/clients`, who.console]) {
    const answer = await page.goto(address);
    assert.equal(answer.headers()["cache-control"], "no-store", `${address} may not be kept`);
    await isGone(address);
  }
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert(!kept.includes(secret), "the browser's storage does not hold the secret");
  assert(!server.said().includes(secret), "the log of the server does not hold the secret");
});

guard("a used setup link and an unknown one give the same page", async () => {
  const stranger = await open(server.origin);
  stranger.expected.add(410);
  const page = async (link) => {
    const answer = await stranger.page.goto(link);
    assert.equal(answer.status(), 410, link);
    return (await answer.text()).replace(/nonce="[^"]*"/g, "nonce");
  };
  const used = await page(server.link);
  const unknown = await page(server.link.slice(0, -8) + "00000000");
  const nonsense = await page(`${who.console}/setup/nothing`);
  assert.match(used, /This link does not work any more/);
  assert.equal(unknown, used, "an unknown link is told apart from a used one");
  assert.equal(nonsense, used, "a link that is none is told apart from a used one");
});

guard("the page of the second factor without a first step leads to sign-in", async () => {
  const { page, console: root } = await open(server.origin);
  for (const path of ["/sign-in/second-factor", "/sign-in/recovery"]) {
    await page.goto(root + path);
    assert.equal(page.url(), `${root}/sign-in`, path);
  }
});

// A page of somebody else that posts a form as soon as it is opened. On another port of the same host its request is
// of the same site, so that cookies go with it: only the check of the origin is left.
async function lure(address, fields) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
  const html = `<!doctype html><form method="post" action="${address}">${inputs}<button>Win a car</button></form>`;
  const trap = createServer((_, response) => response.setHeader("content-type", "text/html").end(html));
  await new Promise((done) => trap.listen(0, "127.0.0.1", done));
  const close = () => {
    trap.close();
    trap.closeAllConnections();
  };
  return { address: `http://localhost:${trap.address().port}/`, close };
}

guard("a form that another origin posts is refused and changes nothing, cookies and token or not", async () => {
  const { page, context, console: root } = who;
  const { id, secret } = await person.createClient(who, "wanted", API.scope);
  await person.stored(who);
  const csrf = await page.locator("input[name=csrf]").first().inputValue();
  const stranger = await openStranger();
  await stranger.addCookies(await context.cookies());
  const trapped = await stranger.newPage();
  for (const [name, fields] of [["disable", { csrf }], ["delete", { csrf, confirm: id }], ["secrets", { csrf }]]) {
    const trap = await lure(`${root}/identity/clients/${id}/${name}`, fields);
    await trapped.goto(trap.address);
    const sent = trapped.waitForResponse((answer) => answer.request().method() === "POST", { timeout: 10_000 });
    await trapped.click("button");
    const answer = await sent;
    const headers = await answer.request().allHeaders();
    assert.match(headers.cookie ?? "", /bst_default=/, "the browser sent the session along");
    assert.equal(answer.status(), 403, `${name} from ${headers.origin}`);
    trap.close();
  }
  await stranger.close();
  assert.equal((await askToken(server.origin, id, secret)).status, 200, "the client is as it was");
  await page.goto(person.path(who, id, "credentials"));
  assert.equal(await page.locator("[aria-label=Secrets] tbody tr").count(), 1, "no secret was added");
});

test("a form without the token of its session, or of its browser before there is one, is refused", async () => {
  const cookies = (await who.context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const post = (path, fields, cookie) =>
    fetch(who.console + path, {
      method: "POST",
      redirect: "manual",
      headers: { "sec-fetch-site": "same-origin", ...(cookie && { cookie }) },
      body: new URLSearchParams(fields),
    });
  assert.equal((await post("/sign-out", { csrf: "" }, cookies)).status, 403, "no token");
  assert.equal((await post("/sign-out", { csrf: "A".repeat(43) }, cookies)).status, 403, "a token of nobody");
  const typed = { email: person.OWNER.email, passphrase: person.OWNER.passphrase, csrf: "A".repeat(32) };
  const refused = await post("/sign-in", typed);
  assert.equal(refused.status, 403, "a sign-in that the browser's cookie does not vouch for");
  assert.equal(refused.headers.get("set-cookie"), null);
  await who.page.goto(who.console);
  await person.isAtHome(who, "a refused sign-out");
});

test("the cookies of a session are out of reach of scripts and of other sites", async () => {
  const cookies = (await who.context.cookies()).filter(({ name }) => name.startsWith("bst"));
  assert(cookies.some(({ name }) => name === "bst_default"), "there is a session");
  for (const { name, httpOnly, sameSite } of cookies) assert.deepEqual([name, httpOnly, sameSite], [name, true, "Lax"]);
  assert.equal(await who.page.evaluate(() => document.cookie), "", "scripts see no cookie");
});

test("reloading the page of a new secret shows no earlier secret and makes nothing a second time", async () => {
  const { page } = who;
  const { id, secret } = await person.createClient(who, "reloaded", API.scope);
  who.expected.add(409);
  await attempt(page, (bound) => page.reload(bound));
  who.expected.delete(409);
  assert(!(await page.content()).includes(secret), "Reload shows the secret again");
  await page.goto(`${who.console}/identity/clients?q=reloaded`);
  assert.equal(await page.locator("#list tbody tr").count(), 1, "Reload made the client a second time");
  const next = await person.rotate(who, id);
  who.expected.add(409);
  await attempt(page, (bound) => page.reload(bound));
  who.expected.delete(409);
  assert(!(await page.content()).includes(next), "Reload shows the next secret again");
  await page.goto(person.path(who, id, "credentials"));
  assert.equal(await page.locator("[aria-label=Secrets] tbody tr").count(), 2, "Reload made one more secret");
});

nothingElseHappened();
