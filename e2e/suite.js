// What every file of tests begins with: one browser, and the servers and profiles that it uses.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, profile } from "./browser.js";
import { startServer } from "./server.js";

let browser;
const servers = [];
const profiles = [];

before(async () => (browser = await launch()), { timeout: 60_000 });

after(async () => {
  await browser?.close();
  await Promise.all(servers.map((server) => server.stop()));
}, { timeout: 30_000 });

export async function start(options) {
  const server = await startServer(options);
  servers.push(server);
  return server;
}

export async function open(origin, options) {
  const who = await profile(browser, origin, options);
  profiles.push(who);
  return who;
}

// A profile that nobody watches: for pages of strangers.
export const openStranger = () => browser.newContext();

// Tests of one story build on each other: after a failure the rest of it is not reached.
export function story() {
  let broken = null;
  return (name, body, timeout = 60_000) =>
    test(name, { timeout }, async (context) => {
      if (broken !== null) return context.skip(`not reached: "${broken}" failed`);
      broken = name;
      await body();
      broken = null;
    });
}

// The last test of a file.
export function nothingElseHappened() {
  test("the browser reported no error, no breach of the policy and no request to anybody else", () => {
    assert(profiles.length > 0, "a browser was open");
    assert.deepEqual(profiles.flatMap((who) => who.faults), []);
  });
}
