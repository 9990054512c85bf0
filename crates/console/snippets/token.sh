curl -s {{issuer}}/oauth2/token \
  -u "{{client_id}}:{{#environment}}$BASTIONARY_CLIENT_SECRET{{/environment}}{{#shown}}{{secret}}{{/shown}}" \
  -d grant_type=client_credentials{{#scope}} \
  --data-urlencode 'scope={{scope}}'{{/scope}}
