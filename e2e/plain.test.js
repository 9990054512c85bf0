// The core tasks twice more: without scripts, and with nothing but the keyboard.
import assert from "node:assert/strict";
import * as person from "./person.js";
import { API, askToken } from "./server.js";
import { Authenticator } from "./totp.js";
import { nothingElseHappened, open, start, story } from "./suite.js";

const plain = story();
let bare, client, second;

plain("without scripts: set up, enroll an authenticator, sign out, sign in with passphrase and code", async () => {
  const { origin, link } = await start({ hasApi: true });
  bare = await open(origin, { javaScriptEnabled: false });
  await person.setUp(bare, link);
  const { authenticator } = await person.enroll(bare);
  await person.signOut(bare);
  await person.givePassphrase(bare);
  await person.giveCode(bare, await authenticator.next());
  await person.isAtHome(bare, "passphrase and code");
});

plain("without scripts: create a client, rotate its secret, disable it", async () => {
  client = await person.createClient(bare, "billing-worker", API.scope);
  await person.stored(bare);
  second = await person.rotate(bare, client.id);
  await person.stored(bare);
  for (const secret of [client.secret, second]) {
    assert.equal((await askToken(bare.origin, client.id, secret)).status, 200, "both secrets work");
  }
  await person.setEnabled(bare, client.id, "disable");
  assert.equal((await askToken(bare.origin, client.id, second)).status, 401, "the disabled client is refused");
});

plain("without scripts: what was done is undone, access is changed after a preview, an API is made", async () => {
  const { page } = bare;
  await page.click('.done button:has-text("Undo")');
  await page.waitForURL(person.path(bare, client.id));
  const address = await person.createApi(bare, "https://ledger.example", "Ledger", "ledger:read");
  await page.goto(person.path(bare, client.id, "access"));
  await page.check('input[name=scope][value="ledger:read"]');
  await page.check('input[name=default_scope][value="ledger:read"]');
  await page.uncheck(`input[name=default_scope][value="${API.scope}"]`);
  await page.click('button:has-text("Preview")');
  const claims = JSON.parse(await page.textContent("#claims"));
  assert.deepEqual([claims.scope, claims.aud], ["ledger:read", "https://ledger.example"]);
  await page.click('button:text-is("Save")');
  await page.waitForSelector('.done :text("Saved")');
  const { body } = await askToken(bare.origin, client.id, second, "");
  assert.equal(body.scope, "ledger:read", JSON.stringify(body));
  await page.goto(address);
  assert.equal(await page.locator("tbody tr").count(), 1);
  await person.setEnabled(bare, client.id, "disable");
});

plain("without scripts: clients are selected, disabled after a question, and enabled; columns are chosen", async () => {
  const { page } = bare;
  const list = `${bare.console}/identity/clients`;
  await page.goto(list);
  assert(await page.locator("[data-all]").isHidden(), "all at once needs a script");
  const row = 'tr:has-text("billing-worker")';
  await page.check(`${row} .pick input`);
  await page.click('#selection button:text-is("Enable")');
  await page.waitForSelector('.done :text("1 client is enabled")');
  await page.check(`${row} .pick input`);
  await page.click('#selection button:text-is("Disable")');
  await page.click('button:text-is("Disable 1 client")');
  await page.waitForSelector('.done :text("1 client is disabled")');
  await page.click('button:has-text("Columns")');
  await page.check('#columns input[value="changed"]');
  await page.uncheck('#columns input[value="scopes"]');
  await page.click('#columns button:text-is("Show these")');
  await page.waitForURL(list);
  assert.deepEqual([await page.locator('[data-label="Changed"]').count() > 0, await page.locator('[data-label="Scopes"]').count()], [true, 0]);
});

plain("without scripts: the filter of the list and the theme are kept by the server", async () => {
  const { page } = bare;
  await page.goto(`${bare.console}/identity/clients`);
  await page.selectOption("#status", "disabled");
  await page.click('.filters button:has-text("Filter")');
  assert.deepEqual(await page.locator("#list a.name").allTextContents(), ["billing-worker"]);
  await page.click("button.who");
  await page.click('#operator button[value="dark"]');
  await page.goto(bare.console);
  assert.equal(await page.getAttribute("html", "data-theme"), "dark");
});

