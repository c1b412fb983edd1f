//! What configmaps and secrets are made of: texts, files, directories, lines of files.
//!
//! Owns the keys and their bytes. Never: what object becomes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::values::{self, Values};
use crate::error::CliError;

/// Largest file that becomes a value, in bytes: the server takes a mebibyte.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 253;

/// Keys and values.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Flags for them.
#[derive(Debug, clap::Args)]
pub struct Sources {
    /// A value: KEY=TEXT
    #[arg(long, value_name = "KEY=TEXT")]
    from_literal: Vec<String>,
    /// A value from a file, or one from each file of a directory: [KEY=]PATH,...
    #[arg(long, value_name = "[KEY=]PATH")]
    from_file: Vec<Values>,
    /// Values from lines KEY=TEXT of a file; it goes with no other source
    #[arg(long, value_name = "FILE")]
    from_env_file: Vec<Values>,
}

impl Sources {
    /// What they give to an object of a kind, which is named in messages.
    pub fn read(&self, kind: &str) -> Result<Data, CliError> {
        let lines = values::all(&self.from_env_file);
        let files = values::all(&self.from_file);
        let is_else = !files.is_empty() || !self.from_literal.is_empty();
        if !lines.is_empty() && is_else {
            return Err(CliError::new(
                "from-env-file cannot be combined with from-file or from-literal",
            ));
        }
        let mut all = Gathered {
            kind,
            data: Data::new(),
        };
        for text in &self.from_literal {
            let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, value) = pair.ok_or_else(|| {
                CliError::new(format!("invalid literal source {text}, expected key=value"))
            })?;
            all.add(key, value.as_bytes().to_vec())?;
        }
        for text in &files {
            all.file(text, None)?;
        }
        for path in &lines {
            all.lines(Path::new(path))?;
        }
        Ok(all.data)
    }
}

/// What the files of `sources` give, where a file has a key of its own already.
pub fn files(kind: &str, sources: &[Values], key: &str) -> Result<Data, CliError> {
    let mut all = Gathered {
        kind,
        data: Data::new(),
    };
    for text in values::all(sources) {
        all.file(&text, Some(key))?;
    }
    Ok(all.data)
}

struct Gathered<'a> {
    kind: &'a str,
    data: Data,
}

impl Gathered<'_> {
    fn add(&mut self, key: &str, value: Vec<u8>) -> Result<(), CliError> {
        check_key(key).map_err(|why| {
            let kind = self.kind;
            CliError::new(format!(
                "{key:?} is not a valid key name for a {kind}: {why}"
            ))
        })?;
        match self.data.insert(key.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(CliError::new(format!(
                "cannot add key {key:?}, another key by that name already exists"
            ))),
        }
    }

    /// `[KEY=]PATH`
    fn file(&mut self, text: &str, usual: Option<&str>) -> Result<(), CliError> {
        let (key, path) = source(text).map_err(CliError::new)?;
        let key = key.or(usual);
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        if !path.is_dir() {
            let own = name(path);
            return self.add(key.unwrap_or(&own), read(path)?);
        }
        if key.is_some() {
            return Err(CliError::new("cannot give a key name for a directory path"));
        }
        for path in regular(path)? {
            self.add(&name(&path), read(&path)?)?;
        }
        Ok(())
    }

    /// Lines `KEY=TEXT`; a bare `KEY` is taken from the environment.
    fn lines(&mut self, path: &Path) -> Result<(), CliError> {
        if path.is_dir() {
            return Err(CliError::new("env config file cannot be a directory"));
        }
        let text = String::from_utf8(read(path)?)
            .map_err(|error| CliError::because(format!("read {}", path.display()), &error))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.lines().map(str::trim_start);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = match line.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => (line, std::env::var(line).unwrap_or_default()),
            };
            if key.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(CliError::new(format!(
                    "{key:?} is not a valid key name: a valid environment variable name must not start with a digit"
                )));
            }
            self.add(key, value.into_bytes())?;
        }
        Ok(())
    }
}

/// Key, if one is given, and path.
fn source(text: &str) -> Result<(Option<&str>, &Path), String> {
    match text.split_once('=') {
        None => Ok((None, Path::new(text))),
        Some((_, path)) if path.contains('=') => {
            Err("key names or file paths cannot contain '='".to_owned())
        }
        Some(("", path)) => Err(format!("key name for file path {path} missing")),
        Some((key, "")) => Err(format!("file path for key name {key} missing")),
        Some((key, path)) => Ok((Some(key), Path::new(path))),
    }
}

