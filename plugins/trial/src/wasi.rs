//! What only a guest with WASI's part of the standard library can try.

use std::fs::File;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime};

/// Sleeps for an hour.
pub(crate) fn sleep() -> ! {
    thread::sleep(Duration::from_hours(1));
    panic!("the trial was allowed to sleep for an hour");
}

/// Writes 100 KB, and then the message of a panic.
pub(crate) fn stderr() -> ! {
    for number in 0..1000 {
        eprintln!("{number:099}");
    }
    panic!("the trial panics, as it was told");
}

/// What there is of the world outside, a line for each thing.
pub(crate) fn environment() -> String {
    let file = match File::open("/") {
        Ok(_) => "opened".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let socket = match TcpStream::connect("127.0.0.1:9") {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!(
        "variables: {}\narguments: {}\nfile: {file}\nsocket: {socket}\nmilliseconds since 1970: {}",
        std::env::vars_os().count(),
        std::env::args_os().count(),
        time.as_millis(),
    )
}
