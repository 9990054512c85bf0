// The palette, single keys, and the search without scripts.
import assert from "node:assert/strict";
import { inspect } from "./browser.js";
import * as person from "./person.js";
import { API, askToken } from "./server.js";
import { nothingElseHappened, open, start, story } from "./suite.js";

const key = story();
let server, who, client;

const isOpen = (page) => page.waitForSelector("#palette[open]", { state: "visible" });
const options = (page) => page.locator("#palette [role=option]");

key("an owner signs in and makes clients", async () => {
  server = await start({ hasApi: true });
  who = await open(server.origin);
  await person.setUp(who, server.link);
  await person.enroll(who);
  client = await person.createClient(who, "billing-worker", API.scope);
  await person.stored(who);
  await person.createClient(who, "ledger-export", API.scope);
  await person.stored(who);
});

key("the palette finds pages, actions and clients by keyboard, and Esc gives the focus back", async () => {
  const { page } = who;
  await page.goto(who.console);
  await page.focus(".brand");
  await page.keyboard.press("Control+k");
  await isOpen(page);
  await page.waitForSelector('#palette [role=group] >> text="Actions"');
  assert.deepEqual(await inspect(page, "palette"), []);
  await page.keyboard.type("bill");
  await page.waitForFunction(() => document.querySelectorAll("#palette [role=option]").length === 1);
  assert.match(await options(page).first().textContent(), /billing-worker/);
  assert.equal(await options(page).first().getAttribute("aria-selected"), "true");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#palette[open]").count(), 0);
  assert(await page.evaluate(() => document.activeElement.matches(".brand")), "the focus is where it was");
  await page.keyboard.press("Control+k");
  await isOpen(page);
  await page.keyboard.type("bill");
  await page.waitForFunction(() => document.querySelectorAll("#palette [role=option]").length === 1);
  await page.keyboard.press("Enter");
  await page.waitForURL(person.path(who, client.id));
  await page.keyboard.press("Control+k");
  await page.waitForSelector('#palette [role=group] >> text="Recent"');
  assert.match(await options(page).first().textContent(), /billing-worker/, "what was chosen last comes first");
  await page.keyboard.press("ArrowUp");
  assert.equal(await options(page).last().getAttribute("aria-selected"), "true", "above the first is the last");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(who.console);
});

key("single keys go to pages, rows and the filter, never inside a field, and can be switched off", async () => {
  const { page } = who;
  const list = `${who.console}/identity/clients`;
  const focused = (selector) => page.evaluate((selector) => document.activeElement.matches(selector), selector);
  await page.goto(who.console);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(list);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "billing-worker");
  await page.keyboard.press("k");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "ledger-export");
  await page.keyboard.press("/");
  assert(await focused("#filter"));
  await page.keyboard.type("gcn?t");
  assert.equal(await page.inputValue("#filter"), "gcn?t", "inside a field keys are letters");
  await page.goto(list);
  const theme = await page.getAttribute("html", "data-theme");
  const kept = page.waitForResponse("**/preferences");
  await page.keyboard.press("t");
  await kept;
  assert.notEqual(await page.getAttribute("html", "data-theme"), theme);
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open] h2:text-is('Keys')");
  assert.deepEqual(await inspect(page, "keys"), []);
  await page.uncheck("dialog[open] input[type=checkbox]");
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  assert.equal(page.url(), list, "switched off, keys do nothing");
  await page.keyboard.press("?");
  await page.check("dialog[open] input[type=checkbox]");
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await page.waitForURL(`${list}/new`);
});

