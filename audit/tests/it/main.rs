//! Audits of real trees and archives.

mod archives;
mod hostile;
mod limits;
mod support;
mod trees;
