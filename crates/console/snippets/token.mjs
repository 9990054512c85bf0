const credentials = Buffer.from(`{{client_id}}:{{#environment}}${process.env.BASTIONARY_CLIENT_SECRET}{{/environment}}{{#shown}}{{secret}}{{/shown}}`).toString("base64");
const answer = await fetch("{{issuer}}/oauth2/token", {
  method: "POST",
  headers: { authorization: `Basic ${credentials}` },
  body: new URLSearchParams({ grant_type: "client_credentials"{{#scope}}, scope: "{{scope}}"{{/scope}} }),
});
if (!answer.ok) throw new Error(await answer.text());
console.log((await answer.json()).access_token);
