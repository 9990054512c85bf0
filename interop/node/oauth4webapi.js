// The package `oauth4webapi`: every request and every check of an answer as a step of its own.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { chosen, client, defaultAudience, flow, issuer, other, resource, runAll, sameScopes } from './flows.js'

// The server listens on loopback without TLS.
const insecure = { [oauth.allowInsecureRequests]: true }

const discover = async () => {
  const url = new URL(issuer)
  const answer = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure })
  return oauth.processDiscoveryResponse(url, answer)
}

const methods = [
  ['client_secret_basic', oauth.ClientSecretBasic],
  ['client_secret_post', oauth.ClientSecretPost],
]

const grant = async (as, who, authentication, parameters = {}) => {
  const answer = await oauth.clientCredentialsGrantRequest(as, who, authentication, parameters, insecure)
  return oauth.processClientCredentialsResponse(as, who, answer)
}

const refresh = async (as, who, authentication, token) => {
  const answer = await oauth.refreshTokenGrantRequest(as, who, authentication, token, insecure)
  return oauth.processRefreshTokenResponse(as, who, answer)
}

const introspect = async (as, who, authentication, token) => {
  const answer = await oauth.introspectionRequest(as, who, authentication, token, insecure)
  return oauth.processIntrospectionResponse(as, who, answer)
}

const revoke = async (as, who, authentication, token) => {
  const answer = await oauth.revocationRequest(as, who, authentication, token, insecure)
  return oauth.processRevocationResponse(answer)
}

const validate = (as, token, audience, scheme = 'Bearer') => {
  const request = new Request('https://invoices.example/list', { headers: { authorization: `${scheme} ${token}` } })
  return oauth.validateJwtAccessToken(as, request, audience, insecure)
}

flow('discovery', async () => {
  const as = await discover()
  assert.equal(as.issuer, issuer)
  assert.deepEqual(as.response_types_supported, [])
})

for (const [name, method] of methods) {
  const who = { client_id: client.id }
  const authentication = method(client.secret)

  flow(`client_credentials with ${name}`, async () => {
    const tokens = await grant(await discover(), who, authentication, { scope: 'read write' })
    sameScopes(tokens.scope, 'read write')
    assert.equal(tokens.token_type, 'bearer')
    assert.ok(Number.isInteger(tokens.expires_in))
  })

  flow(`refresh with ${name}`, async () => {
    const as = await discover()
    const first = await grant(as, who, authentication, { scope: 'read' })
    const second = await refresh(as, who, authentication, first.refresh_token)
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.equal(second.scope, 'read')
    assert.equal((await validate(as, second.access_token, defaultAudience)).scope, 'read')
  })

  flow(`introspection and revocation with ${name}`, async () => {
    const as = await discover()
    const tokens = await grant(as, who, authentication)
    const before = await introspect(as, who, authentication, tokens.access_token)
    assert.equal(before.active, true)
    assert.equal(before.sub, client.id)
    assert.equal(before.aud, defaultAudience)
    assert.equal(before.exp - before.iat, tokens.expires_in)
    await revoke(as, who, authentication, tokens.access_token)
    assert.deepEqual(await introspect(as, who, authentication, tokens.access_token), { active: false })
  })

  flow(`revocation of an unknown token with ${name}`, async () => {
    await revoke(await discover(), who, authentication, 'no-token-of-this-server')
  })

  for (const hand of chosen) {
    flow(`chosen secret with ${hand.name}, ${name}`, async () => {
      const as = await discover()
      const hers = { client_id: hand.id }
      const tokens = await grant(as, hers, method(hand.secret))
      assert.equal((await introspect(as, hers, method(hand.secret), tokens.access_token)).active, true)
    })
  }
}

flow('validation of the access token by RFC 9068', async () => {
  const as = await discover()
  const who = { client_id: client.id }
  const { access_token: token } = await grant(as, who, oauth.ClientSecretBasic(client.secret), {
    resource,
    scope: 'invoices:read',
  })
  const claims = await validate(as, token, resource)
  assert.equal(claims.sub, client.id)
  assert.equal(claims.client_id, client.id)
  assert.equal(claims.scope, 'invoices:read')
  assert.equal(claims.iss, issuer)
  await assert.rejects(validate(as, token, defaultAudience), { code: oauth.JWT_CLAIM_COMPARISON })
  // A bound token is asked for, and this one is bound to nothing.
  await assert.rejects(validate(as, token, resource, 'DPoP'))
})

flow('a refused client, by body and challenge', async () => {
  const as = await discover()
  const who = { client_id: client.id }
  for (const [, method] of methods) {
    await assert.rejects(grant(as, who, method(other.secret)), (error) => {
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error))
      assert.equal(error.status, 401)
      assert.equal(error.cause[0].scheme, 'basic')
      assert.equal(error.cause[0].parameters.realm, 'bastionary')
      return true
    })
  }
})

flow('a refused request, by its error', async () => {
  const as = await discover()
  const who = { client_id: client.id }
  await assert.rejects(grant(as, who, oauth.ClientSecretBasic(client.secret), { scope: 'nobody:knows' }), (error) => {
    assert.ok(error instanceof oauth.ResponseBodyError, String(error))
    assert.equal(error.error, 'invalid_scope')
    assert.equal(error.status, 400)
    return true
  })
})

await runAll('oauth4webapi')
