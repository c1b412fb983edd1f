//! What std lacks: atomic file replacement, removal of trees, a file's facts, names that are safe as
//! file names, streams of parts, pools, the clock, random ids, errors of listeners, paths into JSON,
//! patches of it, YAML; amounts, ages, names and label selectors as Kubernetes writes them.
//! Knows nothing about containers.

pub mod accept;
pub mod age;
pub mod clock;
pub mod disk;
pub mod facts;
pub mod file;
pub mod id;
pub mod jsonpath;
pub mod name;
pub mod names;
pub mod parts;
pub mod pool;
pub mod quantity;
pub mod selector;
pub mod strategic;
pub mod trash;
pub mod tree;
pub mod yaml;
