//! Runs the fuzz targets without coverage: an input again, or inputs made by chance for so many seconds.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use persist_fuzz::{TARGETS, Target, corpus};

#[derive(Debug, Parser)]
struct Args {
    /// Which target; all, one after another, where none is named
    #[arg(long)]
    target: Option<String>,
    /// Inputs to run, each once
    #[arg(long, requires = "target")]
    input: Vec<PathBuf>,
    /// How long to run each target
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where to start the random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Put the checksums of the inputs right before, as a run does
    #[arg(long)]
    mend: bool,
}

fn main() -> Result<(), String> {
    let args = Args::parse();
    let chosen: Vec<&Target> = match &args.target {
        Some(name) => vec![Target::named(name).ok_or_else(|| format!("there is no target {name}"))?],
        None => TARGETS.iter().collect(),
    };
    for target in chosen {
        if !args.input.is_empty() {
            for path in &args.input {
                let mut input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                if args.mend {
                    (target.mend)(&mut input);
                }
                (target.run)(&input);
            }
            continue;
        }
        let until = Instant::now() + Duration::from_secs(args.seconds);
        let runs = corpus::run(target, args.seed, |_| {
            if Instant::now() < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        println!("{}: {runs} inputs, no failure (without coverage)", target.name);
    }
    Ok(())
}
