//! The demo's web server: one page on port 80, a line of log per request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Bytes of a request head that are read; the rest is not needed to answer.
const HEAD_MAX: u64 = 16 << 10;
/// A client that does not speak is let go.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn serve() -> ExitCode {
    let listener = match TcpListener::bind(("0.0.0.0", 80)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("listen on port 80: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("serving on port 80");
    for stream in listener.incoming().flatten() {
        if let Err(error) = answer(&stream) {
            eprintln!("a client went away: {error}");
        }
    }
    ExitCode::SUCCESS
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(HEAD_MAX));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let from = stream.peer_addr()?;
    println!("{from} {}", request.trim_end().escape_debug());
    let (status, body) = if request.starts_with("GET / ") {
        ("200 OK", std::fs::read("/www/index.html")?)
    } else {
        ("404 Not Found", b"not here\n".to_vec())
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    out.write_all(&body)
}
