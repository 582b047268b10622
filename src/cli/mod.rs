//! The commands of the candado program, one file each.
