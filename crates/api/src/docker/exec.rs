//! Commands run inside a running container.
//!
//! The bytes they exchange are not here: they are a raw stream.

wire! {
    /// Body of `POST /containers/{id}/exec`.
    pub struct ExecConfig {
        attach_stdin: bool,
        attach_stdout: bool,
        attach_stderr: bool,
        detach_keys: String,
        tty: bool,
        console_size: Option<[u16; 2]>,
        env: Vec<String>,
        cmd: Vec<String>,
        privileged: bool,
        user: String,
        working_dir: String,
        detach: bool,
        ..rest
    }

    /// Body of `POST /exec/{id}/start`.
    pub struct ExecStartConfig {
        detach: bool,
        tty: bool,
        console_size: Option<[u16; 2]>,
        ..rest
    }

    /// Answer of `GET /exec/{id}/json`.
    pub struct ExecInspect {
        #[serde(rename = "ID")]
        id: String,
        running: bool,
        exit_code: Option<i64>,
        process_config: ExecProcessConfig,
        open_stdin: bool,
        open_stderr: bool,
        open_stdout: bool,
        can_remove: bool,
        #[serde(rename = "ContainerID")]
        container_id: String,
        detach_keys: String,
        pid: i64,
    }
}

/// What an exec runs, as inspect shows it (lower-case members, unlike the rest of the API).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ExecProcessConfig {
    /// Whether it has a terminal.
    pub tty: bool,
    /// The program.
    pub entrypoint: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whether it is unconfined.
    pub privileged: bool,
    /// Its user, where one was named.
    pub user: String,
}
