//! A client of a server that may be gone at any moment.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A server and its client's ends of the pipes.
pub(super) struct Peer {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
}

impl Peer {
    /// Starts a server and shakes hands; none where it was killed meanwhile.
    pub(super) fn start(mut command: Command) -> Option<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("the server starts");
        let input = server.stdin.take().expect("its input");
        let output = BufReader::new(server.stdout.take().expect("its output"));
        let mut peer = Self { server, input, output, last_id: 0 };
        let client = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                            "clientInfo": {"name": "chaos", "version": "0"}});
        peer.request("initialize", client)?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        writeln!(peer.input, "{ready}").ok()?;
        Some(peer)
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Calls a tool: the JSON of its answer, or none where the server was killed.
    pub(super) fn tool(&mut self, tool: &str, arguments: &Value) -> Option<Value> {
        let params = json!({"name": tool, "arguments": arguments});
        let result = self.request("tools/call", params)?;
        let text = result["content"][0]["text"].as_str()?;
        Some(serde_json::from_str(text).expect("JSON"))
    }

    fn request(&mut self, method: &str, params: Value) -> Option<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.input, "{request}").ok()?;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            // A killed server may have written half a line.
            let message: Value = serde_json::from_str(&line).ok()?;
            if message["id"] == id {
                return Some(message["result"].clone());
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
