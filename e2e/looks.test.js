// Every page, dialog and menu as axe sees it: light and dark, wide and narrow.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addPasskeyDevice, inspect, LOOKS } from "./browser.js";
import * as person from "./person.js";
import { API } from "./server.js";
import { nothingElseHappened, open, start, story } from "./suite.js";

const look = story();
let server, who, client, authenticator;
// What was found, and where: one fault of a common part is one line.
const faults = new Map();
let inspected = 0;

async function inspects(page, name, looks = LOOKS) {
  inspected += looks.length;
  for (const [where, what] of await inspect(page, name, looks)) {
    faults.set(what, [...(faults.get(what) ?? []), where]);
  }
}

// The page, and then each thing that opens on it: a button, what it opens, and how it is closed again.
async function sees(name, address, openers = []) {
  const { page } = who;
  if (address !== null) await page.goto(address);
  await inspects(page, name);
  for (const [what, button, opened, looks = LOOKS] of openers) {
    await page.setViewportSize({ width: looks[0].width, height: looks[0].height });
    // Whether it can be hit is asked of every button, by its place.
    await page.locator(button).first().evaluate((element) => element.click());
    await page.waitForSelector(opened, { state: "visible" });
    await inspects(page, `${name}, ${what}`, looks);
    if (await page.locator("dialog:modal, [popover]:popover-open").count()) await page.keyboard.press("Escape");
  }
}

const narrow = LOOKS.filter(({ width }) => width < 1280);
const menu = ["operator menu", "button.who", "#operator:popover-open"];
const drawer = ["sections", "button[popovertarget=sections]", "#sections:popover-open", narrow];

look("axe sees the pages before sign-in", async () => {
  server = await start({ hasApi: true });
  who = await open(server.origin);
  const { page } = who;
  await sees("setup", server.link);
  who.expected.add(422);
  await page.fill("#passphrase", "short");
  for (const field of ["organization", "name", "email"]) await page.fill(`#${field}`, person.OWNER[field]);
  await page.click("main button[type=submit]");
  await sees("setup with a problem", null);
  await person.setUp(who, server.link);
  await addPasskeyDevice(page);
  await sees("account before a second factor", null, [menu, drawer]);
  await sees("authenticator", `${who.console}/account/authenticator`);
  ({ authenticator } = await person.offerCodes(who));
  await sees("recovery codes", null);
  await page.click("main a.primary");
  await page.fill("#passkey-name", "laptop");
  await page.click("form[data-passkey-new] button");
  await page.waitForSelector('ul.rows strong:text-is("laptop")');
  await person.signOut(who);
  await sees("sign-in", `${who.console}/sign-in`);
  await person.givePassphrase(who, "not the passphrase at all");
  await sees("sign-in with a problem", null);
  await person.givePassphrase(who);
  await sees("second factor", null);
  await sees("recovery code", `${who.console}/sign-in/recovery`);
  who.expected.delete(422);
  await page.goto(`${who.console}/sign-in/second-factor`);
  await person.giveCode(who, await authenticator.next());
  await person.isAtHome(who, "passphrase and code");
  who.expected.add(410).add(404);
  await sees("a used link", server.link);
  await sees("an unknown page", `${who.console}/nothing`);
  who.expected.clear();
}, 90_000);

