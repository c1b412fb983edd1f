//! Owns turning one layer archive into a blob and an unpacked, verified layer.
