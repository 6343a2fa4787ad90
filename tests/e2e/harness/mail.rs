//! A mail server that speaks SMTP over a real socket, keeps what it is given, and can be told to refuse and to go away. Of the
//! crates that would be one, none is kept up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use latchkey::stack::process::ANY_PORT;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A letter that the server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// The addresses it is for, copies included.
    pub(crate) to: Vec<String>,
    /// Its headers and its content, as they were sent.
    pub(crate) text: String,
}

impl Received {
    /// The value of a header; empty if it has none.
    pub(crate) fn header(&self, name: &str) -> String {
        let begin = format!("{name}: ");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or_default().to_owned()
    }
}

/// What the server was told, and what it has got.
#[derive(Debug, Default)]
struct Desk {
    received: Mutex<Vec<Received>>,
    /// Recipients that it does not take: parts of their addresses, and the words with which it says so.
    refused: Mutex<Vec<(String, &'static str)>>,
}

/// A mail server.
pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
    /// Ended with all that it serves when this is dropped.
    serving: Option<JoinSet<()>>,
}

impl MailServer {
    /// Starts one at a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a port");
        let mut server = Self {
            address: listener.local_addr().expect("its address"),
            desk: Arc::default(),
            serving: None,
        };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let desk = Arc::clone(&self.desk);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&desk);
                talks.spawn(async move {
                    // Who hangs up in the middle has sent nothing.
                    let _ = talk(stream, &desk).await;
                });
            }
        });
        self.serving = Some(serving);
    }

    /// Goes away: connections break and no new ones are taken.
    pub(crate) async fn go_away(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }

    /// Is back, at the same port.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        self.serve(listener);
    }

    /// From now on it answers `words` for recipients with `part` in their address.
    pub(crate) fn refuse(&self, part: &str, words: &'static str) {
        let mut refused = self.desk.refused.lock().expect("not poisoned");
        refused.push((part.to_owned(), words));
    }

    /// What it has got so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.desk.received.lock().expect("not poisoned").clone()
    }

    /// What it has got for this address so far.
    pub(crate) fn received_for(&self, address: &str) -> Vec<Received> {
        let mut all = self.received();
        all.retain(|one| one.to.iter().any(|to| to == address));
        all
    }

    /// The settings with which an enrollment process writes to people by this server, quickly.
    pub(crate) fn settings(&self) -> &'static str {
        let settings = format!(
            "[mail]\nserver = '127.0.0.1'\nport = {}\nencryption = 'none'\nfrom = 'training@example.com'\n\
             login_page = 'https://learn.example.com'\ntimeout_ms = 500\nretry_first_ms = 200\nretry_longest_ms = 500\n\
             [sweeper]\nlook_interval_ms = 50\nsweep_interval_ms = 100",
            self.address.port()
        );
        // As long as the test.
        Box::leak(settings.into_boxed_str())
    }
}

/// Serves one connection (RFC 5321, as far as it takes).
async fn talk(stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
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
                desk.received.lock().expect("not poisoned").push(letter);
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
    let refused = desk.refused.lock().expect("not poisoned");
    if let Some((_, words)) = refused.iter().find(|(part, _)| address.contains(part)) {
        return (*words).to_owned();
    }
    to.push(address.to_owned());
    "250 2.1.5 OK".to_owned()
}

/// The lines up to the one with a dot.
async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
