// The pictures of the book, drawn from a server with a handful of clients.
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { test } from "node:test";
import * as person from "./person.js";
import { shrunk } from "./png.js";
import { API, askToken } from "./server.js";
import { nothingElseHappened, open, start } from "./suite.js";

const FOLDER = fileURLToPath(new URL("../docs/images/", import.meta.url));
const BYTES = 1_500_000;

test("the pictures of the console", { timeout: 120_000 }, async () => {
  mkdirSync(FOLDER, { recursive: true });
  const { origin, link } = await start({ hasApi: true, port: 8080 });
  const who = await open(origin, { viewport: { width: 1280, height: 800 } });
  const { page } = who;
  const shoot = async (name, width = 1280) => {
    await page.setViewportSize({ width, height: width < 1280 ? 844 : 800 });
    // Nothing shall look as if the pointer were on it.
    await page.mouse.move(0, 0);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const picture = await page.screenshot({ animations: "disabled" });
      writeFileSync(`${FOLDER}console-${name}-${colorScheme}.png`, shrunk(picture));
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  await person.setUp(who, link);
  const { authenticator } = await person.enroll(who);
  await person.signOut(who);
  await shoot("sign-in");
  await person.givePassphrase(who);
  await person.giveCode(who, await authenticator.next());
  let client;
  for (const name of ["invoice-mailer", "warehouse-sync", "partner-eu", "ledger-export", "billing-worker"]) {
    client = await person.createClient(who, name, API.scope);
    assert.equal((await askToken(origin, client.id, client.secret)).status, 200);
    if (name === "billing-worker") {
      // Whoever reads the book shall not try it.
      await page.evaluate(() => {
        for (const place of document.querySelectorAll("#secret")) {
          place.textContent = place.textContent.slice(0, 7) + "•".repeat(40);
        }
      });
      await shoot("reveal");
    }
    await person.stored(who);
    if (name === "partner-eu") await person.setEnabled(who, client.id, "disable");
  }
  const invite = async (email) => {
    await page.goto(`${who.console}/team`);
    await page.fill("#email", email);
    await page.click('main button:has-text("Make invitation link")');
    return page.textContent("#invitation");
  };
  const guest = await open(origin);
  await guest.page.goto(await invite("sam@example.com"));
  await guest.page.fill("#name", "Sam Lind");
  await guest.page.fill("#passphrase", "seven quiet herons under ice");
  await guest.page.click("main button[type=submit]");
  await guest.page.waitForURL(guest.console);
  await invite("kim@example.com");
  await page.goto(`${who.console}/team`);
  await shoot("team");
  await page.goto(who.console);
  await shoot("home");
  await page.goto(`${who.console}/identity/clients`);
  await shoot("clients");
  await shoot("clients-narrow", 390);
  await page.goto(person.path(who, client.id));
  await shoot("client");
  await page.goto(`${who.console}/identity/keys`);
  await shoot("keys");
  await person.createFeature(who, "sso", "Single sign-on", "boolean");
  await person.createFeature(who, "seats", "Seats", "static");
  await person.publishPlan(who, "pro", "Pro");
  const customer = await person.createCustomer(who, "Northwind Traders", "crm-1042");
  await person.subscribe(who, customer, "pro", "3");
  await shoot("subscription");
  await page.goto(customer);
  await shoot("customer");
  await page.goto(`${who.console}/audit`);
  await page.locator("details.record summary").first().click();
  await shoot("audit");
  const sum = readdirSync(FOLDER).reduce((bytes, name) => bytes + statSync(FOLDER + name).size, 0);
  assert(sum < BYTES, `the pictures take ${sum} bytes, more than ${BYTES}`);
});

nothingElseHappened();
