//! Whether `logs`, `exec`, `attach` and `cp` are about pods: by a name with a slash (`pod/web`), which
//! no container has, or by an option that only servers and pods have. Pure.

use crate::tree::is_global;

/// Options of every verb on objects, whose value may be the next word.
const SERVERS: [&str; 19] = [
    "--namespace",
    "--kubeconfig",
    "--context",
    "--cluster",
    "--server",
    "-s",
    "--tls-server-name",
    "--token",
    "--username",
    "--password",
    "--certificate-authority",
    "--client-certificate",
    "--client-key",
    "--as",
    "--as-group",
    "--as-uid",
    "--as-user-extra",
    "--request-timeout",
    "--insecure-skip-tls-verify",
];

/// The options of a verb, of docker's and of ours on pods.
struct Options {
    /// Docker's whose value is the next word; single letters may stand behind others: `-itw DIR`.
    dockers: &'static [&'static str],
    /// Those that docker's verb has not.
    pods: &'static [&'static str],
}

const LOGS: Options = Options {
    dockers: &["--since", "--until", "--tail"],
    pods: &[
        "-c",
        "--container",
        "--all-containers",
        "--all-pods",
        "-l",
        "--selector",
        "-p",
        "--previous",
        "--prefix",
        "--since-time",
        "--limit-bytes",
        "--max-log-requests",
        "--ignore-errors",
        "--pod-running-timeout",
        "--insecure-skip-tls-verify-backend",
    ],
};

const EXEC: Options = Options {
    dockers: &[
        "--detach-keys",
        "-e",
        "--env",
        "--env-file",
        "-u",
        "--user",
        "-w",
        "--workdir",
    ],
    pods: &[
        "-n",
        "-c",
        "--container",
        "-f",
        "--filename",
        "--stdin",
        "-q",
        "--quiet",
        "--pod-running-timeout",
    ],
};

const ATTACH: Options = Options {
    dockers: &["--detach-keys"],
    pods: &[
        "-n",
        "-c",
        "--container",
        "-i",
        "--stdin",
        "-t",
        "--tty",
        "-q",
        "--quiet",
        "--pod-running-timeout",
    ],
};

const COPY: Options = Options {
    dockers: &[],
    pods: &["-n", "-c", "--container", "--no-preserve", "--retries"],
};

/// What a word is.
enum Word {
    /// An option that only servers and pods have.
    Pods,
    /// Another option; whether its value is the next word.
    Option(bool),
    /// No option.
    Plain,
}

impl Options {
    fn word(&self, word: &str) -> Word {
        if !word.starts_with('-') || word == "-" {
            return Word::Plain;
        }
        if let Some(count) = is_global(word) {
            return Word::Option(count == 2);
        }
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        if word.starts_with("--") {
            if SERVERS.contains(&name) || self.pods.contains(&name) {
                return Word::Pods;
            }
            return Word::Option(name == word && self.dockers.contains(&name));
        }
        // `-itw`, `-nshop`: the first letter that wants a value ends it.
        let letters = &word[1..];
        for (at, letter) in letters.char_indices() {
            let option = format!("-{letter}");
            if SERVERS.contains(&&*option) || self.pods.contains(&&*option) {
                return Word::Pods;
            }
            if self.dockers.contains(&&*option) {
                return Word::Option(at + letter.len_utf8() == letters.len());
            }
        }
        Word::Option(false)
    }

    /// Whether pods are meant: the options that stand before the first name, and right behind it,
    /// and that name say so.
    fn are_pods(&self, words: &[&str]) -> bool {
        let mut words = words.iter();
        let mut is_named = false;
        while let Some(word) = words.next() {
            match self.word(word) {
                Word::Pods => return true,
                Word::Option(true) => drop(words.next()),
                Word::Option(false) => {}
                Word::Plain if is_named => return false,
                Word::Plain if word.contains('/') => return true,
                Word::Plain => is_named = true,
            }
        }
        false
    }
}

