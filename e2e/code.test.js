// What the console gives to those who write programs: a new secret and its files, Run, the first token, "As code".
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as person from "./person.js";
import { API, askToken } from "./server.js";
import { nothingElseHappened, open, start, story } from "./suite.js";

const code = story();
let server, who, client;

code("an owner signs in and makes a client", async () => {
  server = await start({ hasApi: true });
  who = await open(server.origin);
  await person.setUp(who, server.link);
  await person.enroll(who);
  client = await person.createClient(who, "billing-worker", API.scope);
});

code("the secret downloads as a file for an environment, as JSON and for a cluster", async () => {
  const { page } = who;
  const files = [
    ["client.env", (text) => text.includes(`BASTIONARY_CLIENT_SECRET=${client.secret}\n`)],
    ["client.json", (text) => JSON.parse(text).client_secret === client.secret],
    ["client-secret.yaml", (text) => text.includes(`BASTIONARY_CLIENT_SECRET: "${client.secret}"`)],
  ];
  for (const [name, holds] of files) {
    const started = page.waitForEvent("download");
    await page.click(`#reveal button[data-name="${name}"]`);
    const download = await started;
    assert.equal(download.suggestedFilename(), name);
    const text = await readFile(await download.path(), "utf8");
    assert(holds(text), text);
  }
});

code("Esc and a click outside ask first, and only the button closes the page of the secret", async () => {
  const { page } = who;
  for (const leave of [() => page.keyboard.press("Escape"), () => page.mouse.click(4, 300)]) {
    await leave();
    await page.waitForSelector("#leave[open]");
    await page.click('#leave button:has-text("Back to the secret")');
    assert.equal(await page.locator("#leave[open]").count(), 0);
    assert.equal(await page.textContent("#secret"), client.secret);
  }
});

code("Run gets a token in place, and the line that waits for the first token turns green", async () => {
  const { page } = who;
  assert.match(await page.textContent("#first"), /Waiting for the first token/);
  await page.click("#reveal .run button[type=submit]");
  const claims = JSON.parse(await page.textContent("#ran-claims"));
  assert.deepEqual([claims.client_id, claims.scope], [client.id, API.scope]);
  assert.match(await page.textContent("#ran"), /A token came in \d+\.\d ms: eyJ\S{7}…\S{4}\. It lives 900 s/);
  assert.equal(await page.textContent("#secret"), client.secret, "the page with the secret stays");
  await page.waitForSelector("#first .badge.ok", { timeout: 8000 });
  await person.stored(who);
  assert.equal(page.url(), person.path(who, client.id));
});

code("Run on the overview takes a pasted secret, and shows a refusal with its page", async () => {
  const { page } = who;
  await page.fill("#run-secret", client.secret);
  await page.click(".run button[type=submit]");
  await page.waitForSelector("#ran-claims");
  await page.fill("#run-secret", "not the secret");
  await page.click(".run button[type=submit]");
  await page.waitForSelector("#ran .notice");
  assert.match(await page.textContent("#ran"), /invalid_client.*client authentication failed/s);
  await page.click('#ran a[href="/errors/invalid_client"]');
  assert.match(await page.textContent("h1"), /Client authentication failed/);
});

code("the chosen language is kept, and is the server's to show", async () => {
  const { page } = who;
  await page.goto(person.path(who, client.id));
  const kept = page.waitForResponse("**/preferences");
  await page.locator('.languages label:has([value="ruby"])').click();
  await kept;
  assert(await page.isVisible("#token-ruby"));
  await page.reload();
  assert(await page.isVisible("#token-ruby") && !(await page.isVisible("#token-curl")));
});

code("As code opens on every page and shows requests that work", async () => {
  const { page } = who;
  await page.goto(`${who.console}/identity/clients`);
  await page.click("button[popovertarget=as-code]");
  assert(await page.isVisible("#code-listClients-curl"));
  assert.match(await page.textContent("#code-listClients-cli"), /^bastionary clients list$/);
  await page.click('#as-code a[href="/docs/api#list-clients"]');
  assert.equal(await page.textContent("#list-clients"), "List clients #");
});

const plain = story();
let bare;

plain("without scripts: Run shows the page of the secret again, and the language is kept", async () => {
  const { origin, link } = await start({ hasApi: true });
  bare = await open(origin, { javaScriptEnabled: false });
  await person.setUp(bare, link);
  await person.enroll(bare);
  const { page } = bare;
  const made = await person.createClient(bare, "plain-worker", API.scope);
  await page.click("#reveal .run button[type=submit]");
  assert.equal(JSON.parse(await page.textContent("#ran-claims")).client_id, made.id);
  assert.equal(await page.textContent("#secret"), made.secret);
  await person.stored(bare);
  assert.equal((await askToken(origin, made.id, made.secret)).status, 200);
  await page.check('.languages [value="go"]', { force: true });
  await page.click('.languages button:has-text("Keep this language")');
  assert.equal(page.url(), person.path(bare, made.id));
  assert(await page.isVisible("#token-go"));
  await page.click("button[popovertarget=as-code]");
  assert(await page.isVisible("#code-getClient-curl"));
});

nothingElseHappened();