plain("without scripts: create a customer, subscribe it, change its plan, and its client gets a token for it", async () => {
  const { page } = bare;
  const customer = await person.createCustomer(bare, "Northwind Traders", "crm-1042");
  for (const [key, name] of [["pro", "Pro"], ["team", "Team"]]) await person.publishPlan(bare, key, name);
  await person.subscribe(bare, customer, "pro", "3");
  await page.selectOption("#plan", "team");
  await page.fill("#quantity", "5");
  await page.click('form[action$="/change"] button:text-is("Change")');
  await page.waitForSelector('.done :text("It is changed")');
  assert.match(await page.textContent("h1"), /^Team, version 1 of Northwind Traders$/);
  const subscription = page.url();
  await page.goto(customer);
  await page.click('a:has-text("New client")');
  await page.fill("#name", "northwind-jobs");
  await page.check(`input[name=scope][value="${API.scope}"]`);
  await page.click("main button[type=submit]");
  const made = await person.revealed(page);
  await person.stored(bare);
  assert.equal((await askToken(bare.origin, made.id, made.secret)).status, 200, "who pays gets a token");
  await page.goto(subscription);
  await page.click("button[commandfor=cancel]");
  await page.check("#cancel input[value=now]");
  await page.click("#cancel button[type=submit]");
  await page.waitForSelector('.done :text("It is canceled")');
  const { status, body } = await askToken(bare.origin, made.id, made.secret);
  assert.equal(status, 400);
  assert.match(body.error_description, /^subscription_inactive: /);
  await page.goto(customer);
  assert.match(await page.textContent("section[aria-label=Clients]"), /Its customer has no access/);
});

// Where the focus is, and whether a person can see it: inside the window, with an outline or a ring.
function focus(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const shown = element.matches(".languages input") ? element.closest("label") : element;
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(shown);
    const box = shown.getBoundingClientRect();
    const hasRing = (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
    const isInside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0;
    return { html: element.outerHTML.slice(0, 120), isSeen: hasRing && isInside, box: JSON.stringify(box), boxShadow };
  });
}

// Presses Tab until the focus is on the element, which must come within a page's worth of stops.
async function tabTo(page, selector) {
  for (let stops = 0; stops < 90; stops++) {
    const at = await focus(page);
    if (at) assert(at.isSeen, `the focus cannot be seen on ${new URL(page.url()).pathname}: ${at.html} ${at.box}`);
    const isThere = await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector);
    if (isThere) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not come to ${selector} on ${page.url()}`);
}

async function type(page, selector, text) {
  await tabTo(page, selector);
  await page.keyboard.type(text);
}

async function press(page, selector, key = "Enter") {
  await tabTo(page, selector);
  await page.keyboard.press(key);
}

const keyboard = story();
let keys, authenticator;

async function arrive(page, pattern) {
  await page.waitForURL(pattern, { waitUntil: "load" });
}

keyboard("with the keyboard: set up, enroll an authenticator, sign out, sign in with passphrase and code", async () => {
  const { origin, link } = await start({ hasApi: true });
  keys = await open(origin);
  const { page } = keys;
  await page.goto(link);
  for (const [field, text] of Object.entries(person.OWNER)) await type(page, `#${field}`, text);
  await page.keyboard.press("Enter");
  await arrive(page, "**/console/account");
  await press(page, 'main a[href$="/account/authenticator"]');
  await arrive(page, "**/authenticator");
  authenticator = new Authenticator(await page.textContent("#totp-secret"));
  await type(page, "#code", await authenticator.next());
  await page.keyboard.press("Enter");
  await page.waitForSelector("#recovery-codes");
  await press(page, "main a.primary");
  await arrive(page, "**/console/account");
  await press(page, "button.who");
  await press(page, '#operator form[action$="/sign-out"] button');
  await arrive(page, "**/console/sign-in");
  await type(page, "#email", person.OWNER.email);
  await type(page, "#passphrase", person.OWNER.passphrase);
  await page.keyboard.press("Enter");
  await arrive(page, "**/second-factor**");
  await type(page, "#code", await authenticator.next());
  await page.keyboard.press("Enter");
  await arrive(page, keys.console);
  await person.isAtHome(keys, "passphrase and code");
});