/// Files right in a directory; what is no file itself (a link, a socket) is none of them.
fn regular(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let because = |error| CliError::because(format!("read {}", dir.display()), &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(because)? {
        let entry = entry.map_err(because)?;
        if entry.file_type().map_err(because)?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn check_key(key: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match key {
        "." => Err("must not be '.'"),
        ".." => Err("must not be '..'"),
        key if key.len() > KEY_BYTES_MAX => Err("must be no more than 253 bytes"),
        key if key.starts_with("..") => Err("must not start with '..'"),
        key if !key.is_empty() && key.chars().all(is_plain) => Ok(()),
        _ => Err("a valid config key must consist of alphanumeric characters, '-', '_' or '.'"),
    }
}

/// What is in a file.
pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let tried = || format!("read {}", path.display());
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| CliError::because(tried(), &error))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(CliError::new(format!(
            "{}: it has more than {FILE_BYTES_MAX} bytes",
            tried()
        ))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sources(literals: &[&str], files: &[String], lines: &[String]) -> Sources {
        let values = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Sources {
            from_literal: literals.iter().map(|text| (*text).to_owned()).collect(),
            from_file: values(files),
            from_env_file: values(lines),
        }
    }

    fn refused(sources: &Sources) -> String {
        sources.read("ConfigMap").unwrap_err().message().to_owned()
    }

    #[test]
    fn texts_are_taken_as_they_are() {
        let read = sources(&["a=\"b\"", "c=", "d=e=f"], &[], &[]).read("ConfigMap");
        let expected = [("a", "\"b\""), ("c", ""), ("d", "e=f")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.into()));
        assert_eq!(read.unwrap(), Data::from(expected));
        for (literals, why) in [
            (&["a"][..], "invalid literal source a, expected key=value"),
            (&["=a"], "invalid literal source =a, expected key=value"),
            (&["a=1", "a=2"], "cannot add key \"a\", another key"),
            (
                &["a/b=1"],
                "\"a/b\" is not a valid key name for a ConfigMap",
            ),
            (&["..=1"], "must not be '..'"),
            (&["..a=1"], "must not start with '..'"),
        ] {
            let said = refused(&sources(literals, &[], &[]));
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn files_have_their_own_names_or_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("one"), "1").unwrap();
        std::fs::write(path(".two"), "2").unwrap();
        std::fs::create_dir(path("sub")).unwrap();
        std::os::unix::fs::symlink("one", path("link")).unwrap();
        let keys = |files: &[String]| {
            let read = sources(&[], files, &[]).read("ConfigMap").unwrap();
            read.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(keys(&[path("one")]), ["one"]);
        assert_eq!(
            keys(&[format!("a={},b={}", path("one"), path("link"))]),
            ["a", "b"]
        );
        assert_eq!(keys(&[path("")]), [".two", "one"]);
        for (file, why) in [
            (format!("a=b={}", path("one")), "cannot contain '='"),
            ("=x".to_owned(), "key name for file path x missing"),
            ("a=".to_owned(), "file path for key name a missing"),
            (
                format!("a={}", path("sub")),
                "cannot give a key name for a directory path",
            ),
            (path("nope"), "nope: No such file"),
        ] {
            let said = refused(&sources(&[], &[file], &[]));
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn lines_are_those_of_env_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env").to_str().unwrap().to_owned();
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            sources(&[], &[], std::slice::from_ref(&path)).read("ConfigMap")
        };
        let found = read("\u{feff}A=b=c \r\n\n  # no\n  Q=\"x\"\nWEFT_UNSET_HERE\n".as_bytes());
        let expected = [("A", "b=c "), ("Q", "\"x\""), ("WEFT_UNSET_HERE", "")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.into()));
        assert_eq!(found.unwrap(), Data::from(expected));
        for (text, why) in [
            (&b"A =b"[..], "\"A \" is not a valid key name"),
            (b"=b", "\"\" is not a valid key name"),
            (b"1=b", "must not start with a digit"),
            (b"A=\xff", "invalid utf-8"),
            (b"A=1\nA=2", "cannot add key \"A\""),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.message().contains(why), "{said}");
        }
        let both = sources(&["a=b"], &[], &[path]);
        assert_eq!(
            refused(&both),
            "from-env-file cannot be combined with from-file or from-literal"
        );
    }
}
