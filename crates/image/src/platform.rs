//! Owns platforms (`linux/amd64`, `linux/arm/v7`): parsing and which of an index's entries runs
//! here. Never looks at anything but names.

/// Operating system, architecture and variant in Go's names, as OCI uses them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`; empty if there is none.
    pub variant: String,
}

/// A string is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform {0:?} is not of the form os/architecture[/variant], as in linux/amd64")]
pub struct PlatformError(String);

impl Platform {
    /// The platform of this machine.
    pub fn host() -> Self {
        let architecture = normal_architecture(std::env::consts::ARCH);
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: String::new(),
        }
        .normal()
    }

    /// Parses `os/architecture[/variant]`, or an architecture alone.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 32
                && part.as_bytes()[0].is_ascii_alphanumeric()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(word) {
            return Err(PlatformError(text.chars().take(80).collect()));
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [architecture] => ("linux", *architecture, ""),
            [os, architecture] => (*os, *architecture, ""),
            [os, architecture, variant] => (*os, *architecture, *variant),
            _ => return Err(PlatformError(text.chars().take(80).collect())),
        };
        let architecture = normal_architecture(architecture).to_owned();
        Ok(Self {
            os: os.to_owned(),
            architecture,
            variant: variant.to_owned(),
        }
        .normal())
    }

    /// Fills in the variant that an architecture has when none is named (containerd's rule).
    fn normal(mut self) -> Self {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "v8" | "8") | ("amd64", "v1") => self.variant.clear(),
            ("arm", "") => self.variant = "v7".to_owned(),
            _ => {}
        }
        self
    }

    /// How well an image for `offered` runs here: `None` is not at all, lower is better.
    pub fn rank(&self, offered: &Self) -> Option<u32> {
        let offered = offered.clone().normal();
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        if self.variant == offered.variant {
            return Some(0);
        }
        let level = |variant: &str| {
            variant
                .strip_prefix('v')
                .and_then(|v| v.parse::<u32>().ok())
        };
        match (
            self.architecture.as_str(),
            level(&self.variant),
            level(&offered.variant),
        ) {
            ("arm", Some(have), Some(want)) if want < have => Some(have - want),
            _ => None,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.variant)
        }
    }
}

fn normal_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "armhf" | "armv7l" => "arm",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_normalises() {
        assert_eq!(
            Platform::parse("x86_64").expect("parses").to_string(),
            "linux/amd64"
        );
        assert_eq!(
            Platform::parse("linux/arm64/v8")
                .expect("parses")
                .to_string(),
            "linux/arm64"
        );
        assert_eq!(
            Platform::parse("linux/arm").expect("parses").to_string(),
            "linux/arm/v7"
        );
        for bad in ["", "/", "a/b/c/d", "linux/", "linux/../x", "a b"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn older_arm_runs_on_newer_only() {
        let p = |text| Platform::parse(text).expect("parses");
        assert_eq!(p("linux/arm/v7").rank(&p("linux/arm/v6")), Some(1));
        assert_eq!(p("linux/arm/v6").rank(&p("linux/arm/v7")), None);
        assert_eq!(p("linux/amd64").rank(&p("linux/arm64")), None);
        assert_eq!(p("linux/amd64").rank(&p("linux/amd64/v1")), Some(0));
        assert_eq!(p("linux/amd64").rank(&p("windows/amd64")), None);
        assert_eq!(p("linux/amd64").rank(&p("linux/amd64/v3")), None);
    }
}
