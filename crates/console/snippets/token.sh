curl -s {{issuer}}/oauth2/token \
  -u "{{client_id}}:$BASTIONARY_CLIENT_SECRET" \
  -d grant_type=client_credentials \
  -d scope="{{scope}}"
