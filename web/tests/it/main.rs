//! The page, as a collector with a fleet in its store serves it: over sockets, and in a browser.

mod access;
mod browser;
mod coverage;
mod driver;
mod fleet;
mod http;
mod live;
mod pages;
mod server;
