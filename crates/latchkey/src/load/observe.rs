//! What services say of themselves while they are under load: their processor time, and how large their batches are.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::Uri;
use serde::Serialize;

use super::report::ServiceReport;

/// How often services are looked at.
const EACH: Duration = Duration::from_secs(1);

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(2);

/// The most bytes of a page of metrics.
const MOST: usize = 16 << 20;

/// How often the end is looked for.
const STEP: Duration = Duration::from_millis(50);

/// The metric with the processor time of a process, and the histogram of the items in batches.
const CPU: &str = "latchkey_process_cpu_seconds";
const BATCHES: &str = "latchkey_batch_items";

/// What one service said of the time between two looks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// When the second look was, in seconds from the beginning.
    pub at_seconds: f64,
    /// Processors it kept busy; none where it does not say.
    pub cpu: Option<f64>,
    /// Items in a batch, on average, by stage. Of stages without a batch there is nothing.
    pub batch_items: BTreeMap<String, f64>,
}

/// The numbers that one look finds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    cpu_seconds: Option<f64>,
    /// By stage: items, and batches.
    batches: BTreeMap<String, (f64, f64)>,
}

/// Looks at the services that show their metrics at `urls` each second until `stop`; blocks until then, and at most for one
/// look longer. A service that never answered has no samples, and says why.
pub fn observe(urls: &[(String, String)], began: Instant, stop: &AtomicBool) -> Vec<ServiceReport> {
    // Each by a thread of its own: one that stays silent keeps nobody from looking at the others.
    std::thread::scope(|scope| {
        let watches: Vec<_> = urls
            .iter()
            .map(|(name, url)| scope.spawn(move || watch(name, url, began, stop)))
            .collect();
        let reports = watches.into_iter().map(ScopedJoinHandle::join);
        reports.filter_map(Result::ok).collect()
    })
}

/// Looks at one service until `stop`.
fn watch(name: &str, url: &str, began: Instant, stop: &AtomicBool) -> ServiceReport {
    let mut samples = Vec::new();
    let mut last: Option<(Instant, Look)> = None;
    let mut failure = None;
    let mut due = began;
    while !stop.load(Ordering::Relaxed) {
        match Look::at(url) {
            Ok(look) => {
                let now = Instant::now();
                if let Some((then, before)) = &last {
                    let passed = now.duration_since(*then);
                    samples.extend(sample(before, &look, passed, now.duration_since(began)));
                }
                last = Some((now, look));
            }
            Err(error) => {
                failure = Some(error);
                last = None;
            }
        }
        // A look that took longer than a second is not made up for by several at once.
        due = due.max(Instant::now()) + EACH;
        while Instant::now() < due && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(STEP);
        }
    }
    let unread = failure.filter(|_| samples.is_empty());
    ServiceReport {
        name: name.to_owned(),
        samples,
        unread: unread
            .map(|error| format!("metrics of {name} could not be read at {url}: {error:#}")),
    }
}

impl Look {
    /// Looks at the service that shows its metrics at `url`; blocks until it has answered.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn at(url: &str) -> anyhow::Result<Self> {
        Ok(read(&scrape(url)?))
    }

    /// Items in a batch since `before`, on average, by stage. Of stages without a batch there is nothing.
    pub fn batch_items_since(&self, before: &Self) -> BTreeMap<String, f64> {
        let mean = |(stage, (items, batches)): (&String, &(f64, f64))| {
            let (old_items, old_batches) = before.batches.get(stage).copied().unwrap_or_default();
            let made = batches - old_batches;
            (made > 0.0).then(|| (stage.clone(), (items - old_items) / made))
        };
        self.batches.iter().filter_map(mean).collect()
    }
}

/// What was between two looks; nothing, if something that only grows became less: then it was another process.
fn sample(before: &Look, after: &Look, passed: Duration, at: Duration) -> Option<Sample> {
    let began_anew = before.batches.iter().any(|(stage, (items, batches))| {
        let (now_items, now_batches) = after.batches.get(stage).copied().unwrap_or_default();
        now_items < *items || now_batches < *batches
    });
    let cpu = before.cpu_seconds.zip(after.cpu_seconds);
    if began_anew || cpu.is_some_and(|(before, after)| after < before) {
        return None;
    }
    let passed = passed.as_secs_f64();
    Some(Sample {
        at_seconds: at.as_secs_f64(),
        cpu: cpu.map(|(before, after)| (after - before) / passed),
        batch_items: after.batch_items_since(before),
    })
}

/// The numbers in a page of metrics.
fn read(text: &str) -> Look {
    let mut look = Look::default();
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Ok(value) = value.parse::<f64>() else {
            continue;
        };
        if series == CPU {
            look.cpu_seconds = Some(value);
        }
        let of_batches = series.strip_prefix(BATCHES);
        match of_batches.and_then(|rest| rest.split_once('{')) {
            Some(("_sum", labels)) => look.batches.entry(stage(labels)).or_default().0 = value,
            Some(("_count", labels)) => look.batches.entry(stage(labels)).or_default().1 = value,
            _ => {}
        }
    }
    look
}

/// The stage in `stage="decide"}`.
fn stage(labels: &str) -> String {
    let named = labels.split_once("stage=\"").map(|(_, rest)| rest);
    let name = named.and_then(|rest| rest.split_once('"'));
    name.map_or_else(String::new, |(name, _)| name.to_owned())
}

