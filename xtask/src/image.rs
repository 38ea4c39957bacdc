mod build;
mod commit;
mod twice;
use anyhow::Result;
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    check: bool,
    #[arg(long)]
    arch: Option<crate::vm::Arch>,
}
pub(crate) fn main(args: &Args) -> Result<()> {
    twice::check(
        "archtrace-agent",
        "archtrace-agent",
        args.arch.unwrap_or(crate::vm::Arch::Amd64),
    )
}
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
