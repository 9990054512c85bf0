"""Runs the programs that the console and the book show against a server of their own.

A person signs in at the setup link of `bastionary dev` and makes two clients, of which one has no scope. The programs
are read from the page that shows a new secret, which is then in their text, and from the client's overview, where they
take it from the environment. Each must print an access token. The chapter on verifying tokens has programs in Go and
Java; with a small main function beside them they must accept a good token and nothing else. The arguments are the
languages to run.
"""

import html
import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from base64 import b64encode, urlsafe_b64decode
from pathlib import Path

HERE = Path(__file__).parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "../../target")).resolve()
BINARIES = TARGET / "debug"
SCOPES = ["invoices:read", "invoices:write"]

# The file of a program and the command that runs it.
LANGUAGES = {
    "curl": ("token.sh", ["bash", "token.sh"]),
    "cli": ("token.sh", ["bash", "token.sh"]),
    "node": ("token.mjs", ["node", "token.mjs"]),
    "python": ("token.py", ["python3", "token.py"]),
    "rust": ("token.rs", ["cargo", "run", "--quiet", "--locked"]),
    "go": ("token.go", ["go", "run", "token.go"]),
    "java": ("Token.java", ["java", "Token.java"]),
    "php": ("token.php", ["php", "token.php"]),
    "ruby": ("token.rb", ["ruby", "token.rb"]),
}


# What is beside the programs of the book: it prints nothing and exits with 0 when they accept what they should.
CHECKS = {
    "go": (
        {
            "orders.go": None,
            "orders_test.go": """package orders

import (
	"context"
	"os"
	"strings"
	"testing"
)

func TestOnlyAGoodTokenPasses(t *testing.T) {
	good := os.Getenv("GOOD")
	claims, err := Verify(context.Background(), good)
	if err != nil || claims.ClientID != "orders" || !claims.May("orders:read") || claims.May("orders:write") {
		t.Fatal(claims, err)
	}
	for _, bad := range strings.Split(os.Getenv("BAD"), " ") {
		if _, err := Verify(context.Background(), bad); err == nil {
			t.Fatal("accepted: " + bad)
		}
	}
}
""",
            "go.mod": "module orders\n\ngo 1.22\n\nrequire github.com/coreos/go-oidc/v3 v3.16.0\n",
        },
        "go mod tidy && go test .",
    ),
    "java": (
        {
            "Verifier.java": None,
            "Check.java": """public class Check {
  public static void main(String[] args) throws Exception {
    var verifier = new Verifier();
    var claims = verifier.verify(System.getenv("GOOD"));
    if (!"orders".equals(claims.getStringClaim("client_id"))) throw new Exception(claims.toString());
    if (!Verifier.may(claims, "orders:read") || Verifier.may(claims, "orders:write")) throw new Exception("scope");
    for (var bad : System.getenv("BAD").split(" ", -1)) {
      try {
        verifier.verify(bad);
      } catch (Exception refused) {
        continue;
      }
      throw new Exception("accepted: " + bad);
    }
  }
}
""",
        },
        "mvn -q dependency:copy -Dartifact=com.nimbusds:nimbus-jose-jwt:10.5 -DoutputDirectory=. "
        "&& javac -cp 'nimbus-jose-jwt-10.5.jar' *.java && java -cp '.:nimbus-jose-jwt-10.5.jar' Check",
    ),
}


class Browser:
    """Cookies and forms, without scripts."""

    def __init__(self, base):
        self.base = base
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path):
        with self.opener.open(self.base + path, timeout=30) as answer:
            return answer.read().decode()

    def submit(self, page, path, fields):
        """Sends the form of a page with what hidden fields it has."""
        shown = self.get(page)
        for name in ("csrf", "form"):
            found = re.search(f'name="{name}" value="([^"]*)"', shown)
            fields = [*fields, (name, found.group(1) if found else "")]
        request = urllib.request.Request(
            self.base + path, urllib.parse.urlencode(fields).encode(), {"Sec-Fetch-Site": "same-origin"}
        )
        with self.opener.open(request, timeout=30) as answer:
            return answer.read().decode()


def programs(page, group):
    """The programs of a page by language."""
    found = re.findall(rf'<pre class="code" id="{group}-(\w+)"[^>]*><code>(.*?)</code>', page, re.DOTALL)
    return {language: html.unescape(text) + "\n" for language, text in found}


def pages(ready):
    """Name, programs, secret, and the scope that a token must have."""
    browser = Browser(re.search(r"ready at (\S+)", ready).group(1))
    setup = urllib.parse.urlsplit(re.search(r"\S+/console/setup/\S+", ready).group()).path
    person = {
        "organization": "Northwind Energy",
        "name": "Ada Okafor",
        "email": "ada@example.com",
        "passphrase": "correct horse battery staple nine",
    }
    browser.submit(setup, setup, list(person.items()))
    clients = "/console/identity/clients"
    for name, scopes in (("with-scopes", SCOPES), ("without-scope", [])):
        fields = [("name", name), ("client_id", name), *(("scope", scope) for scope in scopes)]
        revealed = browser.submit(f"{clients}/new", clients, fields)
        secret = re.search(r'<code id="secret">([^<]*)<', revealed).group(1)
        yield f"{name}, reveal", programs(revealed, "reveal"), None, " ".join(scopes)
        yield f"{name}, overview", programs(browser.get(f"{clients}/{name}"), "token"), secret, " ".join(scopes)


