//! The examples of the documents, executed as a reader would paste them: shell blocks against a development server of
//! their own, and the snippets that verify tokens in Node and Python.
//!
//! A comment in front of a block says what a test must know: `<!-- not run: why -->`, `<!-- serves -->` for a block that
//! starts a server and stays, `<!-- first: shell -->` for what the reader has done before, `<!-- prints: words -->`, and
//! `<!-- answer -->` for JSON that shows what the block before it prints.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use testkit::TempDir;

use crate::output::say;
use crate::{step, tree};

/// The address that the documents name.
const ADDRESS: &str = "127.0.0.1:8080";

const SESSION: &str = include_str!("examples/session.sh");
const CHECK_NODE: &str = include_str!("examples/check.mjs");
const CHECK_PYTHON: &str = include_str!("examples/check.py");

/// A fenced block with the comments in front of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    line: usize,
    language: String,
    text: String,
    not_run: bool,
    serves: bool,
    is_answer: bool,
    first: Vec<String>,
    prints: Vec<String>,
}

impl Block {
    fn take(&mut self, comment: &str) -> Result<(), String> {
        match comment.split_once(": ").unwrap_or((comment, "")) {
            ("not run", why) if !why.is_empty() => self.not_run = true,
            ("serves", "") => self.serves = true,
            ("answer", "") => self.is_answer = true,
            ("first", shell) if !shell.is_empty() => self.first.push(shell.to_owned()),
            ("prints", words) if !words.is_empty() => {
                self.prints.extend(words.split_whitespace().map(str::to_owned));
            }
            _ => return Err(format!("`{comment}` says nothing about a block")),
        }
        Ok(())
    }

    fn is_executed(&self) -> bool {
        !self.not_run && ["sh", "js", "python"].contains(&self.language.as_str())
    }
}

/// The fenced blocks of a document, in order.
fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut next = Block::default();
    let mut lines = (1_usize..).zip(document.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            next.take(comment).map_err(|why| format!("line {number}: {why}"))?;
        } else if let Some(language) = line.strip_prefix("```") {
            let mut block = std::mem::take(&mut next);
            block.line = number;
            language.clone_into(&mut block.language);
            for (_, text) in lines.by_ref().take_while(|(_, text)| *text != "```") {
                block.text.push_str(text);
                block.text.push('\n');
            }
            found.push(block);
        } else if !line.trim().is_empty() && next != Block::default() {
            return Err(format!("line {number}: a comment about a block stands in front of something else"));
        }
    }
    Ok(found)
}

