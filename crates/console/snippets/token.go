package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
{{#environment}}	"os"
{{/environment}}	"strings"
)

func main() {
	form := url.Values{"grant_type": {"client_credentials"}{{#scope}}, "scope": {"{{scope}}"}{{/scope}}}
	request, err := http.NewRequest("POST", "{{issuer}}/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("{{client_id}}", {{#environment}}os.Getenv("BASTIONARY_CLIENT_SECRET"){{/environment}}{{#shown}}"{{secret}}"{{/shown}})
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		log.Fatal(token.Description)
	}
	fmt.Println(token.AccessToken)
}
