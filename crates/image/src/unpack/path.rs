//! Owns names in archives: cleaned by name alone, refused where they would lead out.
//! Never touches the filesystem.

use std::ffi::CString;

use super::{Limits, UnpackError, shown};

/// Longest name of one file (NAME_MAX).
const NAME_MAX: usize = 255;

/// A path below the root of a layer, without `.`, `..`, empty parts or a leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clean {
    bytes: Vec<u8>,
    /// Where the last part starts.
    name_at: usize,
}

impl Clean {
    /// Cleans `raw`; an absolute path is taken as below the root, as tar does.
    pub fn new(raw: &[u8], limits: &Limits) -> Result<Self, UnpackError> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    if parts.pop().is_none() {
                        return Err(UnpackError::Escape(shown(raw)));
                    }
                }
                part if part.len() > NAME_MAX => {
                    return Err(UnpackError::Limit("bytes of one name", NAME_MAX as u64));
                }
                part if part.contains(&0) => {
                    return Err(UnpackError::Format(format!("{} contains NUL", shown(raw))));
                }
                part => parts.push(part),
            }
        }
        if parts.len() > limits.depth {
            return Err(UnpackError::Limit(
                "levels of directories",
                limits.depth as u64,
            ));
        }
        let bytes = parts.join(&b'/');
        if bytes.len() > limits.path {
            return Err(UnpackError::Limit("bytes of one path", limits.path as u64));
        }
        let name_at = bytes.len() - parts.last().map_or(0, |name| name.len());
        Ok(Self { bytes, name_at })
    }

    pub fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The directory it is in; empty for the root.
    pub fn parent(&self) -> &[u8] {
        &self.bytes[..self.name_at.saturating_sub(1)]
    }

    /// The last part.
    pub fn name(&self) -> &[u8] {
        &self.bytes[self.name_at..]
    }

    pub fn c_name(&self) -> CString {
        c_string(self.name())
    }
}

/// `bytes` for the kernel; they have been checked to hold no NUL.
pub(super) fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("names with NUL are refused when they are read")
}
