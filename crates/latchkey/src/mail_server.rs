//! A mail server for the demo and for tests: it speaks SMTP over a real socket of this machine, keeps what it is given, and
//! can be told to refuse and to go away. Of the crates that would be one, none is kept up.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::stack::process::ANY_PORT;

/// A letter that the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The addresses it is for, copies included.
    pub to: Vec<String>,
    /// Its headers and its content, as they were sent.
    pub text: String,
}

impl Received {
    /// The value of a header; empty if it has none.
    pub fn header(&self, name: &str) -> String {
        let begin = format!("{name}: ");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_default().to_owned()
    }

    /// What follows the headers.
    pub fn body(&self) -> &str {
        let parts = self.text.split_once("\r\n\r\n");
        parts.map_or("", |(_, body)| body)
    }
}

/// What the server was told, and what it has got.
#[derive(Debug, Default)]
struct Desk {
    received: Mutex<Vec<Received>>,
    /// Recipients that it does not take: parts of their addresses, and the words with which it says so.
    refused: Mutex<Vec<(String, &'static str)>>,
}

impl Desk {
    // Whoever panicked with a lock had changed nothing by halves.
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Vec<(String, &'static str)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mail server. It ends, with all that it serves, when this is dropped.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinSet<()>,
}

impl MailServer {
    /// Starts one at a free port of this machine. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(ANY_PORT).await?;
        let mut server = Self {
            address: listener.local_addr()?,
            desk: Arc::default(),
            serving: JoinSet::new(),
        };
        server.serve(listener);
        Ok(server)
    }

    fn serve(&mut self, listener: TcpListener) {
        let desk = Arc::clone(&self.desk);
        self.serving.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&desk);
                talks.spawn(async move {
                    // Who hangs up in the middle has sent nothing.
                    let _ = talk(stream, &desk).await;
                });
            }
        });
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes away: connections break and no new ones are taken.
    pub async fn go_away(&mut self) {
        self.serving.shutdown().await;
    }

    /// Is back, at the same port.
    ///
    /// # Errors
    /// When somebody else has it.
    pub async fn come_back(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    /// From now on it answers `words` for recipients with `part` in their address.
    pub fn refuse(&self, part: &str, words: &'static str) {
        self.desk.refused().push((part.to_owned(), words));
    }

    /// What it has got so far.
    pub fn received(&self) -> Vec<Received> {
        self.desk.received().clone()
    }

    /// What it has got for this address so far.
    pub fn received_for(&self, address: &str) -> Vec<Received> {
        let mut all = self.received();
        all.retain(|one| one.to.iter().any(|to| to == address));
        all
    }
}

/// Serves one connection (RFC 5321, as far as it takes).
async fn talk(stream: TcpStream, desk: &Desk) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example.com ESMTP\r\n").await?;
    let mut to: Vec<String> = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (verb, rest) = line.trim_end().split_at(line.trim_end().len().min(4));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => "250-mail.example.com\r\n250 8BITMIME".to_owned(),
            "MAIL" | "RSET" => {
                to.clear();
                "250 2.1.0 OK".to_owned()
            }
            "RCPT" => recipient(rest, &mut to, desk),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let text = data(&mut stream).await?;
                let letter = Received {
                    to: std::mem::take(&mut to),
                    // Long lines come folded (quoted-printable).
                    text: text.replace("=\r\n", "").replace("=3D", "="),
                };
                desk.received().push(letter);
                "250 2.0.0 taken".to_owned()
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 2.0.0 OK".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

fn recipient(rest: &str, to: &mut Vec<String>, desk: &Desk) -> String {
    let address = rest.split(['<', '>']).nth(1).unwrap_or_default();
    if let Some((_, words)) = desk
        .refused()
        .iter()
        .find(|(part, _)| address.contains(part))
    {
        return (*words).to_owned();
    }
    to.push(address.to_owned());
    "250 2.1.5 OK".to_owned()
}

/// The lines up to the one with a dot.
async fn data(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
