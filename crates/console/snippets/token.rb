require "json"
require "net/http"

uri = URI("{{issuer}}/oauth2/token")
request = Net::HTTP::Post.new(uri)
request.basic_auth("{{client_id}}", {{#environment}}ENV.fetch("BASTIONARY_CLIENT_SECRET"){{/environment}}{{#shown}}"{{secret}}"{{/shown}})
request.set_form_data("grant_type" => "client_credentials"{{#scope}}, "scope" => "{{scope}}"{{/scope}})
answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https") { |http| http.request(request) }
abort answer.body unless answer.is_a?(Net::HTTPOK)
puts JSON.parse(answer.body).fetch("access_token")
