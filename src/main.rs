//! Parses, runs, and ends with an exit code; everything else is in the library.

fn main() -> std::process::ExitCode {
    agent_dispatch::cli::main()
}
