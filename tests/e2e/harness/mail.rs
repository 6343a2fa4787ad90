//! The mail server that letters go to.

use latchkey::mail_server::MailServer;

/// A mail server of the test's own.
pub(crate) async fn mail_server() -> MailServer {
    MailServer::start().await.expect("a port")
}

/// The settings with which an enrollment process writes to people by `server`, quickly.
pub(crate) fn mail_settings(server: &MailServer) -> &'static str {
    let settings = format!(
        "[mail]\nserver = '127.0.0.1'\nport = {}\nencryption = 'none'\nfrom = 'training@example.com'\n\
         login_page = 'https://learn.example.com'\ntimeout_ms = 500\nretry_first_ms = 200\nretry_longest_ms = 500\n\
         [sweeper]\nlook_interval_ms = 50\nsweep_interval_ms = 100",
        server.address().port()
    );
    // As long as the test.
    Box::leak(settings.into_boxed_str())
}