look("axe sees Home, clients and one client, with their dialogs and menus", async () => {
  const { page } = who;
  const list = `${who.console}/identity/clients`;
  await sees("no client", `${list}?q=nothing`);
  await sees("new client", `${list}/new`, [
    ["scopes of the server", "fieldset summary", "details[open] .check"],
    ["more settings", "details:not([open]) > summary", "#client_id"],
  ]);
  who.expected.add(422);
  await page.fill("#client_id", "not a client id");
  await page.fill("#name", "billing-worker");
  await page.click("main button[type=submit]");
  await sees("new client with a problem", null);
  await page.fill("#client_id", "");
  await page.fill("#secret", "twelve-letters");
  await page.click("main button[type=submit]");
  await sees("new client with a warning", null);
  who.expected.delete(422);
  client = await person.createClient(who, "billing-worker", API.scope);
  await page.click("#reveal .run button[type=submit]");
  await page.waitForSelector("#ran-claims");
  await sees("reveal", null, [
    ["as code", "#reveal details:nth-of-type(1) summary", "#code-createClient-curl"],
    ["environment file", "#reveal details:has(#reveal-env) summary", "#reveal-env"],
    ["closing", ".veil", "#leave[open]"],
  ]);
  await person.stored(who);
  for (const name of ["ledger-export", "invoice-mailer", "warehouse-sync", "partner-eu"]) {
    await person.createClient(who, name, API.scope);
    await person.stored(who);
  }
  await sees("home", who.console, [menu, drawer]);
  await sees("clients", list, [
    ["row menu", ".row-menu button", ".menu:popover-open"],
    ["columns", "button[popovertarget=columns]", "#columns:popover-open"],
    ["selection", "td.pick input", "#selection"],
  ]);
  await sees("clients, none found", `${list}?q=zzz`);
  const at = (part) => person.path(who, client.id, part);
  const rotate = ["rotate", ".page-head button[commandfor=rotate]", "dialog#rotate[open]"];
  await sees("client", at(""), [rotate, ["as code", "button[popovertarget=as-code]", "#as-code:popover-open"]]);
  await page.fill("#run-secret", "not the secret");
  await page.click(".run button[type=submit]");
  await page.waitForSelector("#ran .notice");
  await sees("a refused run", null);
  await sees("operations of the API", `${server.origin}/docs/api`);
  await sees("credentials", at("credentials"), [["end", "tbody button.danger", "dialog[open]"]]);
  for (const part of ["access", "limits", "logs", "settings"]) await sees(part, at(part));
  const late = await who.context.newPage();
  await late.goto(at("settings"));
  await page.fill("#name", "billing-worker-eu");
  await page.click('button:text-is("Save")');
  await sees("what was saved", null);
  who.expected.add(422);
  await late.fill("#name", "billing-worker-us");
  await late.click('button:text-is("Save")');
  await inspects(late, "both versions");
  who.expected.delete(422);
  await late.close();
  await sees("danger zone", at("danger"), [
    ["disable", ".zone button[commandfor=disable]", "dialog#disable[open]"],
    ["delete", "button[commandfor=delete]", "dialog#delete[open]"],
  ]);
  await person.setEnabled(who, client.id, "disable");
  await sees("a disabled client", null);
  await person.setEnabled(who, client.id, "enable");
}, 200_000);

look("axe sees APIs, keys, team, audit log and account, with their dialogs", async () => {
  const { page } = who;
  await sees("apis", `${who.console}/identity/apis`);
  const api = await person.createApi(who, "https://ledger.example", "Ledger", "ledger:read");
  await sees("an API", null);
  for (const part of ["clients", "verify", "settings", "danger"]) await sees(`an API, ${part}`, `${api}/${part}`);
  await page.goto(api);
  await page.click('form[action$="/withdraw"] button');
  await sees("an API without a scope", null);
  await sees("an API that can be deleted", `${api}/danger`, [["delete", "button[commandfor=delete]", "dialog#delete[open]"]]);
  await sees("new API", `${who.console}/identity/apis/new`);
  await sees("keys", `${who.console}/identity/keys`, [
    ["rotate", "button[commandfor=rotate]", "dialog#rotate[open]"],
    ["revoke", "button[commandfor^=revoke-]", "dialog[id^=revoke-][open]"],
  ]);
  await page.goto(`${who.console}/team`);
  await page.fill("#email", "sam@example.com");
  await page.click('main button:has-text("Make invitation link")');
  const invitation = await page.textContent("#invitation");
  await sees("team with an invitation", null);
  const guest = await open(server.origin);
  await guest.page.goto(invitation);
  await inspects(guest.page, "join");
  await guest.page.fill("#name", "Sam Lind");
  await guest.page.fill("#passphrase", "seven quiet herons under ice");
  await guest.page.click("main button[type=submit]");
  await guest.page.waitForURL(guest.console);
  await inspects(guest.page, "home of a developer");
  for (const path of ["/team", "/identity/keys", "/identity/clients", "/audit"]) {
    guest.expected.add(403);
    await guest.page.goto(guest.console + path);
    await inspects(guest.page, `${path} of a developer`);
  }
  await sees("team", `${who.console}/team`, [["remove", "button[command=show-modal]", "dialog[open]"]]);
  await sees("audit log", `${who.console}/audit`, [["record", "details.record summary", "details.record[open] .body"]]);
  await sees("account", `${who.console}/account`, [
    ["remove passkey", "ul.rows button[commandfor]", "dialog[open]"],
    ["remove authenticator", "section[aria-label=Authenticator] button[commandfor]", "dialog[open]"],
  ]);
  await sees("step-up", `${who.console}/step-up?next=/console/team`);
}, 200_000);

