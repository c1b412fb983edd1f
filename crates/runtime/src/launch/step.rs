//! The steps between a request and a program, and what is said when one fails.
//!
//! Never: text that depends on the direction of the error; the same words reach every face.

use std::fmt;
use std::io;

macro_rules! steps {
    ($($name:ident => $text:literal,)*) => {
        /// What was being done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step {
            $(#[doc = $text] $name,)*
        }

        impl Step {
            const ALL: &'static [Step] = &[$(Step::$name,)*];

            fn text(self) -> &'static str {
                match self {
                    $(Step::$name => $text,)*
                }
            }
        }
    };
}

steps! {
    Clone => "make the process of",
    Join => "join namespace",
    Unshare => "leave namespace",
    Session => "begin a session",
    Loopback => "bring up the loopback device",
    Score => "set the out-of-memory score to",
    RaiseLimit => "raise the hard limit (needs CAP_SYS_RESOURCE)",
    Limit => "set limit",
    Root => "take root filesystem",
    Overlay => "mount overlay of",
    Source => "open mount source",
    IdMap => "map the ids (its filesystem may not support that; try --userns host) of",
    Mountpoint => "open mount point",
    MountpointLink => "mount over a symbolic link at",
    MountpointKind => "mount a directory on a file, or a file on a directory, at",
    MountpointRoot => "mount over the root filesystem at",
    Mount => "mount",
    MountAttributes => "set the attributes of mount",
    Device => "make device",
    Mask => "hide",
    ReadOnly => "make read-only",
    Terminal => "make a terminal",
    Pivot => "change into the root filesystem",
    HostName => "set the host name to",
    DomainName => "set the domain name to",
    Sysctl => "set kernel parameter",
    Directory => "enter working directory",
    Capabilities => "give up capabilities:",
    User => "become user",
    NoNewPrivileges => "set no_new_privs",
    Seccomp => "load the seccomp filter",
    Streams => "connect the standard streams",
    Hook => "run hook",
    Find => "find the program",
    Execute => "execute",
    Gate => "wait for start",
    Channel => "speak with the other side",
    Cgroup => "prepare cgroup",
    Trampoline => "prepare the start program",
}

impl Step {
    pub(super) fn from_byte(byte: u8) -> Step {
        // A byte that is not a step can only come from a broken channel.
        Step::ALL
            .get(usize::from(byte))
            .copied()
            .unwrap_or(Step::Channel)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub step: Step,
    /// On what.
    pub object: String,
    /// Why: an errno, 0 if the kernel was not asked.
    pub errno: i32,
}

impl Failure {
    /// A failure of `step` on `object`.
    pub fn new(step: Step, object: impl fmt::Display, error: &io::Error) -> Failure {
        let object = object.to_string();
        match error.raw_os_error() {
            Some(errno) => Failure {
                step,
                object,
                errno,
            },
            // Made by std, not the kernel: its text says more than any number.
            None if object.is_empty() => Failure {
                step,
                object: error.to_string(),
                errno: 0,
            },
            None => Failure {
                step,
                object: format!("{object}: {error}"),
                errno: 0,
            },
        }
    }

    /// The kernel's reason.
    pub fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        Ok(())
    }
}

/// Names the step and object of an I/O result.
pub trait Named<T> {
    /// The result, with the failure of `step` on `object` as its error.
    fn named(self, step: Step, object: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Named<T> for Result<T, E> {
    fn named(self, step: Step, object: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, object, &error.into()))
    }
}
