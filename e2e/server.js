// One server of the suite: a process of its own, on a free port of loopback, over a temporary store.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, openSync, closeSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const BINARY = process.env.BASTIONARY_BINARY;
const ADMIN = { id: "operations", secret: "a-secret-of-the-suite-that-guards-nothing" };
export const API = { identifier: "https://invoices.example", name: "Invoices", scope: "invoices:read" };

async function freePort() {
  const probe = createServer();
  await new Promise((done, fail) => probe.once("error", fail).listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

// Passkeys belong to host names, hence `localhost` in the issuer while the listener has an address.
async function tryStart(hasApi, port) {
  const scratch = mkdtempSync(join(tmpdir(), "bastionary-e2e-"));
  const log = join(scratch, "log");
  const out = openSync(log, "w");
  // A configuration meant for another server must not leak into this one.
  const env = {
    PATH: process.env.PATH,
    HOME: scratch,
    BASTIONARY_ISSUER: `http://localhost:${port}`,
    BASTIONARY_MANAGEMENT_LISTEN: "off",
    BASTIONARY_LOG: "warn",
  };
  if (hasApi) {
    env.BASTIONARY_ADMIN_CLIENT_ID = ADMIN.id;
    env.BASTIONARY_ADMIN_CLIENT_SECRET = ADMIN.secret;
  }
  const words = ["serve", "--listen", `127.0.0.1:${port}`, "--data-dir", join(scratch, "data")];
  const child = spawn(BINARY, words, { env, stdio: ["ignore", out, out] });
  closeSync(out);
  let ended = false;
  const end = new Promise((done) => child.once("error", done).once("exit", done)).then(() => (ended = true));
  const said = () => readFileSync(log, "utf8");
  const stop = async () => {
    child.kill("SIGTERM");
    await Promise.race([end, pause(5000, undefined, { ref: false })]);
    if (!ended) child.kill("SIGKILL");
    rmSync(scratch, { recursive: true, force: true });
  };
  const origin = env.BASTIONARY_ISSUER;
  for (let tries = 0; tries < 150 && !ended; tries++) {
    const link = said().match(/http:\/\/localhost:\d+\/console\/setup\/\S+/)?.[0];
    const answer = link && (await fetch(`${origin}/readyz`).catch(() => null));
    if (answer?.ok) return { origin, link, said, stop };
    await pause(100);
  }
  const error = new Error(`the server does not start:\n${said()}`);
  await stop();
  throw error;
}

// A server as its first owner finds it; with `hasApi` it has an administrator's client and an API with a scope.
export async function startServer({ hasApi = false, port } = {}) {
  // Until the server has its port another process could take it.
  const first = tryStart(hasApi, port ?? (await freePort()));
  const server = await first.catch(async () => tryStart(hasApi, await freePort()));
  if (hasApi) await addApi(server.origin);
  return server;
}

async function call(address, body, headers) {
  const answer = await fetch(address, { method: "POST", body, headers, signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`POST ${address} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

// The console shows APIs and does not make them.
async function addApi(origin) {
  const basic = `Basic ${btoa(`${ADMIN.id}:${ADMIN.secret}`)}`;
  const asked = new URLSearchParams({ grant_type: "client_credentials", scope: "admin" });
  const { access_token } = await call(`${origin}/oauth2/token`, asked, { authorization: basic });
  const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
  const made = JSON.stringify({ identifier: API.identifier, name: API.name });
  const api = await call(`${origin}/api/apis`, made, headers);
  const scope = JSON.stringify({ name: API.scope, description: "Read invoices" });
  await call(`${origin}/api/apis/${api.id}/scopes`, scope, headers);
}

// Status and body of a token request with a secret.
export async function askToken(origin, id, secret, scope = API.scope) {
  const answer = await fetch(`${origin}/oauth2/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope }),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: answer.status, body: await answer.json() };
}
