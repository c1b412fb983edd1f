//! Owns Dockerfile instructions given to `import` and `commit` as changes to an image config.
//! Never runs any of them; what makes files (RUN, COPY, …) is refused by name.

use super::ArchiveError;
use crate::config::{ImageConfig, exposed_port, volume};

/// Checked instructions, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<(String, String)>);

/// Most instructions of one call.
const CHANGES_MAX: usize = 1000;

impl Changes {
    /// Parses instructions such as `CMD ["sh"]`: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD,
    /// STOPSIGNAL, USER, VOLUME, WORKDIR. Others are refused by name.
    pub fn parse(lines: &[String]) -> Result<Self, ArchiveError> {
        if lines.len() > CHANGES_MAX {
            return Err(refused("", "more than 1000 instructions"));
        }
        let mut changes = Vec::with_capacity(lines.len());
        for line in lines {
            let line = line.trim();
            let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            changes.push((verb.to_ascii_uppercase(), rest.trim().to_owned()));
        }
        let changes = Self(changes);
        changes.apply(&mut ImageConfig::default())?;
        Ok(changes)
    }

    /// Applies them to `config`.
    pub fn apply(&self, config: &mut ImageConfig) -> Result<(), ArchiveError> {
        for (verb, rest) in &self.0 {
            apply(config, verb, rest)?;
        }
        // The same checks as for a config somebody else wrote.
        let checked = ImageConfig::parse(&config.to_json())?;
        config.working_dir = checked.working_dir;
        config.env = checked.env;
        Ok(())
    }
}

fn refused(what: &str, why: &'static str) -> ArchiveError {
    ArchiveError::Change(what.chars().take(200).collect(), why)
}

fn apply(config: &mut ImageConfig, verb: &str, rest: &str) -> Result<(), ArchiveError> {
    let line = || format!("{verb} {rest}");
    if rest.is_empty() {
        return Err(refused(&line(), "the instruction needs a value"));
    }
    match verb {
        "CMD" => config.cmd = command(rest),
        "ENTRYPOINT" => config.entrypoint = command(rest),
        "ENV" => {
            for (key, value) in pairs(rest).map_err(|why| refused(&line(), why))? {
                let prefix = format!("{key}=");
                config.env.retain(|entry| !entry.starts_with(&prefix));
                config.env.push(format!("{key}={value}"));
            }
        }
        "LABEL" => {
            let pairs = pairs(rest).map_err(|why| refused(&line(), why))?;
            config.labels.extend(pairs);
        }
        "EXPOSE" => {
            for word in words(rest).map_err(|why| refused(&line(), why))? {
                let port = exposed_port(&word)?;
                if !config.exposed_ports.contains(&port) {
                    config.exposed_ports.push(port);
                }
            }
        }
        "VOLUME" => {
            let paths = match json_list(rest) {
                Some(list) => list,
                None => words(rest).map_err(|why| refused(&line(), why))?,
            };
            for path in paths {
                let path = volume(&path)?;
                if !config.volumes.contains(&path) {
                    config.volumes.push(path);
                }
            }
        }
        "USER" => config.user = rest.to_owned(),
        "WORKDIR" if rest.starts_with('/') => config.working_dir = rest.to_owned(),
        "WORKDIR" => config.working_dir = format!("{}/{rest}", config.working_dir),
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        _ => {
            return Err(refused(
                &line(),
                "the instruction cannot be used as a change",
            ));
        }
    }
    Ok(())
}

/// The JSON form, or the shell form wrapped in a shell.
fn command(rest: &str) -> Vec<String> {
    json_list(rest).unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()])
}

fn json_list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// `key=value …`, or the old `key value`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let words = words(text)?;
    let first = words.first().ok_or("the instruction needs a value")?;
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or("there is no value")?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').ok_or("a word is not key=value")?;
        if key.is_empty() {
            Err("a key is empty")
        } else {
            Ok((key.to_owned(), value.to_owned()))
        }
    };
    words.iter().map(pair).collect()
}

/// Splits at blanks outside quotes; a backslash takes the next character as it is.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().extend(characters.next());
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(lines: &[&str]) -> Result<ImageConfig, ArchiveError> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut config = ImageConfig::default();
        Changes::parse(&lines)?.apply(&mut config)?;
        Ok(config)
    }

    #[test]
    fn every_instruction_has_its_effect() {
        let config = applied(&[
            r#"cmd ["a", "b c"]"#,
            "ENTRYPOINT run it",
            r#"ENV A=1 B="two words" C=x\ y"#,
            "ENV OLD the rest = value",
            "EXPOSE 80 53/udp",
            "LABEL a=b",
            r#"VOLUME ["/data"]"#,
            "USER nobody",
            "WORKDIR /srv",
            "WORKDIR app",
            "STOPSIGNAL SIGINT",
        ])
        .expect("all fine");
        assert_eq!(config.cmd, ["a", "b c"]);
        assert_eq!(config.entrypoint, ["/bin/sh", "-c", "run it"]);
        assert_eq!(
            config.env,
            ["A=1", "B=two words", "C=x y", "OLD=the rest = value"]
        );
        assert_eq!(config.exposed_ports.len(), 2);
        assert_eq!(config.volumes, ["/data"]);
        assert_eq!(config.working_dir, "/srv/app");
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for bad in [
            "RUN rm -rf /",
            "COPY a b",
            "ENV",
            "ENV =x",
            "ENV A=\"open",
            "EXPOSE 0",
            "EXPOSE x",
            "VOLUME ../etc",
            "USER a:b:c",
            "STOPSIGNAL ; ls",
            "",
            "LABEL a",
        ] {
            assert!(applied(&[bad]).is_err(), "{bad}");
        }
    }
}
