//! How many decisions a transaction carried, as the enrollment service shows it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the service may take to show its metrics.
const WITHIN: Duration = Duration::from_secs(2);

/// Batches of the step that decides, so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Batches {
    items: f64,
    batches: f64,
}

impl Batches {
    /// Asks the process that shows its metrics at `address`.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn read(address: SocketAddr) -> anyhow::Result<Self> {
        let answer = tokio::time::timeout(WITHIN, get(address));
        Ok(read_batches(&answer.await.context("no metrics in time")??))
    }

    /// The mean size of the batches since `before`; none if there were none.
    pub(super) fn mean_since(self, before: Self) -> Option<f64> {
        let batches = self.batches - before.batches;
        (batches > 0.0).then(|| (self.items - before.items) / batches)
    }
}

async fn get(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(
        answer.starts_with("HTTP/1.") && answer.contains(" 200 "),
        "no metrics there"
    );
    Ok(answer)
}

/// A series appears with its first batch.
fn read_batches(text: &str) -> Batches {
    let value = |name: &str| -> f64 {
        let series = format!("latchkey_batch_items_{name}{{stage=\"decide\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&series));
        found
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or_default()
    };
    Batches {
        items: value("sum"),
        batches: value("count"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_the_batches_in_between() {
        let text = |sum, count| {
            format!(
                "latchkey_batch_items_sum{{stage=\"recall\"}} 9\n\
                 latchkey_batch_items_sum{{stage=\"decide\"}} {sum}\n\
                 latchkey_batch_items_count{{stage=\"decide\"}} {count}\n"
            )
        };
        let before = read_batches(&text(100, 50));
        let after = read_batches(&text(700, 60));
        assert_eq!(after.mean_since(before), Some(60.0));
        assert_eq!(after.mean_since(after), None);
        let first = after.mean_since(read_batches("# HELP\n"));
        assert_eq!(first, Some(700.0 / 60.0));
    }
}
