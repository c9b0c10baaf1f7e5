//! The `jiebei` command: parses and exits; everything else is the library's.

fn main() -> std::process::ExitCode {
    jiebei::cli::main()
}
