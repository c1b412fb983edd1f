//! The examples of Kubernetes' documentation.
