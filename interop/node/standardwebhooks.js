// The package `standardwebhooks`, and Node's own Ed25519, over messages that the server has sent.
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { Webhook } from 'standardwebhooks'
import { flow, required, runAll } from './flows.js'

const { old, new: rolled, before, overlap } = JSON.parse(await readFile(required('MESSAGES'), 'utf8'))
const foreign = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const ago = (seconds) => String(Math.floor(Date.now() / 1000) - seconds)

const isGood = (secret, { headers, body }) => {
  try {
    return new Webhook(secret).verify(body, headers).id === headers['webhook-id']
  } catch {
    return false
  }
}

// A message and what must be refused of it.
const tampered = ({ headers, body }) => [
  { headers, body: body.replace('"client"', '"Client"') },
  { headers: { ...headers, 'webhook-id': 'evt_other' }, body },
  { headers: { ...headers, 'webhook-timestamp': ago(301) }, body },
  { headers: { ...headers, 'webhook-timestamp': ago(-301) }, body },
  { headers: { ...headers, 'webhook-signature': headers['webhook-signature'].replaceAll(/v1a?,/g, 'v2,') }, body },
]

flow('every message before the roll is verified', () => {
  assert.equal(before.length, 2)
  assert.ok(before.every((message) => isGood(old.secret, message)))
  assert.ok(before.every((message) => !isGood(rolled.secret, message)))
})

flow('an attempt that failed comes again with the same id and another timestamp', () => {
  const [first, second] = before.map(({ headers }) => headers)
  assert.equal(first['webhook-id'], second['webhook-id'])
  assert.ok(Number(second['webhook-timestamp']) > Number(first['webhook-timestamp']))
  assert.notEqual(first['webhook-signature'], second['webhook-signature'])
  assert.equal(before[0].body, before[1].body)
})

flow('every message of the overlap is verified with the old and with the new secret', () => {
  assert.equal(overlap.length, 2)
  for (const message of overlap) {
    assert.ok(isGood(old.secret, message) && isGood(rolled.secret, message))
    assert.equal(message.headers['webhook-signature'].split(' ').length, 4)
  }
  assert.equal(overlap[1].headers['webhook-id'], before[0].headers['webhook-id'], 'what is sent again keeps its id')
})

flow('a changed message, another time and a foreign secret are refused', () => {
  for (const message of [...before, ...overlap]) {
    assert.ok(tampered(message).every((bad) => !isGood(old.secret, bad)))
    assert.ok(!isGood(foreign, message))
  }
})

const hasGoodKey = ({ public_key }, { headers, body }) => {
  const x = Buffer.from(public_key.slice('whpk_'.length), 'base64').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  const message = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
  const given = headers['webhook-signature'].split(' ').filter((signature) => signature.startsWith('v1a,'))
  return given.some((signature) => verify(null, message, key, Buffer.from(signature.slice(4), 'base64')))
}

flow('v1a is an Ed25519 signature of the old key, and in the overlap of both', () => {
  assert.ok(before.every((message) => hasGoodKey(old, message) && !hasGoodKey(rolled, message)))
  assert.ok(overlap.every((message) => hasGoodKey(old, message) && hasGoodKey(rolled, message)))
  // the last one takes the signatures of the other scheme away
  assert.ok(tampered(overlap[0]).slice(0, 4).every((bad) => !hasGoodKey(rolled, bad)))
})

// The programs of the chapter, as they stand there.
const chapter = await readFile(new URL('../../docs/webhooks.md', import.meta.url), 'utf8')
const programs = chapter.split('```js\n').slice(1).map((rest) => rest.split('\n```')[0])

// Beside the packages, where a program finds them and no checkout keeps it.
const imported = async (name, text) => {
  const file = new URL(`./node_modules/.book-${name}.mjs`, import.meta.url)
  await writeFile(file, text)
  return import(file)
}

flow('the program of the book with the secret takes messages and nothing else', async () => {
  process.env.WEBHOOK_SECRET = rolled.secret
  const { receive } = await imported('secret', programs[0])
  for (const { headers, body } of overlap) assert.equal(receive(headers, body), 'nothing to do for client.created')
  for (const { headers, body } of [...before, ...tampered(overlap[0])]) assert.throws(() => receive(headers, body))
})

flow('the program of the book with the public key takes messages and nothing else', async () => {
  process.env.WEBHOOK_PUBLIC_KEY = rolled.public_key
  const { isGood: takes } = await imported('key', programs[1])
  assert.ok(overlap.every(({ headers, body }) => takes(headers, body)))
  for (const { headers, body } of [...before, ...tampered(overlap[0]).slice(0, 4)]) assert.ok(!takes(headers, body))
})

await runAll('standardwebhooks')
