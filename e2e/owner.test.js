// An owner from the setup link to the deletion of a client: browser, passkey, authenticator, a shell to paste into.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { addPasskeyDevice } from "./browser.js";
import * as person from "./person.js";
import { askToken } from "./server.js";
import { nothingElseHappened, open, start, story } from "./suite.js";

const paste = (command, env) =>
  promisify(execFile)("bash", ["-c", command], { env: { PATH: process.env.PATH, ...env }, timeout: 15_000 });

const recorded = async (who, action) => {
  await who.page.goto(`${who.console}/audit?action=${action}`);
  return who.page.locator("details.record").count();
};

const owner = story();
let server, ada, authenticator, codes;

owner("the setup link makes an account, which must set up a second factor before anything else", async () => {
  server = await start();
  ada = await open(server.origin);
  await addPasskeyDevice(ada.page);
  await person.setUp(ada, server.link);
  assert.equal(ada.page.url(), `${ada.console}/account`, "setup leads to the account");
  assert.match(await ada.page.textContent("main"), /needs a second factor/);
  for (const path of ["", "/identity/clients", "/identity/clients/new", "/audit", "/team", "/identity/keys"]) {
    await ada.page.goto(ada.console + path);
    assert.equal(ada.page.url(), `${ada.console}/account`, `${path || "/"} is closed without a second factor`);
  }
});

owner("a passkey is registered, and opens the console", async () => {
  const { page } = ada;
  await page.fill("#passkey-name", "laptop");
  await page.click("form[data-passkey-new] button");
  await page.waitForSelector('ul.rows strong:text-is("laptop")');
  await page.goto(ada.console);
  await person.isAtHome(ada, "a passkey");
  await person.signOut(ada);
  await page.goto(ada.console);
  assert.match(page.url(), /\/console\/sign-in/, "nobody is signed in after signing out");
});

owner("the passkey alone signs in", async () => {
  const { page } = ada;
  await page.goto(`${ada.console}/sign-in`);
  await page.click("button[data-passkey]");
  await page.waitForURL(ada.console);
  await person.isAtHome(ada, "the passkey");
});

owner("the passkey proves the person again, and the session gets another token", async () => {
  const { page, context } = ada;
  const session = async () => (await context.cookies()).find(({ name }) => name === "bst_default").value;
  const before = await session();
  await page.goto(`${ada.console}/step-up?next=/console/team`);
  await page.click("button[data-passkey]");
  await page.waitForURL(`${ada.console}/team`);
  assert.notEqual(await session(), before, "rights rise with a new token");
  assert.equal(await recorded(ada, "session.stepped_up"), 1);
});

owner("passphrase and one-time code sign in, and a code works one time", async () => {
  const { page } = ada;
  ({ authenticator, codes } = await person.enroll(ada));
  assert(codes.length >= 8 && new Set(codes).size === codes.length, `recovery codes: ${codes.length}`);
  await person.signOut(ada);
  await person.givePassphrase(ada);
  assert.match(page.url(), /\/sign-in\/second-factor/, "the passphrase alone does not sign in");
  const code = await authenticator.next();
  await person.giveCode(ada, code);
  await person.isAtHome(ada, "passphrase and code");
  await person.signOut(ada);
  await person.givePassphrase(ada);
  ada.expected.add(422);
  await person.giveCode(ada, code);
  assert.equal(await page.locator("#problems").count(), 1, "a code that was used is refused");
  await page.goto(`${ada.console}/identity/clients`);
  assert.match(page.url(), /\/sign-in/, "a refused code opens nothing");
});

owner("a recovery code signs in one time", async () => {
  const { page } = ada;
  await person.givePassphrase(ada);
  await page.click('a:has-text("Use a recovery code")');
  await person.giveCode(ada, codes[0]);
  await person.isAtHome(ada, "a recovery code");
  await person.signOut(ada);
  await person.givePassphrase(ada);
  await page.click('a:has-text("Use a recovery code")');
  await person.giveCode(ada, codes[0]);
  assert.equal(await page.locator("#problems").count(), 1, "a recovery code that was used is refused");
  await person.giveCode(ada, codes[1]);
  await person.isAtHome(ada, "the next recovery code");
  ada.expected.delete(422);
});

// Home counts clients, so the server of this story has none but what the owner makes, and no API but its own.
const SCOPE = "clients:read";
let client, second, wrong;
const ask = (secret) => askToken(server.origin, client.id, secret, SCOPE);

owner("the curl of the reveal page gets a token, and the checklist of Home shows it", async () => {
  const { page } = ada;
  await page.goto(ada.console);
  assert.equal(await page.locator(".checklist li").count(), 3, "Home shows the three steps");
  assert.equal(await page.locator(".checklist li.done").count(), 1, "the account is protected, the rest is open");
  client = await person.createClient(ada, "billing-worker", SCOPE);
  const command = await page.textContent("#reveal-curl");
  const file = await page.textContent("#reveal-env");
  const { stdout } = await paste(`set -a\n${file}\n${command}`);
  const answer = JSON.parse(stdout);
  assert.equal(answer.token_type, "Bearer", stdout);
  assert.equal(answer.access_token.split(".").length, 3, "the token is a JWT");
  const claims = JSON.parse(Buffer.from(answer.access_token.split(".")[1], "base64url"));
  assert.deepEqual([claims.client_id, claims.scope, claims.iss], [client.id, SCOPE, server.origin]);
  await person.stored(ada);
  // The journal is written behind the answers.
  const isDone = async () => {
    await page.goto(ada.console);
    return (await page.locator(".checklist li").count()) === (await page.locator(".checklist li.done").count());
  };
  const end = Date.now() + 10_000;
  while (!(await isDone())) assert(Date.now() < end, "the checklist does not show the first token");
});

