//! Sending letters to a mail server, by SMTP.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::domain::notification::template::Rendered;

/// How many time-outs one letter may take, from connecting to the mail server's word that it has it.
pub const TIMEOUTS: u32 = 4;

/// With which codes a mail server says that it wants another sign-in, or none of this service's.
const NOT_LET_IN: [u16; 4] = [530, 534, 535, 538];

/// How letters get to the mail server in confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte.
    Tls,
    /// After a greeting in clear; without it nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

/// The mail server, and how to speak to it.
#[derive(Debug)]
pub struct SmtpOptions {
    /// Its name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How letters get there.
    pub encryption: Encryption,
    /// The authority of its certificate (PEM), if it is not one of the system's.
    pub authority: Option<Vec<u8>>,
    /// The name and the password to sign in with, if it wants that.
    pub credentials: Option<(String, SecretString)>,
    /// How long it may take over one step.
    pub timeout: Duration,
    /// The address that letters are from.
    pub from: String,
    /// The domains that letters may be from besides.
    pub from_domains: Vec<String>,
}

/// Why the mail server cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The address that letters are from is none.
    #[error("the address that letters are from cannot be used")]
    From(#[source] lettre::address::AddressError),
    /// Its certificate's authority cannot be used, or its name.
    #[error("the mail server cannot be spoken to in confidence")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// An address in it is none that the mail server could be given.
    #[error("{0}")]
    Malformed(&'static str),
    /// The mail server does not take it, for good. Only the code: its words may name the recipient.
    #[error("REFUSED {0}")]
    Refused(String),
    /// The mail server could not be reached, or does not take it now.
    #[error("{0}")]
    NotNow(String),
}

/// A letter.
#[derive(Debug)]
pub struct Outgoing<'l> {
    /// Its id: the same letter sent again has the same `Message-ID`.
    pub letter_id: Uuid,
    /// The address it is from; `None`: the service's own.
    pub from: Option<&'l str>,
    /// The name of the sender.
    pub sender: &'l str,
    /// To which address.
    pub to: &'l str,
    /// Who gets a copy.
    pub cc: &'l [String],
    /// What is in it.
    pub content: &'l Rendered,
}

/// The way to the mail server.
#[derive(Debug, Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    from_domains: Vec<String>,
    longest: Duration,
}

impl Mailer {
    /// The way to the mail server that `options` name. Nothing is sent yet. Needs a tokio runtime, also where it is dropped.
    pub fn new(options: SmtpOptions) -> Result<Self, SmtpError> {
        let from: Address = options.from.parse().map_err(SmtpError::From)?;
        let tls = match options.encryption {
            Encryption::None => Tls::None,
            Encryption::Tls => Tls::Wrapper(parameters(&options)?),
            Encryption::StartTls => Tls::Required(parameters(&options)?),
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.server.as_str())
                .port(options.port)
                .timeout(Some(options.timeout))
                .tls(tls);
        if let Some((name, password)) = &options.credentials {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(name.clone(), password));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            from_domains: options.from_domains,
            longest: TIMEOUTS * options.timeout,
        })
    }

    /// Whether letters may be from this address.
    pub fn may_be_from(&self, address: &str) -> bool {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain);
        let own = std::iter::once(self.from.domain());
        let mut allowed = own.chain(self.from_domains.iter().map(String::as_str));
        domain.is_some_and(|domain| allowed.any(|one| one.eq_ignore_ascii_case(domain)))
    }

    /// Gives a letter to the mail server. When this fails it may have arrived all the same.
    pub async fn send(&self, letter: &Outgoing<'_>) -> Result<(), Unsent> {
        let message = self.message(letter)?;
        match tokio::time::timeout(self.longest, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unsent(&error)),
            Err(_) => Err(Unsent::NotNow("TIMEOUT".to_owned())),
        }
    }

    fn message(&self, letter: &Outgoing<'_>) -> Result<Message, Unsent> {
        let address =
            |text: &str, what| text.parse::<Address>().map_err(|_| Unsent::Malformed(what));
        let from = match letter.from {
            Some(text) if self.may_be_from(text) => address(text, "BAD_SENDER")?,
            Some(_) => return Err(Unsent::Malformed("SENDER_NOT_ALLOWED")),
            None => self.from.clone(),
        };
        // The library panics at a name with a line break.
        let sender = letter.sender.replace(char::is_control, " ");
        let id = format!("<{}@{}>", letter.letter_id, self.from.domain());
        let mut message = Message::builder()
            .message_id(Some(id))
            .from(Mailbox::new(Some(sender), from))
            .to(Mailbox::new(None, address(letter.to, "BAD_ADDRESS")?))
            .subject(letter.content.subject.clone());
        for copy in letter.cc {
            message = message.cc(Mailbox::new(None, address(copy, "BAD_COPY_ADDRESS")?));
        }
        let text = letter.content.text.clone();
        let whole = if letter.content.html.is_empty() {
            message.singlepart(
                SinglePart::builder()
                    .header(ContentType::TEXT_PLAIN)
                    .body(text),
            )
        } else {
            let html = letter.content.html.clone();
            message.multipart(MultiPart::alternative_plain_html(text, html))
        };
        whole.map_err(|_| Unsent::Malformed("BAD_ADDRESS"))
    }
}

