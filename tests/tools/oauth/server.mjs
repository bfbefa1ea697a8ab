// A node oidc-provider on loopback, with a resource to try tokens on: node server.mjs FOLDER_WITH_NODE_MODULES
// It reads {"issuer": ..., "clients": [...]} from stdin, prints {"url": ...}, and runs until killed.
// Beside the provider's own routes there is
//   GET  /resource           who the access token is, 401 without a living one: what a resource server would ask
//   POST /browser/consent   what a person in a browser would bring about: the first refresh token of a client
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(0, 'utf8'));
const found = createRequire(`${folder}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found).href);

const SCOPES = ['openid', 'offline_access', 'read'];
const API = 'urn:api';
const life = 600; // seconds, of an access token

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  scopes: SCOPES,
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['HS256', 'PS256', 'PS512', 'ES384', 'EdDSA', 'Ed25519'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: 'Ada' }) }),
  claims: { openid: ['sub', 'name'] },
  rotateRefreshToken: true,
  ttl: { AccessToken: life, ClientCredentials: life, RefreshToken: 86400, Grant: 86400 },
  // It will not fetch a jwks_uri on loopback or in a private network unless its operator brings a fetch of his own.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => (ctx.oidc.params.grant_type === 'client_credentials' ? API : undefined),
      getResourceServerInfo: () => ({ scope: 'read', audience: API, accessTokenTTL: life, accessTokenFormat: 'opaque' }),
    },
  },
});
provider.on('server_error', (ctx, fault) => process.stderr.write(`server_error ${fault.stack}\n`));
provider.on('grant.error', (ctx, fault) => process.stderr.write(`${ctx.oidc.client?.clientId} ${fault.error} ${fault.error_description} ${fault.cause?.message ?? ''}: ${fault.error_detail ?? ''}\n`));

function tell(response, status, document) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(document));
}

async function me(request, response) {
  const value = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const token = value && ((await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value)));
  if (!token) return tell(response, 401, { error: 'invalid_token' });
  return tell(response, 200, { client_id: token.clientId, name: token.accountId, scope: token.scope ?? '' });
}

async function consent(request, response) {
  let body = '';
  for await (const piece of request) body += piece;
  const asked = new URLSearchParams(body);
  const client = await provider.Client.find(asked.get('client_id'));
  const grant = new provider.Grant({ clientId: client.clientId, accountId: 'ada' });
  grant.addOIDCScope(SCOPES.join(' '));
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId: 'ada', authTime: Math.floor(Date.now() / 1000), client, grantId, gty: 'authorization_code', scope: SCOPES.join(' '),
  });
  return tell(response, 200, { refresh_token: await token.save() });
}

const own = { 'GET /resource': me, 'POST /browser/consent': consent };
const standard = provider.callback();
server.on('request', (request, response) => (own[`${request.method} ${request.url}`] ?? standard)(request, response));
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })}\n`);
