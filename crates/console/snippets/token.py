import base64, json, {{#environment}}os, {{/environment}}urllib.parse, urllib.request

credentials = {{#environment}}"{{client_id}}:" + os.environ["BASTIONARY_CLIENT_SECRET"]{{/environment}}{{#shown}}"{{client_id}}:{{secret}}"{{/shown}}
request = urllib.request.Request(
    "{{issuer}}/oauth2/token",
    data=urllib.parse.urlencode({"grant_type": "client_credentials"{{#scope}}, "scope": "{{scope}}"{{/scope}}}).encode(),
    headers={"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["access_token"])