look("axe sees activity, tokens, limits, settings and tenants", async () => {
  const { page } = who;
  await sees("activity", `${who.console}/activity`, [["event", "details.record summary", "details.record[open] .body"]]);
  await sees("activity, nothing matches", `${who.console}/activity?object=nothing`);
  await sees("tokens", `${who.console}/identity/tokens`);
  await sees("tokens of a client", `${who.console}/identity/tokens?client=${client.id}`, [
    ["revoke all", "button[commandfor=end-all]", "dialog#end-all[open]"],
  ]);
  await sees("inspector", `${who.console}/identity/tokens/inspect`);
  await page.fill("#token", "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vdCBvdXJzIn0.e30.AAAA");
  await page.click("main button[type=submit]");
  assert.match(await page.textContent("main"), /This is not ours/);
  assert.equal(await page.inputValue("#token"), "", "the token is not shown again");
  await sees("inspected, not ours", null);
  await sees("limits", `${who.console}/identity/limits`);
  await sees("settings", `${who.console}/settings`);
  await sees("notices", `${who.console}/settings/notices`);
  await sees("tenants", `${who.console}/tenants`);
  await page.fill("#slug", "acme");
  await page.click('button:text-is("Create tenant")');
  await sees("a tenant made", null);
  await sees("disable a tenant", `${who.console}/tenants/acme/disable`);
}, 120_000);

look("axe sees webhooks", async () => {
  const { page } = who;
  const list = `${who.console}/developers/webhooks`;
  await sees("no webhook endpoint", list);
  await sees("new webhook endpoint", `${list}/new`, [["types", "fieldset summary", "details[open] .check"]]);
  who.expected.add(422);
  await page.fill("#url", "http://hooks.example.com");
  await page.click("main button[type=submit]");
  await sees("new webhook endpoint with a problem", null);
  who.expected.delete(422);
  await page.fill("#url", "https://hooks.example.com/in");
  await page.check('input[name=types][value="client.*"]');
  await page.click("main button[type=submit]");
  await sees("webhook reveal", null, [["closing", ".veil", "#leave[open]"]]);
  await page.goto(list);
  await page.click("td.lead a");
  const endpoint = page.url();
  await page.click('button:text-is("Send a test")');
  await sees("webhook endpoint", null);
  await page.click("td.lead a");
  await sees("webhook delivery", null);
  await sees("webhook types", `${endpoint}/events?q=client`, [["sample", "details.record summary", "details.record[open] .body"]]);
  await sees("webhook verification", `${endpoint}/verify`);
  await sees("webhook settings", `${endpoint}/settings`, [["roll", "button[commandfor=roll]", "dialog#roll[open]"]]);
  await sees("webhook danger zone", `${endpoint}/danger`, [["delete", "button[commandfor=delete]", "dialog#delete[open]"]]);
  await sees("webhooks sent again", `${endpoint}/resend?status=failed`);
  await page.goto(endpoint);
  await page.click('button:text-is("Pause")');
  await sees("paused webhook endpoint", null);
  await sees("home with a paused webhook endpoint", who.console);
  await page.click('.attention button:text-is("Send a test and resume")');
  await page.waitForURL(endpoint);
  await sees("webhooks", list);
}, 150_000);

