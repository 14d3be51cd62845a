//! A server of services on this machine that answers as a test says, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// Header lines, in lower case.
    pub head: Vec<String>,
    pub text: String,
}

impl Asked {
    /// The action of a request to a service of AWS.
    pub fn action(&self) -> &str {
        let target = self.header("x-amz-target").unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Listens on loopback until the test ends.
pub struct Server {
    pub uri: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request, numbered from 0, with a status and JSON.
    pub fn start(answer: impl Fn(usize, &Asked) -> (u16, Value) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let number = kept.lock().unwrap().len();
                kept.lock().unwrap().push(request.clone());
                let (status, body) = answer(number, &request);
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status} .\r\ncontent-length: {}\r\nconnection: close", body.len());
                // A client that has gone does not wait for an answer.
                let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
            }
        });
        Server { uri, asked }
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut head = Vec::new();
    loop {
        let mut next = String::new();
        lines.read_line(&mut next).ok()?;
        if next.trim().is_empty() {
            break;
        }
        let (name, value) = next.trim_end().split_once(": ")?;
        head.push(format!("{}: {value}", name.to_lowercase()));
    }
    let mut asked = Asked { line, head, text: String::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    asked.text = String::from_utf8(body).ok()?;
    Some(asked)
}