/// `-n 5` and `-n all` are docker's `--tail`; another word is a namespace.
pub(super) fn logs(words: &[&str]) -> bool {
    let is_count = |text: &str| text == "all" || text.parse::<i64>().is_ok();
    let mut rest = Vec::with_capacity(words.len());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let attached = word.strip_prefix("-n").filter(|_| !word.starts_with("--"));
        match attached {
            Some("") => match words.next() {
                Some(value) if is_count(value) => {}
                Some(_) => return true,
                None => {}
            },
            Some(value) if is_count(value.trim_start_matches('=')) => {}
            Some(_) => return true,
            None => rest.push(*word),
        }
    }
    LOGS.are_pods(&rest)
}

pub(super) fn exec(words: &[&str]) -> bool {
    EXEC.are_pods(words)
}

pub(super) fn attach(words: &[&str]) -> bool {
    ATTACH.are_pods(words)
}

/// `NAMESPACE/POD:PATH` is in a pod, unless the other side is in a container: then it is a path here.
pub(super) fn copy(words: &[&str]) -> bool {
    let mut plain = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match COPY.word(word) {
            Word::Pods => return true,
            Word::Option(true) => drop(words.next()),
            Word::Option(false) => {}
            Word::Plain => plain.push(*word),
        }
    }
    let place = |word: &&str| {
        let (name, _) = word.split_once(':')?;
        let is_path = name.is_empty() || name.starts_with(['/', '.']);
        (!is_path).then(|| name.contains('/'))
    };
    let places: Vec<bool> = plain.iter().filter_map(place).collect();
    places.contains(&true) && !places.contains(&false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_it: fn(&[&str]) -> bool, lines: &[(&str, bool)]) {
        for (line, expected) in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(is_it(&words), *expected, "{line}");
        }
    }

    #[test]
    fn logs_of_pods_are_told_from_those_of_containers() {
        let lines = [
            ("box", false),
            ("-n 5 box", false),
            ("-fn5 box", false),
            ("-n=5 box", false),
            ("--tail 5 --since 5m -t box", false),
            ("--run-dir /x box", false),
            ("pod/web", true),
            ("-f deploy/web", true),
            ("-n 5 pod/web", true),
            ("-n shop web", true),
            ("-nshop web", true),
            ("web -c app", true),
            ("-l app=web", true),
            ("-fp web", true),
            ("--context x web", true),
            ("web --prefix", true),
        ];
        check(logs, &lines);
    }

    #[test]
    fn commands_in_pods_are_told_from_those_in_containers() {
        let lines = [
            ("box ls", false),
            ("box ls /x", false),
            ("-it box sh -c ls/x", false),
            ("-w /dir -e A=/b --user 1/2 box sh", false),
            ("-itw /dir box sh", false),
            ("-w/dir box sh -n x", false),
            ("--env-file /x box sh", false),
            ("--run-dir /x -it box sh", false),
            ("pod/web", true),
            ("-it pod/web", true),
            ("-itw /dir pod/web", true),
            ("web -c app", true),
            ("-n shop -it web", true),
            ("-itc app web", true),
        ];
        check(exec, &lines);
        let lines = [
            ("box", false),
            ("--detach-keys a/b box", false),
            ("--no-stdin --sig-proxy=false box", false),
            ("pod/web", true),
            ("-it web", true),
            ("web -c app", true),
        ];
        check(attach, &lines);
    }

    #[test]
    fn copies_of_pods_are_told_from_those_of_containers() {
        let lines = [
            ("box:/x .", false),
            ("-L a box:/x", false),
            ("- box:/x", false),
            ("./a/b:c box:/x", false),
            ("dir/a:b box:/x", false),
            ("/a:b /c", false),
            ("pod/web:/x .", true),
            ("a shop/web:/x", true),
            ("-n shop web:/x .", true),
            ("web:/x . -c app", true),
        ];
        check(copy, &lines);
    }
}
