//! The channels of `v5.channel.k8s.io` and `v4.channel.k8s.io`: a number before the bytes, and how a
//! command has ended. Pure.

use serde_json::Value;

use crate::error::CliError;

/// The protocol that can say that our input has ended.
pub const V5: &str = "v5.channel.k8s.io";
/// The one before it, which cannot.
pub const V4: &str = "v4.channel.k8s.io";

/// Our input.
pub const STDIN: u8 = 0;
/// Its output.
pub const STDOUT: u8 = 1;
/// Its other output.
pub const STDERR: u8 = 2;
/// How it has ended.
pub const ERROR: u8 = 3;
/// The size of our terminal.
pub const RESIZE: u8 = 4;
/// A channel has ended (v5).
pub const CLOSE: u8 = 255;

/// How what ran has ended.
#[derive(Debug)]
pub enum End {
    /// With this code.
    Exit(u8),
    /// It did not run, or is lost.
    Failed(CliError),
}

/// `bytes` on a channel.
pub fn on(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    message
}

/// `{"Width":80,"Height":24}`
pub fn size(rows: u16, columns: u16) -> Vec<u8> {
    let text = format!("{{\"Width\":{columns},\"Height\":{rows}}}");
    on(RESIZE, text.as_bytes())
}

/// What the last words say (a `Status` of meta/v1).
pub fn end(status: &[u8]) -> End {
    let status: Value = match serde_json::from_slice(status) {
        Ok(status) => status,
        Err(error) => {
            let tried = "understand how the command ended";
            return End::Failed(CliError::because(tried, &error));
        }
    };
    if status["status"] == "Success" {
        return End::Exit(0);
    }
    if status["reason"] == "NonZeroExitCode" {
        let causes = status["details"]["causes"].as_array();
        let mut causes = causes.into_iter().flatten();
        let code = causes.find(|cause| cause["reason"] == "ExitCode");
        let code = code.and_then(|cause| cause["message"].as_str()?.parse::<i64>().ok());
        if let Some(code) = code {
            return End::Exit((code & 0xff) as u8);
        }
    }
    let message = status["message"].as_str().unwrap_or("the command failed");
    End::Failed(CliError::new(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_understood() {
        let code = |text: &str| match end(text.as_bytes()) {
            End::Exit(code) => Ok(code),
            End::Failed(error) => Err(error.message().to_owned()),
        };
        let exit = |code: &str| {
            format!(
                "{{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"message\":\"m\",\
                 \"details\":{{\"causes\":[{{\"reason\":\"ExitCode\",\"message\":{code:?}}}]}}}}"
            )
        };
        assert_eq!(code("{\"status\":\"Success\"}"), Ok(0));
        assert_eq!(code(&exit("3")), Ok(3));
        assert_eq!(code(&exit("255")), Ok(255));
        assert_eq!(code(&exit("x")), Err("m".to_owned()));
        let failed = "{\"status\":\"Failure\",\"message\":\"no such thing\"}";
        assert_eq!(code(failed), Err("no such thing".to_owned()));
        assert!(code("nonsense").is_err());
    }

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(size(24, 80), b"\x04{\"Width\":80,\"Height\":24}");
    }
}
