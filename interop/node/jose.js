// The package `jose`: a resource server that verifies access tokens offline against the published keys.
import assert from 'node:assert/strict'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { client, defaultAudience, flow, issuer, resource, runAll } from './flows.js'

const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`))

const token = async (parameters) => {
  const answer = await fetch(`${issuer}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client.id,
      client_secret: client.secret,
      ...parameters,
    }),
  })
  assert.equal(answer.status, 200)
  return (await answer.json()).access_token
}

flow('verification with issuer, audience and type', async () => {
  const { payload, protectedHeader } = await jwtVerify(await token({ resource, scope: 'invoices:read' }), keys, {
    issuer,
    audience: resource,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['sub', 'client_id', 'exp', 'iat', 'nbf', 'jti', 'scope', 'tenant'],
  })
  assert.ok(protectedHeader.kid)
  assert.equal(payload.sub, client.id)
  assert.equal(payload.scope, 'invoices:read')
})

flow('the audience of another API is refused', async () => {
  await assert.rejects(jwtVerify(await token({ scope: 'read' }), keys, { issuer, audience: resource }), {
    code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
    claim: 'aud',
  })
  await jwtVerify(await token({ scope: 'read' }), keys, { issuer, audience: defaultAudience })
})

flow('a changed token is refused', async () => {
  const [header, payload, signature] = (await token({ scope: 'read' })).split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const forged = Buffer.from(JSON.stringify({ ...claims, scope: 'admin' })).toString('base64url')
  await assert.rejects(jwtVerify(`${header}.${forged}.${signature}`, keys), {
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  })
})

flow('the keys hold no private part and name their use', async () => {
  const { kid } = decodeProtectedHeader(await token({ scope: 'read' }))
  const published = await (await fetch(`${issuer}/.well-known/jwks.json`)).json()
  assert.equal(published.keys.filter((key) => key.kid === kid).length, 1)
  for (const key of published.keys) {
    assert.equal(key.use, 'sig')
    assert.equal(key.d, undefined)
  }
})

await runAll('jose')
