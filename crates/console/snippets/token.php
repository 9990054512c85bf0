<?php
$credentials = {{#environment}}'{{client_id}}:' . getenv('BASTIONARY_CLIENT_SECRET'){{/environment}}{{#shown}}'{{client_id}}:{{secret}}'{{/shown}};
$answer = file_get_contents('{{issuer}}/oauth2/token', false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => [
        'Authorization: Basic ' . base64_encode($credentials),
        'Content-Type: application/x-www-form-urlencoded',
    ],
    'content' => http_build_query(['grant_type' => 'client_credentials'{{#scope}}, 'scope' => '{{scope}}'{{/scope}}]),
]]));
if ($answer === false) exit(1);
echo json_decode($answer)->access_token, PHP_EOL;
