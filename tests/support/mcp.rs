//! A client that speaks JSON-RPC to a server over the lines of its standard
//! streams, so that a test sees what really goes over the wire.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{World, until};

/// Only guards against hanging.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// What the server's standard streams are.
#[derive(Clone, Copy)]
pub enum Streams {
    Pipes,
    /// As Claude Code and every Node client start servers.
    Sockets,
}

/// What a client hears of a call that it has begun.
#[derive(Debug)]
pub enum Told {
    /// A notice of progress, and its number.
    Notice(u64, String),
    /// The JSON in the one text block of the result.
    Answer(Value),
}

/// What a message says.
#[track_caller]
pub fn told(message: &Value) -> Told {
    if message["method"] == "notifications/progress" {
        let params = &message["params"];
        let number = params["progress"].as_f64().expect("a number");
        assert!(number.fract() == 0.0 && number > 0.0, "{message}");
        let text = params["message"].as_str().expect("a text").to_owned();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return Told::Notice(number as u64, text);
    }
    let text = message["result"]["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("no answer: {message}"));
    Told::Answer(serde_json::from_str(text).expect("JSON"))
}

/// A server and the client's ends of its streams.
pub struct Client {
    server: Child,
    input: Option<Box<dyn Write>>,
    output: File,
    unread: Vec<u8>,
    last_id: u64,
}

impl Client {
    /// Starts a server and sends nothing yet.
    pub fn start(world: &World, streams: Streams) -> Self {
        let mut command = world.command();
        Self::spawn(command.arg("serve").stderr(Stdio::inherit()), streams)
    }

    /// Starts this server and sends nothing yet.
    pub fn spawn(command: &mut Command, streams: Streams) -> Self {
        let (server, input, output): (Child, Box<dyn Write>, OwnedFd) = match streams {
            Streams::Pipes => {
                let mut server = command
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("the server starts");
                let input = server.stdin.take().expect("its standard input");
                let output = server.stdout.take().expect("its standard output");
                (server, Box::new(input), output.into())
            }
            Streams::Sockets => {
                let (input, theirs_in) = UnixStream::pair().expect("sockets");
                let (output, theirs_out) = UnixStream::pair().expect("sockets");
                let server = command
                    .stdin(OwnedFd::from(theirs_in))
                    .stdout(OwnedFd::from(theirs_out))
                    .spawn()
                    .expect("the server starts");
                (server, Box::new(input), output.into())
            }
        };
        Self {
            server,
            input: Some(input),
            output: File::from(output),
            unread: Vec::new(),
            last_id: 0,
        }
    }

    /// Starts a server and shakes hands.
    pub fn connect(world: &World) -> Self {
        let mut client = Self::start(world, Streams::Sockets);
        client.initialize();
        client
    }

    pub fn initialize(&mut self) -> Value {
        let result = self.request(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {},
                   "clientInfo": {"name": "test", "version": "0"}}),
        );
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        result
    }

    /// Sends a line as it is.
    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").expect("the server reads");
        input.flush().expect("the server reads");
    }

    /// The next message of the server.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        self.receive_or_end().expect("the server has closed its output")
    }

    /// The next message of the server, unless it has closed its output.
    #[track_caller]
    pub fn receive_or_end(&mut self) -> Option<Value> {
        let line = self.receive_line()?;
        Some(serde_json::from_slice(&line).expect("a line is one JSON message"))
    }

    #[track_caller]
    fn receive_line(&mut self) -> Option<Vec<u8>> {
        // What was looked at holds no end of a line.
        let mut looked_at = 0;
        let end = loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread[looked_at..]) {
                break looked_at + end;
            }
            looked_at = self.unread.len();
            // No thread of its own: this client also measures.
            let ready = poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&PATIENCE));
            assert_eq!(ready, Ok(1), "the server does not answer");
            let mut chunk = vec![0; 1 << 16];
            let read = self.output.read(&mut chunk).expect("the server's output");
            if read == 0 {
                return None;
            }
            self.unread.extend_from_slice(&chunk[..read]);
        };
        Some(self.unread.drain(..=end).collect())
    }

    /// Sends a request and returns the whole response.
    pub fn response(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        );
        loop {
            let message = self.receive();
            if message["id"] == json!(id) {
                return message;
            }
        }
    }

    /// Sends a request and returns its result.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let response = self.response(method, params);
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].clone()
    }

    /// Calls a tool and returns its whole result.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool and returns the JSON in its one text block.
    #[track_caller]
    pub fn tool(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        let content = result["content"].as_array().expect("content");
        assert_eq!(content.len(), 1, "one text block: {result}");
        serde_json::from_str(content[0]["text"].as_str().expect("text")).expect("JSON")
    }

    /// Calls a tool and returns the line of its answer, as it came.
    #[allow(dead_code, reason = "only the benches have answers too long to be read")]
    pub fn line(&mut self, tool: &str, arguments: Value) -> Vec<u8> {
        self.last_id += 1;
        let params = json!({"name": tool, "arguments": arguments});
        let id = self.last_id;
        self.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
                .to_string(),
        );
        self.receive_line().expect("the server has closed its output")
    }

    /// Calls a tool under this request id, which is also its progress token, and does
    /// not wait for its result.
    pub fn begin(&mut self, id: &str, tool: &str, arguments: Value) {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.send(&call.to_string());
    }

    /// Gives up a call that was begun.
    pub fn cancel(&mut self, id: &str) {
        let params = json!({"requestId": id});
        let notice =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        self.send(&notice.to_string());
    }

    /// Waits for the results of so many calls that were begun: the JSON in their text
    /// blocks, by request id.
    #[track_caller]
    pub fn finish(&mut self, calls: usize) -> BTreeMap<String, Value> {
        let mut results = BTreeMap::new();
        while results.len() < calls {
            let message = self.receive();
            if let Some(id) = message["id"].as_str() {
                let text = message["result"]["content"][0]["text"].as_str().expect("text");
                results.insert(id.to_owned(), serde_json::from_str(text).expect("JSON"));
            }
        }
        results
    }

    /// What comes next for the only call that was begun.
    #[track_caller]
    pub fn next_told(&mut self) -> Told {
        told(&self.receive())
    }

    /// Calls a tool with a progress token; returns all that is told, in order, and the JSON
    /// of the answer, which comes last.
    #[track_caller]
    pub fn watch(&mut self, tool: &str, arguments: Value) -> (Vec<String>, Value) {
        self.begin("watched", tool, arguments);
        self.watch_on()
    }

    /// The same for a call that was begun.
    #[track_caller]
    pub fn watch_on(&mut self) -> (Vec<String>, Value) {
        let (mut notices, mut last) = (Vec::new(), 0);
        loop {
            match self.next_told() {
                Told::Answer(answer) => return (notices, answer),
                Told::Notice(number, text) => {
                    assert!(number > last, "{number} after {last}: {text}");
                    last = number;
                    notices.push(text);
                }
            }
        }
    }

    /// Sends the server a signal. It is this process's child, so its number is its own
    /// until it is waited for.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.server), signal).expect("the server is there");
    }

    /// Closes the server's input and goes on reading.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for the server to end, with both ends open.
    pub fn wait(mut self) -> ExitStatus {
        self.end()
    }

    /// Closes both ends, as a client does that is killed, and waits for the server to end.
    pub fn vanish(mut self) -> ExitStatus {
        self.output = File::open("/dev/null").expect("/dev/null");
        self.input = None;
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        let is_over = || {
            ended = self.server.try_wait().expect("the server can be waited for");
            ended.is_some()
        };
        until(is_over, || "the server does not end".to_owned());
        ended.expect("it has ended")
    }

    /// The server's process id.
    #[allow(dead_code, reason = "only the benches look at the process")]
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Closes the server's input and waits for it to end.
    pub fn close(mut self) -> ExitStatus {
        self.input = None;
        self.end()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        if matches!(self.server.try_wait(), Ok(None)) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }
}
