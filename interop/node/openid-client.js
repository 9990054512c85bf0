// The package `openid-client`: discovery and the grants, introspection and revocation behind it.
import assert from 'node:assert/strict'
import * as oidc from 'openid-client'
import { chosen, client, defaultAudience, flow, issuer, other, resource, runAll, sameScopes } from './flows.js'

const discover = (who, authentication, algorithm = 'oauth2') =>
  oidc.discovery(new URL(issuer), who.id, undefined, authentication(who.secret), {
    algorithm,
    // The server listens on loopback without TLS.
    execute: [oidc.allowInsecureRequests],
  })

const methods = [
  ['client_secret_basic', oidc.ClientSecretBasic],
  ['client_secret_post', oidc.ClientSecretPost],
]

flow('discovery by RFC 8414', async () => {
  const metadata = (await discover(client, oidc.ClientSecretBasic)).serverMetadata()
  assert.equal(metadata.issuer, issuer)
  assert.equal(metadata.token_endpoint, `${issuer}/oauth2/token`)
  assert.ok(metadata.grant_types_supported.includes('client_credentials'))
})

flow('discovery at the path of OpenID Connect', async () => {
  const metadata = (await discover(client, oidc.ClientSecretBasic, 'oidc')).serverMetadata()
  assert.equal(metadata.issuer, issuer)
})

for (const [name, authentication] of methods) {
  flow(`client_credentials with ${name}`, async () => {
    const config = await discover(client, authentication)
    const tokens = await oidc.clientCredentialsGrant(config, { scope: 'read' })
    assert.equal(tokens.token_type, 'bearer')
    assert.equal(tokens.scope, 'read')
    assert.ok(tokens.expiresIn() > 0)
    assert.equal(tokens.id_token, undefined)
  })

  flow(`refresh with ${name}`, async () => {
    const config = await discover(client, authentication)
    const first = await oidc.clientCredentialsGrant(config, { scope: 'read write' })
    const second = await oidc.refreshTokenGrant(config, first.refresh_token)
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.notEqual(second.access_token, first.access_token)
    sameScopes(second.scope, 'read write')
    const narrower = await oidc.refreshTokenGrant(config, second.refresh_token, { scope: 'write' })
    assert.equal(narrower.scope, 'write')
  })

  flow(`introspection and revocation with ${name}`, async () => {
    const config = await discover(client, authentication)
    const { access_token: token } = await oidc.clientCredentialsGrant(config, { scope: 'read' })
    const before = await oidc.tokenIntrospection(config, token)
    assert.equal(before.active, true)
    assert.equal(before.client_id, client.id)
    assert.equal(before.scope, 'read')
    assert.equal(before.iss, issuer)
    await oidc.tokenRevocation(config, token)
    assert.deepEqual(await oidc.tokenIntrospection(config, token), { active: false })
  })

  for (const who of chosen) {
    flow(`chosen secret with ${who.name}, ${name}`, async () => {
      const tokens = await oidc.clientCredentialsGrant(await discover(who, authentication))
      sameScopes(tokens.scope, 'read write')
    })
  }
}

flow('resource', async () => {
  const config = await discover(client, oidc.ClientSecretBasic)
  const tokens = await oidc.clientCredentialsGrant(config, { resource, scope: 'invoices:read' })
  assert.equal(tokens.scope, 'invoices:read')
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).aud, resource)
  const plain = await oidc.clientCredentialsGrant(config)
  sameScopes(plain.scope, 'read write')
  assert.equal((await oidc.tokenIntrospection(config, plain.access_token)).aud, defaultAudience)
})

flow('revocation of a refresh token ends its access tokens', async () => {
  const config = await discover(client, oidc.ClientSecretBasic)
  const tokens = await oidc.clientCredentialsGrant(config)
  await oidc.tokenRevocation(config, tokens.refresh_token, { token_type_hint: 'refresh_token' })
  assert.deepEqual(await oidc.tokenIntrospection(config, tokens.access_token), { active: false })
  await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), { error: 'invalid_grant', status: 400 })
})

flow('a token of another client stays hidden and alive', async () => {
  const config = await discover(client, oidc.ClientSecretBasic)
  const stranger = await discover(other, oidc.ClientSecretBasic)
  const { access_token: token } = await oidc.clientCredentialsGrant(config)
  assert.deepEqual(await oidc.tokenIntrospection(stranger, token), { active: false })
  await oidc.tokenRevocation(stranger, token)
  assert.equal((await oidc.tokenIntrospection(config, token)).active, true)
})

flow('errors by their names', async () => {
  const config = await discover(client, oidc.ClientSecretBasic)
  await assert.rejects(oidc.clientCredentialsGrant(config, { scope: 'nobody:knows' }), {
    error: 'invalid_scope',
    status: 400,
  })
  await assert.rejects(oidc.clientCredentialsGrant(config, { resource: 'https://elsewhere.example' }), {
    error: 'invalid_target',
    status: 400,
  })
  await assert.rejects(oidc.genericGrantRequest(config, 'password', { username: 'a', password: 'b' }), {
    error: 'unsupported_grant_type',
    status: 400,
  })
  const wrong = await discover({ id: client.id, secret: other.secret }, oidc.ClientSecretPost)
  // Every 401 carries a challenge, which the library reports as an error of its own with the challenge in it.
  await assert.rejects(oidc.clientCredentialsGrant(wrong), (error) => error.status === 401)
})

await runAll('openid-client')