/// The shell script that executes the blocks one after another in one session.
fn script(blocks: &[Block]) -> String {
    let mut script = format!("{SESSION}\n");
    let mut running = false;
    for block in blocks.iter().filter(|block| block.is_executed()) {
        let Block { line, text, .. } = block;
        if block.serves {
            running = true;
        } else if !running {
            script.push_str("demo\n");
            running = true;
        }
        for before in &block.first {
            script.push_str(before);
            script.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = writeln!(script, "echo {line} >block");
        let _ = match block.language.as_str() {
            "js" => {
                writeln!(script, "orders\ncat >verify.mjs <<'END'\n{text}END\nnode check.mjs >out.{line} 2>err.{line}")
            }
            "python" => {
                writeln!(
                    script,
                    "orders\ncat >verify.py <<'END'\n{text}END\n\"$PYTHON\" check.py >out.{line} 2>err.{line}"
                )
            }
            _ if block.serves => {
                let kind = if text.contains(" dev") { "dev" } else { "serve" };
                let learned = if kind == "dev" { format!("credentials out.{line}\n") } else { String::new() };
                writeln!(
                    script,
                    "stop\n{{\n{text}}} >out.{line} 2>err.{line} &\nserver=$!\nready {kind} out.{line}\n{learned}last=out.{line}"
                )
            }
            _ => writeln!(script, "{{\n{text}}} >out.{line} 2>err.{line}\nlast=out.{line}"),
        };
    }
    script.push_str("stop\n");
    script
}

/// Whether an answer has every member that a document shows, of the same kind.
fn has_shape(shown: &Value, answer: &Value) -> Result<(), String> {
    match (shown, answer) {
        (Value::Null, _)
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => Ok(()),
        (Value::Array(shown), Value::Array(answer)) => match (shown.first(), answer.first()) {
            (Some(shown), Some(answer)) => has_shape(shown, answer),
            _ => Ok(()),
        },
        (Value::Object(shown), Value::Object(answer)) => shown.iter().try_for_each(|(name, inner)| {
            let found = answer.get(name).ok_or_else(|| format!("`{name}` is not in the answer"))?;
            has_shape(inner, found).map_err(|why| format!("`{name}`: {why}"))
        }),
        _ => Err(format!("{shown} is shown, {answer} came")),
    }
}

/// Where the programs are that the examples need.
struct Tools {
    /// The folder of the binary that the suite built.
    binaries: PathBuf,
    /// The packages of Node that the interoperability clients installed.
    node_modules: PathBuf,
    /// A Python with the packages of theirs.
    python: PathBuf,
}

impl Tools {
    fn find() -> Result<Self> {
        let root = tree::root()?;
        let tools = Self {
            binaries: step::target_directory()?.join("debug"),
            node_modules: root.join("interop/node/node_modules"),
            python: root.join("interop/python/.venv/bin/python"),
        };
        if !tools.node_modules.exists() || !tools.python.exists() {
            bail!("the packages for the snippets are not installed: cargo xtask interop");
        }
        Ok(tools)
    }

    /// Executes the blocks of a document; how many those were.
    fn execute(&self, path: &str, document: &str) -> Result<usize> {
        let blocks = blocks(document).map_err(|why| anyhow::anyhow!("{path}: {why}"))?;
        let count = blocks.iter().filter(|block| block.is_executed()).count();
        if count == 0 {
            return Ok(0);
        }
        let scratch = TempDir::new()?;
        let at = |name: &str| scratch.path().join(name);
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::write(at("session.sh"), script(&blocks).replace(ADDRESS, &format!("127.0.0.1:{port}")))?;
        std::fs::write(at("check.mjs"), CHECK_NODE)?;
        std::fs::write(at("check.py"), CHECK_PYTHON)?;
        std::os::unix::fs::symlink(&self.node_modules, at("node_modules"))?;
        let run = Command::new("bash")
            .arg("session.sh")
            .current_dir(scratch.path())
            .env("HOME", scratch.path())
            .env("BINARIES", &self.binaries)
            .env("PORT", port.to_string())
            .env("PYTHON", &self.python)
            .output()
            .context("bash did not start")?;
        let read = |name: String| std::fs::read_to_string(at(&name)).unwrap_or_default();
        if !run.status.success() {
            let line = read("block".to_owned());
            let line = line.trim();
            let said = [read(format!("out.{line}")), read(format!("err.{line}")), read("dev.err".to_owned())].concat();
            bail!("{path}, line {line}: the block failed\n{said}{}", String::from_utf8_lossy(&run.stderr));
        }
        let mut before: Option<&Block> = None;
        for block in &blocks {
            if block.is_executed() {
                let printed = read(format!("out.{}", block.line));
                if let Some(missing) = block.prints.iter().find(|word| !printed.contains(word.as_str())) {
                    bail!("{path}, line {}: `{missing}` was not printed:\n{printed}", block.line);
                }
                before = Some(block);
            } else if block.is_answer {
                let printed = before.map(|block| read(format!("out.{}", block.line))).unwrap_or_default();
                let from = printed.find('{').unwrap_or_default();
                let answer = serde_json::from_str(printed.get(from..).unwrap_or_default())
                    .with_context(|| format!("{path}, line {}: the block before printed {printed}", block.line))?;
                let shown =
                    serde_json::from_str(&block.text).with_context(|| format!("{path}, line {}", block.line))?;
                has_shape(&shown, &answer).map_err(|why| anyhow::anyhow!("{path}, line {}: {why}", block.line))?;
            }
        }
        Ok(count)
    }
}

/// Executes the examples of the README and of every chapter.
pub(crate) fn run() -> Result<()> {
    // The build that the suite has made, without the mutants of its last step.
    step::run("cargo", &["build", "--quiet", "-p", "bastionary"], &[])?;
    let _step = step::begin("examples of the documents");
    let tools = Tools::find()?;
    let (mut documents, mut executed) = (0_usize, 0_usize);
    for file in tree::files()? {
        let is_chapter = Path::new(&file.path).parent() == Some(Path::new("docs")) && file.has_extension("md");
        if file.path == "README.md" || is_chapter {
            let count = tools.execute(&file.path, &file.text)?;
            documents = documents.saturating_add(usize::from(count > 0));
            executed = executed.saturating_add(count);
        }
    }
    say(&format!("{executed} examples of {documents} documents work"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_knows_the_comments_in_front_of_it() {
        let document = "# A\n\n<!-- first: X=1 -->\n<!-- prints: a b -->\n```sh\necho \"$X\"\n```\n\ntext\n\n<!-- answer -->\n\n```json\n{}\n```\n";
        let found = blocks(document).unwrap();
        assert_eq!((found[0].line, found[0].text.as_str()), (5, "echo \"$X\"\n"));
        assert_eq!((found[0].first.as_slice(), found[0].prints.len()), (["X=1".to_owned()].as_slice(), 2));
        assert!(found[0].is_executed() && !found[1].is_executed() && found[1].is_answer);
    }

    #[test]
    fn a_comment_that_says_nothing_or_stands_alone_is_refused() {
        for wrong in ["<!-- hello -->\n", "<!-- not run: -->\n", "<!-- serves -->\ntext\n", "<!-- serves: why -->\n"] {
            assert!(blocks(wrong).is_err(), "{wrong}");
        }
        assert!(!blocks("<!-- not run: it needs a printer -->\n```sh\nlpr\n```\n").unwrap()[0].is_executed());
    }

    #[test]
    fn a_server_runs_before_the_first_block_that_needs_one() {
        let of = |text: &str| script(&blocks(text).unwrap()).replace(SESSION, "");
        assert!(of("```sh\ncurl x\n```\n").starts_with("\ndemo\n"));
        let serving = of("<!-- serves -->\n```sh\nbastionary serve\n```\n```sh\ncurl x\n```\n");
        assert!(!serving.contains("demo\n") && serving.contains("&\nserver=$!\nready serve out.2\n"), "{serving}");
    }

    #[test]
    fn the_shape_is_every_member_and_its_kind() {
        let shown = json!({"a": "x", "list": [{"b": 1}], "none": null});
        assert!(has_shape(&shown, &json!({"a": "", "list": [{"b": 2, "c": 3}], "none": 7, "more": true})).is_ok());
        assert!(has_shape(&shown, &json!({"a": 1, "list": [], "none": null})).is_err());
        assert!(has_shape(&shown, &json!({"a": "", "list": [{}], "none": null})).is_err());
    }
}