keyboard("with the keyboard: the first stop skips to the content, and Escape closes the menu", async () => {
  const { page } = keys;
  await page.goto(keys.console);
  await page.keyboard.press("Tab");
  assert.match((await focus(page)).html, /Skip to content/);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await press(page, "button.who", "Space");
  assert(await page.locator("#operator").isVisible(), "the menu opens");
  await page.keyboard.press("Escape");
  assert(!(await page.locator("#operator").isVisible()), "Escape closes the menu");
  assert.match((await focus(page)).html, /class="button who"/, "the focus is back on its button");
});

keyboard("with the keyboard: create a client, rotate its secret, disable it", async () => {
  const { page } = keys;
  await page.goto(keys.console);
  await press(page, 'nav.side a[href$="/identity/clients"]');
  await arrive(page, "**/identity/clients");
  await press(page, ".page-head a.primary");
  await arrive(page, "**/clients/new");
  await type(page, "#name", "billing-worker");
  await press(page, `input[name=scope][value="${API.scope}"]`, "Space");
  await press(page, "main button[type=submit]");
  await page.waitForSelector("#reveal");
  const made = await person.revealed(page);
  await press(page, "#reveal a.primary");
  await arrive(page, `**/clients/${made.id}`);
  await press(page, '.tabs a[href$="/credentials"]');
  await arrive(page, "**/credentials");
  await press(page, ".page-head button[commandfor=rotate]");
  await page.waitForSelector("dialog#rotate[open]");
  await press(page, "#keep", "ArrowDown");
  await press(page, "#rotate button[type=submit]");
  await page.waitForSelector("#reveal");
  const next = (await person.revealed(page)).secret;
  await press(page, "#reveal a.primary");
  await arrive(page, (url) => !url.pathname.endsWith("/secrets"));
  assert.equal((await askToken(keys.origin, made.id, next)).status, 200, "the new secret works");
  await press(page, '.tabs a[href$="/danger"]');
  await arrive(page, "**/danger");
  await press(page, ".zone button[commandfor=disable]");
  await page.waitForSelector("dialog#disable[open]");
  assert.match((await focus(page)).html, />Cancel|autofocus/, "the dialog begins at the harmless button");
  await press(page, "#disable button[type=submit]");
  await arrive(page, `**/clients/${made.id}`);
  assert.equal((await askToken(keys.origin, made.id, next)).status, 401, "the disabled client is refused");
});

keyboard("with the keyboard: create a customer, subscribe it, change its plan, suspend it", async () => {
  const { page } = keys;
  for (const [key, name] of [["pro", "Pro"], ["team", "Team"]]) await person.publishPlan(keys, key, name);
  await page.goto(keys.console);
  await press(page, 'nav.side a[href$="/customers"]');
  await arrive(page, "**/customers");
  await press(page, ".page-head a.primary");
  await arrive(page, "**/customers/new");
  for (const [field, text] of [["name", "Northwind Traders"], ["currency", "EUR"], ["country", "DE"]]) await type(page, `#${field}`, text);
  await press(page, "main button[type=submit]");
  await arrive(page, "**/customers/cus_*");
  const customer = page.url();
  await press(page, ".page-head a.primary");
  await arrive(page, "**/subscribe");
  await press(page, "input[name=plan]:checked", "ArrowDown");
  assert.equal(await page.locator('input[name=plan][value="team"]').isChecked(), true);
  await press(page, "main button[type=submit]");
  await arrive(page, customer);
  await press(page, "section[aria-label=Subscriptions] a.name");
  await arrive(page, "**/billing/subscriptions/sub_*");
  await press(page, "#plan", "ArrowDown");
  await press(page, 'form[action$="/change"] button[type=submit]');
  await page.waitForSelector('.done :text("It is changed")');
  assert.match(await page.textContent("h1"), /^Pro, version 1 of Northwind Traders$/);
  await page.goto(customer);
  await press(page, '.tabs a[href$="/danger"]');
  await arrive(page, "**/danger");
  await press(page, ".zone button[commandfor=suspend]");
  await page.waitForSelector("dialog#suspend[open]");
  assert.match((await focus(page)).html, />Cancel|autofocus/, "the dialog begins at the harmless button");
  await press(page, "#suspend button[type=submit]");
  await arrive(page, customer);
  assert.match(await page.textContent("main"), /It may do nothing now/);
});

nothingElseHappened();
