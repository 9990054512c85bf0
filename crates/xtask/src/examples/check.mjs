// The snippet of the book against a live server: a good token passes, and nothing else does.
import assert from 'node:assert/strict'
import { may, verify } from './verify.mjs'

const { GOOD, OTHER } = process.env
const payload = await verify(GOOD)
assert.equal(payload.client_id, 'orders')
assert.ok(may(payload, 'orders:read'))
assert.ok(!may(payload, 'orders:write'))
assert.ok(!may({}, 'orders:read'))
const [header, claims, signature] = GOOD.split('.')
const other = Buffer.from(JSON.stringify({ ...payload, scope: 'orders:write' })).toString('base64url')
for (const bad of [OTHER, `${header}.${other}.${signature}`, `${header}.${claims}.`, 'nothing', '']) {
  await assert.rejects(verify(bad), undefined, bad)
}
