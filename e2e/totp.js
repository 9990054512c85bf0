// The authenticator app of a test: codes of RFC 6238 (HMAC-SHA-1, six digits, 30 seconds) from the secret of the page.
import { createHmac } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function decoded(base32) {
  const bits = [...base32.replace(/[\s=]/g, "")].map((c) => ALPHABET.indexOf(c).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

export function codeAt(base32, step) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const tag = createHmac("sha1", decoded(base32)).update(counter).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

export class Authenticator {
  last = 0;

  constructor(secret) {
    this.secret = secret;
  }

  // A code that was not used before: the server takes one step of drift either way, so three need no waiting.
  async next() {
    const now = () => Math.floor(Date.now() / 30_000);
    const step = Math.max(this.last + 1, now() - 1);
    while (step > now() + 1) await pause(250);
    // A minute may turn between here and the server.
    if (step === now() - 1 && Date.now() % 30_000 > 25_000) return this.take(step + 1);
    return this.take(step);
  }

  take(step) {
    this.last = step;
    return codeAt(this.secret, step);
  }
}