look("axe sees customers, plans, subscriptions, features and meters, with their dialogs", async () => {
  const { page } = who;
  const at = (path) => `${who.console}/${path}`;
  await sees("no customer", at("customers"));
  await sees("no plan", at("billing/plans"));
  await sees("no subscription", at("billing/subscriptions"));
  await sees("no usage", at("billing/usage"));
  await sees("no feature and no meter", at("billing/features"), [["new feature", "section[aria-label=Features] summary", "#key"]]);
  who.expected.add(422);
  await page.fill("#key", "SSO");
  await page.click('button:text-is("Create feature")');
  await sees("a new feature with a problem", null);
  await page.fill("#key", "sso");
  await page.fill("#name", "Single sign-on");
  await page.click('button:text-is("Create feature")');
  await page.click("section[aria-label=Meters] summary");
  await page.fill("#meter_key", "calls");
  await page.fill("#event_type", "api.call");
  await page.click('button:text-is("Create meter")');
  await sees("features and meters", null, [
    ["edit", "button[commandfor^=edit-]", "dialog[id^=edit-][open]"],
    ["delete", "button[commandfor^=delete-]", "dialog[id^=delete-][open]"],
    ["archive", "button[commandfor^=archive-]", "dialog[id^=archive-][open]"],
  ]);
  await sees("new plan", at("billing/plans/new"));
  await page.fill("#key", "pro");
  const example = await page.inputValue("#definition");
  await page.fill("#definition", '{"name": "Pro", "prices": [{"model": "flat"}]}');
  await page.click("main button[type=submit]");
  await sees("new plan with problems", null);
  await page.fill("#definition", example);
  await page.click("main button[type=submit]");
  await sees("a draft", null, [["publish", "button[commandfor=publish]", "dialog#publish[open]"]]);
  const draft = page.url();
  await sees("the definition of a draft", `${draft}/definition`);
  await sees("the danger zone of a draft", `${draft}/danger`, [["delete", "button[commandfor=delete]", "dialog#delete[open]"]]);
  const plan = await person.publishPlan(who, "team", "Team");
  await sees("a plan", `${plan}?q1=2500`);
  for (const part of ["definition", "danger"]) await sees(`a plan, ${part}`, `${plan}/${part}`);
  await sees("plans", at("billing/plans"));
  await sees("new customer", at("customers/new"), [["more", "main details > summary", "#timezone"]]);
  await page.fill("#name", "Northwind Traders");
  await page.fill("#country", "Germany");
  await page.click("main button[type=submit]");
  await sees("new customer with a problem", null);
  who.expected.delete(422);
  const customer = await person.createCustomer(who, "Northwind Traders", "crm-1042");
  await sees("a customer without a subscription", null);
  await sees("subscribe", `${customer}/subscribe`);
  const subscription = await person.subscribe(who, customer, "team", "3");
  await sees("a subscription", null, [
    ["pause", "button[commandfor=pause]", "dialog#pause[open]"],
    ["cancel", "button[commandfor=cancel]", "dialog#cancel[open]"],
  ]);
  await page.goto(`${who.console}/identity/clients/new?customer=${customer.split("/").pop()}`);
  await page.fill("#name", "northwind-jobs");
  await page.check(`input[name=scope][value="${API.scope}"]`);
  await page.click("main button[type=submit]");
  await person.stored(who);
  await sees("a client of a customer", null);
  await sees("a customer", customer);
  await sees("usage of a customer", at("billing/usage?customer=crm-1042&meter=calls"));
  await sees("settings of a customer", `${customer}/settings`);
  await sees("danger zone of a customer", `${customer}/danger`, [["suspend", "button[commandfor=suspend]", "dialog#suspend[open]"]]);
  await page.goto(subscription);
  await page.click("button[commandfor=cancel]");
  await page.click("#cancel button[type=submit]");
  await sees("a subscription that ends", null);
  await page.click("button[commandfor=pause]");
  await page.click("#pause button[type=submit]");
  await sees("a paused subscription", null, [["resume", "button[commandfor=resume]", "dialog#resume[open]"]]);
  await sees("subscriptions", at("billing/subscriptions"));
  await page.goto(`${customer}/danger`);
  await page.click("button[commandfor=suspend]");
  await page.click("#suspend button[type=submit]");
  await sees("a suspended customer", null);
  await sees("customers", at("customers"));
  await sees("customers, none found", at("customers?q=zzz"));
}, 300_000);

look("the chosen theme holds whatever the system prefers", async () => {
  const { page } = who;
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.goto(who.console);
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await background();
  await page.emulateMedia({ colorScheme: "light" });
  assert.notEqual(await background(), dark, "the colors follow the system at first");
  await page.click("button.who");
  const kept = page.waitForResponse("**/preferences");
  await page.click('#operator button[value="dark"]');
  await kept;
  assert.equal(await background(), dark, "the colors change without a reload");
  await page.reload();
  assert.equal(await background(), dark, "the colors are kept");
  await page.click("button.who");
  await page.click('#operator button[value="system"]');
});

test("axe finds no violation, every control can be hit, and no page is wider than a narrow window", (context) => {
  context.diagnostic(`${inspected} looks`);
  assert(inspected > 100, `the pages were seen: ${inspected}`);
  const lines = [...faults].map(([what, where]) => `${what}\n    on ${where.join("; ")}`);
  assert(lines.length === 0, `${lines.length} faults\n${lines.join("\n")}`);
});

nothingElseHappened();
