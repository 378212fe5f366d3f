//! The three programs as real processes.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// One of the programs, with its arguments and a clean environment.
#[derive(Debug)]
pub struct Program(Command);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// The lines of its log read so far.
    pub log: Vec<String>,
}

impl Program {
    /// The program of that name: from the folder `ORDER_FOOD_PROGRAMS`, else from where the tests were built.
    pub fn new(name: &str) -> Self {
        let folder = std::env::var_os("ORDER_FOOD_PROGRAMS").map_or_else(
            // target/<profile>/deps/<test> -> target/<profile>
            || std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned(),
            PathBuf::from,
        );
        let path = folder.join(name);
        assert!(
            path.is_file(),
            "{} does not exist: build it first with cargo build --workspace",
            path.display()
        );
        let mut command = Command::new(path);
        command.env_clear().stdin(Stdio::null());
        Self(command)
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// With these arguments.
    #[must_use]
    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Working there.
    #[must_use]
    pub fn in_folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Started by another command, which is given this one as its last arguments; with the same environment.
    #[must_use]
    pub fn started_by<'a>(self, starter: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(starter);
        command.env_clear().stdin(Stdio::null()).args(arguments);
        command.arg(self.0.get_program()).args(self.0.get_args());
        command.envs(self.0.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self(command)
    }

    /// Runs it to its end.
    pub fn output(mut self) -> Output {
        self.0.output().expect("the program starts")
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut child =
            self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines, log: Vec::new() }
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of its log that contains `text`, and returns it.
    pub fn wait_for_line(&mut self, text: &str, deadline: Duration) -> String {
        let end = Instant::now() + deadline;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {text:?} in {deadline:?}; the log: {:#?}", self.log),
            }
        }
    }

    /// Sends a signal, `TERM`, `INT`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -{name}");
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.log.extend(self.lines.iter());
                return status;
            }
            assert!(Instant::now() < end, "still running after {deadline:?}; the log: {:#?}", self.log);
            thread::sleep(Duration::from_millis(2)); // ok: waits for a process, with a deadline
        }
    }

    /// What it wrote to stderr, after its end.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
