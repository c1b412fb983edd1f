//! A weft server, and kubectl pointed at it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::command::{self, Background, Ran};
use crate::engine::Weft;
use crate::peer;

/// An address on loopback that no other test of this machine listens at.
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let [high, low] = [(process >> 8) as u8, process as u8];
    // 127.16 and above: what somebody else uses is mostly 127.0.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{low}.{number}:6443", 16 | high & 0x7f)
}

/// Addresses for pods that no other test of this machine gives out.
pub(crate) fn own_subnet() -> String {
    /// Services have addresses of 10.96.0.0/16.
    const SERVICES: u8 = 96;
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [high, low] = [(std::process::id() >> 8) as u8, std::process::id() as u8];
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Neither the default nor those of the engine's networks, which are 10.44 and above.
    let high = match 64 | high & 0x3f {
        // Nobody is led to what looks like a service's address.
        SERVICES => 128,
        high => high,
    };
    format!("10.{high}.{low}.{}/27", (number & 7) << 5)
}

impl Weft {
    /// Where the server serves the Kubernetes API.
    pub fn address(&self) -> &str {
        self.flag("--listen").expect("it is a server")
    }

    /// The path of a kubeconfig of `user` in `group`.
    #[track_caller]
    pub fn kubeconfig(&self, user: &str, group: &str) -> PathBuf {
        let path = self.scratch().join(format!("kubeconfig-{user}"));
        if !path.exists() {
            let mut command = Command::new(self.program());
            command.args(["kubeconfig", "--user", user, "--group", group]);
            command.arg("--data-dir").arg(self.data_dir());
            command.arg("--output").arg(&path);
            command.env_remove("WEFT_CONFIG");
            command::run(command, b"", command::LIMIT).ok();
        }
        path
    }

    /// `kubectl <args>` as somebody who may do everything; `None`, said aloud, where it is not
    /// installed.
    #[track_caller]
    pub fn kubectl_command(&self, args: &[&str]) -> Option<Command> {
        self.kubectl_of("kubectl", args)
    }

    /// The same with another kubectl: `kubectl-1.20`.
    #[track_caller]
    pub fn kubectl_of(&self, program: &str, args: &[&str]) -> Option<Command> {
        let mut command = Command::new(peer::peer(program)?);
        command
            .env("KUBECONFIG", self.kubeconfig("admin", "system:masters"))
            // Its cache of what the server offers is kept by the server's address, and in a form
            // of its version.
            .env("HOME", self.scratch().join(program))
            .args(args);
        Some(command)
    }

    /// Runs `kubectl <args>` with `input` on its standard input.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str], input: &str) -> Option<Ran> {
        let command = self.kubectl_command(args)?;
        Some(command::run(command, input.as_bytes(), command::LIMIT))
    }

    /// Runs `kubectl <args>` beside the test.
    #[track_caller]
    pub fn kubectl_in_background(&self, args: &[&str]) -> Option<Background> {
        Some(Background::start(self.kubectl_command(args)?))
    }
}
