// What a person does in the console: each function is one task, with the pages of `who` (see `profile`).
import assert from "node:assert/strict";
import { Authenticator } from "./totp.js";

export const OWNER = {
  organization: "Northwind Energy",
  name: "Ada Okafor",
  email: "ada@example.com",
  passphrase: "correct horse battery staple nine",
};

export async function setUp({ page }, link) {
  await page.goto(link);
  for (const field of ["organization", "name", "email", "passphrase"]) await page.fill(`#${field}`, OWNER[field]);
  await page.click("main button[type=submit]");
}

// Sets up an authenticator and stays on the page with the recovery codes.
export async function offerCodes(who) {
  const { page } = who;
  await page.goto(`${who.console}/account/authenticator`);
  const authenticator = new Authenticator(await page.textContent("#totp-secret"));
  await page.fill("#code", await authenticator.next());
  await page.click("main button[type=submit]");
  const codes = (await page.textContent("#recovery-codes")).trim().split(/\s+/);
  return { authenticator, codes };
}

// Sets up an authenticator; gives it and the recovery codes.
export async function enroll(who) {
  const made = await offerCodes(who);
  await who.page.click('main a:has-text("I have stored them")');
  return made;
}

export async function signOut({ page }) {
  await page.click("button.who");
  const sent = page.waitForResponse((answer) => answer.url().endsWith("/sign-out"));
  await page.click('#operator button:has-text("Sign out")');
  assert.equal((await sent).status(), 303, "the answer to signing out");
  await page.waitForURL("**/console/sign-in");
}

export async function givePassphrase(who, passphrase = OWNER.passphrase) {
  const { page } = who;
  if (!page.url().startsWith(`${who.console}/sign-in`)) await page.goto(`${who.console}/sign-in`);
  await page.fill("#email", OWNER.email);
  await page.fill("#passphrase", passphrase);
  await page.click("main button[type=submit]");
}

export async function giveCode({ page }, code) {
  await page.fill("#code", code);
  await page.click("main button[type=submit]");
}

export async function isAtHome({ page }, after) {
  assert.equal(await page.textContent("h1"), "Home", `${after} leads to ${page.url()}, not to Home`);
}

// Makes an API with one scope and gives the address of its page.
export async function createApi(who, identifier, name, scope) {
  const { page } = who;
  await page.goto(`${who.console}/identity/apis/new`);
  await page.fill("#identifier", identifier);
  await page.fill("#name", name);
  await page.click("main button[type=submit]");
  const address = page.url();
  await page.fill("#new_scope", scope);
  await page.fill("#description", `What ${scope} allows`);
  await page.click('form[action$="/scopes"] button');
  return address;
}

// Makes a client and stays on the page that shows its secret.
export async function createClient(who, name, scope) {
  const { page } = who;
  await page.goto(`${who.console}/identity/clients/new`);
  await page.fill("#name", name);
  const box = page.locator(`input[name=scope][value="${scope}"]`);
  if (!(await box.isVisible())) await page.click("fieldset summary");
  await box.check();
  await page.click("main button[type=submit]");
  return revealed(page);
}

export async function revealed(page) {
  const [id, secret] = [await page.textContent("#reveal-id"), await page.textContent("#secret")];
  assert.match(secret, /^bst_cs_\w{30,}$/, "the page shows a secret");
  return { id, secret };
}

export async function stored({ page }) {
  await page.click("#reveal a.primary");
}

export const path = (who, id, part = "") => `${who.console}/identity/clients/${id}${part && `/${part}`}`;

export async function rotate(who, id) {
  const { page } = who;
  await page.goto(path(who, id, "credentials"));
  await page.click(".page-head .actions button");
  await page.click("#rotate button[type=submit]");
  return (await revealed(page)).secret;
}

export async function setEnabled(who, id, verb) {
  const { page } = who;
  await page.goto(path(who, id, "danger"));
  if (verb === "disable") {
    await page.click(".zone button[commandfor=disable]");
    await page.click("#disable button[type=submit]");
  } else {
    await page.click(`.zone form[action$="/${verb}"] button`);
  }
  await page.waitForURL(path(who, id));
}

// Makes a customer and gives the address of its page.
export async function createCustomer(who, name, own) {
  const { page } = who;
  await page.goto(`${who.console}/customers/new`);
  for (const [field, text] of Object.entries({ name, external_id: own, currency: "EUR", country: "DE" })) await page.fill(`#${field}`, text);
  await page.click("main button[type=submit]");
  await page.waitForURL("**/customers/cus_*");
  return page.url().split("#")[0];
}

export async function createFeature(who, key, name, kind) {
  const { page } = who;
  await page.goto(`${who.console}/billing/features`);
  await page.click("section[aria-label=Features] summary");
  await page.fill("#key", key);
  await page.fill("#name", name);
  await page.selectOption("#kind", kind);
  await page.click('button:text-is("Create feature")');
  await page.waitForSelector(`.done :text("The feature ${key} is there")`);
}

// Makes a plan from the example of the form with another name, publishes it, and gives the address of its page.
export async function publishPlan(who, key, name) {
  const { page } = who;
  await page.goto(`${who.console}/billing/plans/new`);
  await page.fill("#key", key);
  const definition = JSON.parse(await page.inputValue("#definition"));
  await page.fill("#definition", JSON.stringify({ ...definition, name, trial_days: 0 }, null, 2));
  await page.click("main button[type=submit]");
  await page.click("button[commandfor=publish]");
  await page.click("#publish button[type=submit]");
  await page.waitForSelector(`.done :text("${name}, version 1 is published")`);
  return page.url();
}

// Subscribes a customer to a plan and opens the page of the subscription.
export async function subscribe(who, customer, key, quantity = "1") {
  const { page } = who;
  await page.goto(`${customer}/subscribe`);
  await page.check(`input[name=plan][value="${key}"]`);
  await page.fill("#quantity", quantity);
  await page.click("main button[type=submit]");
  await page.waitForURL(customer);
  await page.click("section[aria-label=Subscriptions] a.name");
  await page.waitForURL("**/billing/subscriptions/sub_*");
  return page.url();
}
