<?php
$secret = getenv('BASTIONARY_CLIENT_SECRET');
$answer = file_get_contents('{{issuer}}/oauth2/token', false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => [
        'Authorization: Basic ' . base64_encode("{{client_id}}:$secret"),
        'Content-Type: application/x-www-form-urlencoded',
    ],
    'content' => http_build_query(['grant_type' => 'client_credentials', 'scope' => '{{scope}}']),
]]));
echo json_decode($answer)->access_token, PHP_EOL;
