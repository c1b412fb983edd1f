//! Names of containers: who is called what on which user network, and answering queries.

mod directory;

pub(crate) use directory::Directory;
