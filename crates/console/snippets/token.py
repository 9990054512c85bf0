import base64, json, os, urllib.parse, urllib.request

credentials = "{{client_id}}:" + os.environ["BASTIONARY_CLIENT_SECRET"]
request = urllib.request.Request(
    "{{issuer}}/oauth2/token",
    data=urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "{{scope}}"}).encode(),
    headers={"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["access_token"])
