//! What each command asks and prints.

mod batch;
mod cost;
mod coverage;
mod doctor;
mod events;
mod facts;
mod findings;
mod follow;
mod images;
mod known;
mod live;
mod matrix;
mod nodes;
mod registry;
mod resume;
mod scan;
mod screen;
mod status;
mod stop;
mod summary;
mod top;
mod verify;
mod watch;

use std::io::{self, Write as _};
use std::process::ExitCode;

use archtrace_facts::fleet::{Coverage, NodeState, Totals};

use crate::args::{Args, Command, Connection, Format, Output, Question};
use crate::client::{Answer, Client};
use crate::complete;
use crate::failure::Failure;
use crate::forward::Forward;
use crate::show::{self, Shape};

/// Runs the command, and says how well it went. `as_plugin` if kubectl started us.
pub(crate) async fn run(args: Args, as_plugin: bool) -> Result<ExitCode, Failure> {
    let Args {
        mut connection,
        kubernetes,
        format,
        command,
    } = args;
    if command.asks() && kubernetes.is_wanted(&connection, as_plugin) {
        let forward = Forward::start(&kubernetes, &connection).await?;
        connection.server = Some(forward.url().to_owned());
        return forward.during(dispatch(connection, format, command)).await;
    }
    dispatch(connection, format, command).await
}

async fn dispatch(
    connection: Connection,
    format: Format,
    command: Command,
) -> Result<ExitCode, Failure> {
    let output = |known| {
        let output = format.output();
        output.ok_or(Failure::Format(format.as_str(), known))
    };
    match command {
        Command::Ask(question) => {
            return ask(&connection, output(PLAIN)?, *question).await;
        }
        Command::Doctor => doctor::doctor(output(PLAIN)?)?,
        Command::Verify(args) => return verify::verify(&connection, output(PLAIN)?, &args).await,
        Command::Matrix(args) => {
            let shape = match format {
                Format::Markdown => Shape::Markdown,
                Format::Csv => Shape::Csv,
                _ => Shape::Plain(output("table, wide, json, markdown or csv")?),
            };
            return matrix::matrix(&connection, shape, &args).await;
        }
        Command::Registry(args) => {
            return registry::registry(&connection, output(PLAIN)?, &args).await;
        }
        Command::Scan(args) => {
            let output = match format {
                Format::Sarif => None,
                _ => Some(output("table, wide, json or sarif")?),
            };
            return scan::scan(&args, output).await;
        }
        Command::Completions(args) => print(&complete::script(args.shell))?,
        Command::Complete(args) => print(&complete::answer(&args.words))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What most commands print.
const PLAIN: &str = "table, wide or json";

async fn ask(
    connection: &Connection,
    output: Output,
    question: Question,
) -> Result<ExitCode, Failure> {
    // Some outlive the collector that they started with.
    let lasting = match &question {
        Question::Emulated(args) => match args.watch {
            Some(every) => Some(watch::emulated(connection, output, args, every).await),
            None => None,
        },
        Question::Facts(args) if args.watch => Some(live::facts(connection, output, args).await),
        Question::Events(args) if args.follow => {
            Some(follow::events(connection, output, args).await)
        }
        _ => None,
    };
    if let Some(ended) = lasting {
        return ended.map(|()| ExitCode::SUCCESS);
    }
    let client = Client::connect(connection).await?;
    let answered = match question {
        Question::Coverage(args) => return coverage::coverage(&client, output, &args).await,
        Question::Emulated(args) => facts::emulated(&client, output, &args).await,
        Question::Top(args) => top::top(connection, client, output, &args).await,
        Question::Facts(args) => facts::facts(&client, output, &args).await,
        Question::Summary(args) => summary::summary(&client, output, &args).await,
        Question::Cost(args) => cost::cost(&client, output, &args).await,
        Question::Findings(args) => findings::findings(&client, output, &args).await,
        Question::Events(args) => events::events(&client, output, &args).await,
        Question::Images(args) => images::images(&client, output, &args).await,
        Question::Nodes(args) => nodes::nodes(&client, output, &args).await,
        Question::Status => status::status(&client, output).await,
    };
    answered.map(|()| ExitCode::SUCCESS)
}

/// Prints at once, so that a failure leaves no half of an answer.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Says for which nodes an answer cannot speak: in the same words whatever is printed, and not among
/// what is printed, which programs may read.
fn warn(coverage: &Coverage) {
    for line in show::warnings(coverage) {
        eprintln!("warning: {line}");
    }
}

/// Prints an answer, or says that there is nothing to print, and for which nodes that does not hold.
async fn tell<T>(
    client: &Client,
    answer: &Answer<Vec<T>>,
    nodes: &[String],
    what: impl FnOnce() -> String,
    show: impl FnOnce(&Answer<Vec<T>>) -> String,
) -> Result<(), Failure> {
    warn(&answer.coverage);
    if answer.told.is_empty() {
        return nothing(client, &what(), nodes).await;
    }
    print(&show(answer))
}

/// Says that there is nothing to print, and how much that means: nothing from a node that does
/// not report is not the same as nothing.
async fn nothing(client: &Client, what: &str, nodes: &[String]) -> Result<(), Failure> {
    let (all, silent) = if nodes.is_empty() {
        let status = client.status().await?;
        let Totals {
            nodes_reporting,
            nodes_stale,
            ..
        } = status.totals;
        let silent = nodes_stale + status.coverage.unknown;
        (nodes_reporting + silent, silent)
    } else {
        let known = client.nodes(nodes).await?.told;
        let states = known.iter().map(|node| node.state);
        let silent = states.filter(|state| *state != NodeState::Reporting);
        (known.len() as u64, silent.count() as u64)
    };
    match (all, silent) {
        (0, _) if nodes.is_empty() => eprintln!(
            "no node has reported to this collector yet; start archtrace-agent --collector URL on one"
        ),
        (0, _) => eprintln!("no node of that name has reported to this collector"),
        (all, 0) => eprintln!("no {what} on {all} node(s)"),
        (all, silent) => {
            eprintln!(
                "no {what} on {all} node(s), of which {silent} do(es) not report at the moment"
            );
        }
    }
    Ok(())
}