def token_of(printed):
    """The claims of the token that a program printed, alone or in the answer that has it."""
    text = printed.strip()
    token = json.loads(text)["access_token"] if text.startswith("{") else text
    payload = token.split(".")[1]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def run(scratch, language, program, secret, scope):
    """Runs one program; what is wrong with it, or nothing."""
    file, command = LANGUAGES[language]
    (scratch / file).write_text(program)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("BASTIONARY_")}
    variables.update(PATH=f"{BINARIES}:{variables['PATH']}", CARGO_TARGET_DIR=str(TARGET / "interop"))
    if secret is not None:
        variables["BASTIONARY_CLIENT_SECRET"] = secret
    done = subprocess.run(command, cwd=scratch, env=variables, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stdout}{done.stderr}"
    claims = token_of(done.stdout)
    return None if claims.get("scope", "") == scope else f"the token has other claims: {claims}"


def call(base, path, body, authorization):
    kind = "application/x-www-form-urlencoded" if path.startswith("/oauth2/") else "application/json"
    data = urllib.parse.urlencode(body) if path.startswith("/oauth2/") else json.dumps(body)
    headers = {"Authorization": authorization, "Content-Type": kind}
    with urllib.request.urlopen(urllib.request.Request(base + path, data.encode(), headers), timeout=30) as answer:
        return json.load(answer)


def tokens(ready):
    """A token for the API of the book, and everything that must not pass for one."""
    base = re.search(r"ready at (\S+)", ready).group(1)
    basic = lambda name, secret: "Basic " + b64encode(f"{name}:{secret}".encode()).decode()
    asked = lambda who, scope: call(
        base, "/oauth2/token", {"grant_type": "client_credentials", "scope": scope}, who
    )["access_token"]
    admin = asked(basic("demo-admin", re.search(r"demo-admin:(bst_cs_\w+)", ready).group(1)), "admin")
    create = lambda path, body: call(base, path, body, f"Bearer {admin}")
    api = create("/api/apis", {"identifier": "https://orders.example.com"})["id"]
    create(f"/api/apis/{api}/scopes", {"name": "orders:read"})
    client = create("/api/clients", {"client_id": "orders", "scopes": ["orders:read"]})
    good = asked(basic("orders", client["client_secret"]), "orders:read")
    header, payload, signature = good.split(".")
    other = payload[:-8] + ("A" if payload[-8] != "A" else "B") + payload[-7:]
    bad = [admin, f"{header}.{other}.{signature}", f"{header}.{payload}.", "nothing", ""]
    return base, good, " ".join(bad)


def verify(directory, language, chapter, base, good, bad):
    """Runs the program of the book in a language; what is wrong with it, or nothing."""
    program = re.search(rf"^```{language}\n(.*?)^```$", chapter, re.DOTALL | re.MULTILINE).group(1)
    files, command = CHECKS[language]
    for name, text in files.items():
        (directory / name).write_text(text or program.replace("http://127.0.0.1:8080", base))
    variables = {**os.environ, "GOOD": good, "BAD": bad}
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, env=variables, capture_output=True, text=True, timeout=300
    )
    return None if done.returncode == 0 else f"exit {done.returncode}: {done.stdout}{done.stderr}"


def main(languages):
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        for file in ("Cargo.toml", "Cargo.lock"):
            shutil.copy(HERE / file, scratch)
        variables = {"PATH": os.environ["PATH"], "HOME": directory, "TMPDIR": directory}
        server = subprocess.Popen(
            [BINARIES / "bastionary", "dev", "--listen", "127.0.0.1:0"], env=variables, stdout=subprocess.PIPE, text=True
        )
        try:
            ready = ""
            while "Stop with" not in ready:
                line = server.stdout.readline()
                if not line:
                    sys.exit("the server did not start")
                ready += line
            shown = list(pages(ready))
            failed = False
            chapter = (HERE / "../../docs/verify-tokens.md").read_text()
            given = tokens(ready) if any(language in CHECKS for language in languages) else ()
            for language in languages:
                needed = [LANGUAGES[language][1][0], *(["javac", "mvn"] if language == "java" else [])]
                missing = [program for program in needed if shutil.which(program) is None]
                if missing:
                    print(f"skipped {language}: {missing[0]} is not installed", flush=True)
                    continue
                for name, texts, secret, scope in shown:
                    wrong = run(scratch, language, texts[language], secret, scope)
                    failed = failed or wrong is not None
                    print(f"not ok {language}, {name}: {wrong}" if wrong else f"ok {language}, {name}", flush=True)
                if language in CHECKS:
                    room = scratch / language
                    room.mkdir()
                    wrong = verify(room, language, chapter, *given)
                    failed = failed or wrong is not None
                    name = f"verify {language}"
                    print(f"not ok {name}: {wrong}" if wrong else f"ok {name}", flush=True)
        finally:
            server.terminate()
            server.wait()
    print("end")
    sys.exit(1 if failed else 0)


main(sys.argv[1:])