/// The page at `url`. It is asked for as simply as can be: such pages are for the network of the operators, without TLS.
fn scrape(url: &str) -> anyhow::Result<String> {
    let uri: Uri = url.parse()?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "metrics are served by http"
    );
    let host = uri.host().context("no host")?;
    let port = uri.port_u16().unwrap_or(80);
    let address = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
    let address = address.into_iter().next().context("no address")?;
    let end = Instant::now() + WITHIN;
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)
        .with_context(|| format!("nobody answers at {address}"))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let request = format!("GET {} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n", uri.path());
    stream.write_all(request.as_bytes())?;
    let page = read_until(&mut stream, end)?;
    let text = String::from_utf8_lossy(&page);
    let (head, body) = text.split_once("\r\n\r\n").context("no page")?;
    let first = head.lines().next().unwrap_or_default();
    ensure!(first.contains(" 200"), "{first}");
    Ok(body.to_owned())
}

/// All that `stream` brings before it ends, which it must by `end`.
fn read_until(stream: &mut TcpStream, end: Instant) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no answer within {} s", WITHIN.as_secs());
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(page),
            Ok(length) => page.extend_from_slice(&piece[..length]),
            // The time is over, which is looked at above.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        ensure!(page.len() <= MOST, "the page is too large");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE latchkey_batch_items histogram\n\
        latchkey_batch_items_bucket{stage=\"decide\",le=\"1\"} 4\n\
        latchkey_batch_items_sum{stage=\"decide\"} 90\n\
        latchkey_batch_items_count{stage=\"decide\"} 10\n\
        latchkey_batch_items_sum{stage=\"recall\"} 5\n\
        latchkey_batch_items_count{stage=\"recall\"} 5\n\
        latchkey_process_cpu_seconds 2.5\n";

    #[test]
    fn what_is_between_two_looks_is_computed() {
        let before = read(
            "latchkey_process_cpu_seconds 1\n\
            latchkey_batch_items_sum{stage=\"decide\"} 10\n\
            latchkey_batch_items_count{stage=\"decide\"} 2\n\
            latchkey_batch_items_sum{stage=\"recall\"} 5\n\
            latchkey_batch_items_count{stage=\"recall\"} 5\n",
        );
        let after = read(PAGE);
        let second = Duration::from_secs(1);
        assert_eq!(
            sample(&before, &after, second * 2, second * 7),
            Some(Sample {
                at_seconds: 7.0,
                cpu: Some(0.75),
                batch_items: BTreeMap::from([("decide".to_owned(), 10.0)]),
            })
        );
        assert_eq!(read("").cpu_seconds, None);
        // A process that was started again counts from nothing.
        assert_eq!(sample(&after, &before, second, second), None);
        let batches_only = |look: &Look| Look {
            cpu_seconds: None,
            ..look.clone()
        };
        let (after, before) = (batches_only(&after), batches_only(&before));
        assert_eq!(sample(&after, &before, second, second), None);
    }

    #[test]
    fn the_mean_is_of_the_batches_in_between() {
        let text = |sum, count| {
            format!(
                "latchkey_batch_items_sum{{stage=\"recall\"}} 9\n\
                 latchkey_batch_items_sum{{stage=\"decide\"}} {sum}\n\
                 latchkey_batch_items_count{{stage=\"decide\"}} {count}\n"
            )
        };
        let mean =
            |after: &Look, before: &Look| after.batch_items_since(before).get("decide").copied();
        let before = read(&text(100, 50));
        let after = read(&text(700, 60));
        assert_eq!(mean(&after, &before), Some(60.0));
        assert_eq!(mean(&after, &after), None);
        assert_eq!(mean(&after, &read("# HELP\n")), Some(700.0 / 60.0));
    }

    #[test]
    fn a_page_is_scraped_and_nobody_is_no_sample() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).expect("a request");
            let answer = format!("HTTP/1.0 200 OK\r\n\r\n{PAGE}");
            stream.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let page = scrape(&format!("http://{address}/metrics")).expect("a page");
        assert_eq!(page, PAGE);
        assert!(server.join().expect("served").starts_with("GET /metrics "));
        let urls = [("keys".to_owned(), format!("http://{address}/metrics"))];
        let reports = observe(&urls, Instant::now(), &AtomicBool::new(true));
        assert_eq!(reports.len(), 1);
        assert!(reports[0].samples.is_empty());
        scrape("https://127.0.0.1:1/metrics").expect_err("no TLS there");
    }

    #[test]
    fn who_accepts_and_stays_silent_holds_nobody_up_and_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}/metrics");
        let urls = [("mute".to_owned(), url.clone())];
        let stop = AtomicBool::new(false);
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let stop = &stop;
            scope.spawn(move || sender.send(observe(&urls, Instant::now(), stop)));
            // It looks, and hears nothing.
            let held = listener.accept().expect("a look");
            stop.store(true, Ordering::Relaxed);
            let reports = ended.recv_timeout(WITHIN * 5).expect("it ends");
            let told = reports[0].unread.as_deref().expect("it says why");
            let begins = format!("metrics of mute could not be read at {url}: ");
            assert!(told.starts_with(&begins), "{told}");
            drop(held);
        });
    }
}