key("x selects a row, all rows are selected at once, and what was disabled is enabled by Undo", async () => {
  const { page } = who;
  const list = `${who.console}/identity/clients`;
  const checked = () => page.locator("td.pick :checked").count();
  const says = (text) => page.waitForSelector(`[data-selected]:text-is("${text}")`);
  await page.goto(list);
  assert(await page.locator("#selection").isHidden(), "nothing is selected");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await says("1 selected");
  assert(await page.locator("#selection").isVisible());
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "ledger-export", "the focus stays");
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await says("2 selected");
  assert.deepEqual(await inspect(page, "selection"), []);
  await page.check("[data-all]");
  assert.equal(await checked(), await page.locator("td.pick input").count());
  await page.uncheck("[data-all]");
  assert.equal(await checked(), 0);
  for (const name of ["ledger-export", "billing-worker"]) await page.check(`tr:has-text("${name}") .pick input`);
  await page.click('#selection button:text-is("Disable")');
  await page.waitForSelector('h1:text-is("Disable 2 clients")');
  assert.deepEqual(await inspect(page, "selection, asked"), []);
  await page.click('button:text-is("Disable 2 clients")');
  await page.waitForURL(list);
  await page.waitForSelector('.done :text("2 clients are disabled")');
  assert.equal(await page.locator('tbody .badge:has-text("Disabled")').count(), 2);
  await page.click('.done button:has-text("Undo")');
  await page.waitForSelector('.done :text("2 clients are enabled")');
  assert.equal(await page.locator('tbody .badge:has-text("Disabled")').count(), 0);
});

key("what the role forbids is shown with its reason and not done", async () => {
  const { page } = who;
  await page.goto(`${who.console}/team`);
  await page.fill("#email", "sam@example.com");
  await page.click('main button:has-text("Make invitation link")');
  const invitation = await page.textContent("#invitation");
  const guest = await open(server.origin);
  await guest.page.goto(invitation);
  await guest.page.fill("#name", "Sam Lind");
  await guest.page.fill("#passphrase", "seven quiet herons under ice");
  await guest.page.click("main button[type=submit]");
  await guest.page.waitForURL(guest.console);
  await guest.page.keyboard.press("Control+k");
  await isOpen(guest.page);
  await guest.page.keyboard.type("invite");
  await guest.page.keyboard.press("Enter");
  await guest.page.waitForSelector("#palette [role=status]:not(:empty)");
  assert.equal(await options(guest.page).first().getAttribute("aria-disabled"), "true");
  assert.match(await guest.page.textContent("#palette [role=status]"), /operators:write/);
  assert.equal(guest.page.url(), guest.console);
});

key("activity shows what happens while it is looked at, and holds still while a line is read", async () => {
  const { page } = who;
  await page.goto(`${who.console}/activity`);
  await page.waitForSelector("#live", { state: "visible" });
  const newest = page.locator("#events details.record summary").first();
  assert.equal((await askToken(server.origin, client.id, client.secret)).status, 200);
  await page.waitForFunction(() => /billing-worker.*got a token/s.test(document.querySelector("#events summary").textContent), null, { timeout: 5_000 });
  await newest.click();
  const before = await page.locator("#events details.record").count();
  assert.equal((await askToken(server.origin, client.id, client.secret)).status, 200);
  await page.waitForTimeout(2_500);
  assert.equal(await page.locator("#events details.record").count(), before, "the line that is read stays where it is");
});

key("without scripts the search is a page, and the page of a client that does not exist offers it", async () => {
  const cookies = await who.context.cookies();
  const bare = await open(server.origin, { javaScriptEnabled: false });
  await bare.context.addCookies(cookies);
  await bare.page.goto(bare.console);
  await bare.page.fill(".find input", "ledger");
  await bare.page.press(".find input", "Enter");
  await bare.page.click('main a:text-is("ledger-export")');
  assert.equal(await bare.page.textContent("h1"), "ledger-export");
  bare.expected.add(404);
  await bare.page.goto(`${bare.console}/identity/clients/nobody`);
  await bare.page.fill("main input[type=search]", "key");
  await bare.page.press("main input[type=search]", "Enter");
  await bare.page.waitForSelector('main a:text-is("Keys")');
  await bare.page.goto(`${bare.console}/search?q=nothing-begins-so`);
  assert.match(await bare.page.textContent("main"), /Nothing begins with this/);
});

nothingElseHappened();
