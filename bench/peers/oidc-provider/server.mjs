// The peer of P2: oidc-provider with signed JWT access tokens of the client credentials grant, everything in memory.
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [, , address, id, secret] = process.argv;
const [host, port] = address.split(':');
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const provider = new Provider(`http://${address}`, {
  clients: [
    {
      client_id: id,
      client_secret: secret,
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'read',
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'https://api.example',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'read',
        audience: 'https://api.example',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 900,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'bench' }] },
  routes: { token: '/oauth2/token', jwks: '/.well-known/jwks.json' },
  scopes: ['read'],
});
const server = provider.listen(Number(port), host);
// The connections of the generator stay open between two rounds.
server.keepAliveTimeout = 600_000;
