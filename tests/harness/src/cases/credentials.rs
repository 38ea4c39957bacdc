//! A node that shows a certificate, and what it keeps on its disk while nobody takes it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;

use super::Outcome;
use super::kinds::SOON;
use crate::client::Client;
use crate::wait::eventually;
use crate::world::{Extra, NODE, World, run};

/// So many programs run while the collector is away.
const PROGRAMS: usize = 5;

/// With certificates on both sides: whoever shows none is told so, and of what happens while the collector is
/// away each event is there once afterwards, though the agent was killed too.
pub(super) fn and_spool(world: &mut World) -> Result<Outcome> {
    let extra = certificates(world)?;
    let told = encrypted(world, extra);
    // Whatever came of it: other cases know of no certificates.
    world.set_extra(Extra::default());
    restart(world)?;
    told
}

/// What `archtrace-collector dev-certs` makes.
fn certificates(world: &World) -> Result<Extra> {
    let dir = world.dir().join("certificates");
    let mut command = Command::new(world.program_file("archtrace-collector"));
    command
        .args(["dev-certs", "--node", NODE, "--out"])
        .arg(&dir);
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "dev-certs ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let options = |options: &[(&str, &str)]| {
        let words = options.iter().flat_map(|(option, name)| {
            let file = dir.join(name).display().to_string();
            [(*option).to_owned(), file]
        });
        words.collect::<Vec<_>>()
    };
    let (certificate, key) = (format!("node-{NODE}.crt"), format!("node-{NODE}.key"));
    Ok(Extra {
        collector: options(&[
            ("--tls-cert", "server.crt"),
            ("--tls-key", "server.key"),
            ("--client-ca", "ca.crt"),
        ]),
        agent: options(&[
            ("--tls-ca", "ca.crt"),
            ("--tls-cert", certificate.as_str()),
            ("--tls-key", key.as_str()),
        ]),
        reader: options(&[
            ("--tls-ca", "ca.crt"),
            ("--tls-cert", "reader.crt"),
            ("--tls-key", "reader.key"),
        ]),
        encrypted: true,
    })
}

fn restart(world: &mut World) -> Result<()> {
    for end in [World::kill_agent, World::kill_collector] {
        // It may have been ended by the case.
        let _ = end(world);
    }
    world.start_collector()?;
    world.start_agent()
}

fn encrypted(world: &mut World, extra: Extra) -> Result<Outcome> {
    world.set_extra(extra);
    restart(world)?;
    refused(world)?;
    let name = |number: usize| format!("spooled-{number}");
    let programs = (1..=PROGRAMS)
        .map(|number| world.program(name(number), world.foreign(), Program::Exit(0)))
        .collect::<Result<Vec<_>>>()?;
    let [known, unknown @ ..] = &programs[..] else {
        anyhow::bail!("there are programs")
    };
    run(known, 1)?;
    world.counted(&known.display().to_string(), "emulated", 1, SOON)?;

    world.kill_collector()?;
    for program in unknown {
        run(program, 1)?;
    }
    let kept = kept(&world.local_client())?;
    world.kill_agent()?;
    world.start_collector()?;
    world.start_agent()?;
    for program in &programs {
        let binary = program.display().to_string();
        eventually(SOON, || {
            let events = world.client().events()?;
            let of_it = events
                .iter()
                .filter(|event| event.kind == "emulated_exec" && event.binary == binary);
            let times = of_it.count();
            ensure!(times == 1, "{times} events tell of {binary}");
            Ok(())
        })?;
    }
    let status = world.client().ask(&["status"])?;
    let status = status.first().context("`archtrace status` said nothing")?;
    ensure!(
        status["unexplained_gap"] == 0,
        "events went missing without a word: {status}"
    );
    Ok(Outcome::Pass(format!(
        "{} events came from {kept} bytes on the disk",
        unknown.len()
    )))
}

/// Who shows no certificate of a reader may not ask: exit code 4.
fn refused(world: &World) -> Result<()> {
    let known = world.client();
    let nobody = Client {
        // The CA alone.
        arguments: known.arguments.iter().take(2).cloned().collect(),
        ..known
    };
    let answer = nobody.answer(&["nodes"])?;
    ensure!(
        answer.code == 4 && answer.objects.is_empty(),
        "without a certificate it is told {answer:?}"
    );
    Ok(())
}

/// Bytes that the agent says it has on its disk, once all that happened is there.
fn kept(agent: &Client) -> Result<u64> {
    let (bytes, _) = eventually(SOON, || {
        let events = agent.events()?;
        let spooled = events
            .iter()
            .filter(|event| event.kind == "emulated_exec" && event.binary.contains("/spooled-"));
        let told = spooled.count();
        ensure!(
            told == PROGRAMS,
            "the agent tells {told} events of {PROGRAMS}"
        );
        let nodes = agent.ask(&["nodes"])?;
        let node = nodes.first().context("the agent knows no node")?;
        let bytes = node["health"]["spooled_bytes"].as_u64();
        bytes
            .filter(|bytes| *bytes > 0)
            .with_context(|| format!("nothing is on the disk: {}", node["health"]))
    })?;
    Ok(bytes)
}