fn parameters(options: &SmtpOptions) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(options.server.clone());
    if let Some(pem) = &options.authority {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(SmtpError::Tls)?);
    }
    builder.build().map_err(SmtpError::Tls)
}

fn unsent(error: &lettre::transport::smtp::Error) -> Unsent {
    match error.status() {
        // Whom it does not let in at all is not about this letter.
        Some(code) if error.is_permanent() && !NOT_LET_IN.contains(&u16::from(code)) => {
            Unsent::Refused(code.to_string())
        }
        Some(code) => Unsent::NotNow(format!("NOT_NOW {code}")),
        None if error.is_timeout() => Unsent::NotNow("TIMEOUT".to_owned()),
        None if error.is_tls() => Unsent::NotNow("TLS".to_owned()),
        None => Unsent::NotNow("UNREACHABLE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a runtime: it closes idle connections.
    fn mailer() -> Mailer {
        Mailer::new(SmtpOptions {
            server: "127.0.0.1".into(),
            port: 25,
            encryption: Encryption::None,
            authority: None,
            credentials: None,
            timeout: Duration::from_secs(1),
            from: "training@example.com".into(),
            from_domains: vec!["example.org".into()],
        })
        .unwrap()
    }

    fn written(letter: &Outgoing<'_>) -> Result<String, Unsent> {
        let message = mailer().message(letter)?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[tokio::test]
    async fn a_letter_has_the_id_of_its_row_and_no_header_that_a_value_could_add() {
        let content = Rendered {
            subject: "Hello Ännchen".into(),
            text: "Hello".into(),
            html: "<p>Hello</p>".into(),
        };
        let cc = ["copy@example.com".to_owned()];
        let letter = Outgoing {
            letter_id: Uuid::from_u128(7),
            from: None,
            sender: "Acme, \"Inc\"\r\nBcc: eve@example.com",
            to: "ann@example.com",
            cc: &cc,
            content: &content,
        };
        let text = written(&letter).unwrap();
        assert!(
            text.contains(&format!("Message-ID: <{}@example.com>", letter.letter_id)),
            "{text}"
        );
        assert!(text.contains("Cc: copy@example.com"), "{text}");
        assert!(!text.contains("\r\nBcc:"), "{text}");
        assert!(text.contains("multipart/alternative"), "{text}");
        assert_eq!(written(&letter).unwrap().matches("Message-ID").count(), 1);
    }

    #[tokio::test]
    async fn letters_are_from_domains_that_they_may_be_from() {
        let content = Rendered {
            subject: "Hello".into(),
            text: "Hello".into(),
            html: String::new(),
        };
        let from = |address| Outgoing {
            letter_id: Uuid::nil(),
            from: Some(address),
            sender: "Acme",
            to: "ann@example.com",
            cc: &[],
            content: &content,
        };
        assert!(written(&from("courses@EXAMPLE.org")).is_ok());
        assert!(written(&from("courses@example.net")).is_err());
        let lost = Outgoing {
            to: "nobody",
            ..from("a@example.com")
        };
        assert!(matches!(
            written(&lost),
            Err(Unsent::Malformed("BAD_ADDRESS"))
        ));
    }
}