owner("after a rotation the old secret and the new one work, until the old one is ended", async () => {
  const { page } = ada;
  second = await person.rotate(ada, client.id);
  assert.notEqual(second, client.secret);
  await person.stored(ada);
  for (const secret of [client.secret, second]) {
    assert.equal((await ask(secret)).status, 200, "both secrets work");
  }
  await page.goto(person.path(ada, client.id, "credentials"));
  const row = page.locator("[aria-label=Secrets] tbody tr", { hasText: client.secret.slice(-4) });
  assert.equal(await row.count(), 1, "the old secret is found by its last characters");
  await row.locator("button.danger").click();
  await page.click("dialog[open] button[type=submit]");
  await page.waitForURL(person.path(ada, client.id, "credentials"));
  assert.equal((await ask(client.secret)).status, 401, "the ended secret is refused");
  assert.equal((await ask(second)).status, 200, "the new secret works");
});

owner("a disabled client gets no token, and gets one again when it is enabled", async () => {
  await person.setEnabled(ada, client.id, "disable");
  assert.match(await ada.page.textContent(".page-head .badge"), /Disabled/);
  const refused = await ask(second);
  assert.deepEqual([refused.status, refused.body.error], [401, "invalid_client"]);
  await person.setEnabled(ada, client.id, "enable");
  assert.equal((await ask(second)).status, 200);
  await ada.page.click('.done button:has-text("Undo")');
  await ada.page.waitForSelector('.done :text("billing-worker is disabled")');
  assert.equal((await ask(second)).status, 401, "what was undone is undone");
  await ada.page.click('.done button:has-text("Undo")');
  await ada.page.waitForSelector('.done :text("billing-worker is enabled")');
  assert.equal((await ask(second)).status, 200);
});

owner("a weak secret and a past expiry are said while they are typed, as the server judges them", async () => {
  const { page } = ada;
  ada.expected.add(422);
  const judged = ["twelve-letters", "correct horse battery staple nine", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "0123456789".repeat(5), "pässword-pässword-X9"];
  for (const secret of judged) {
    await page.goto(`${ada.console}/identity/clients/new`);
    await page.click('summary:has-text("More settings")');
    await page.fill("#name", "judged");
    await page.fill("#expires_at", "2020-01-01T00:00:00Z");
    assert.match(await page.textContent("#expires_at-live"), /expired from the start/);
    await page.fill("#secret", secret);
    const said = (await page.textContent("#secret-live")).includes("weak_secret");
    await page.click("main button[type=submit]");
    const warned = await page.textContent("#warnings");
    assert(warned.includes("expired"), warned);
    assert.equal(warned.includes("weak_secret"), said, `the page and the server differ over ${secret}: ${warned}`);
  }
  ada.expected.delete(422);
});

owner("a client is deleted only when its id is typed", async () => {
  const { page } = ada;
  const confirm = async (typed) => {
    await page.goto(person.path(ada, client.id, "danger"));
    await page.click(".zone button[commandfor=delete]");
    await page.fill("#delete-typed", typed);
    await page.click("#delete button[type=submit]");
  };
  ada.expected.add(422);
  await confirm("billing-worker");
  wrong = await page.textContent("main");
  ada.expected.delete(422);
  assert.equal((await ask(second)).status, 200, "a wrong word deletes nothing");
  await confirm(client.id);
  await page.waitForURL(`${ada.console}/identity/clients`);
  assert(!(await page.textContent("main")).includes(client.id), "the list does not show it any more");
  assert.equal((await ask(second)).status, 401);
});

owner("the audit log has all of it", async () => {
  const { page } = ada;
  const expected = {
    "client.created": 1,
    "secret.created": 1,
    "secret.revoked": 1,
    "client.disabled": 2,
    "client.enabled": 2,
    "client.deleted": 1,
  };
  const found = {};
  for (const action of Object.keys(expected)) found[action] = await recorded(ada, action);
  assert.deepEqual(found, expected);
  await page.click("details.record summary");
  const record = await page.textContent("details.record");
  assert(record.includes(client.id) && record.includes("127.0.0.1"), `the record names the client: ${record}`);
});

test("a wrong id in the dialog of the deletion is answered with what is missing", () => {
  assert.match(wrong ?? "the test of the deletion did not come here", /Type the id of the client/);
});

test("the page with new recovery codes lets its reader sign out", async () => {
  const { origin, link } = await start();
  const who = await open(origin);
  await person.setUp(who, link);
  await person.offerCodes(who);
  await person.signOut(who);
});

nothingElseHappened();
