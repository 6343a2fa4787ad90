//! What services say of themselves while they are under load: their processor time, and how large their batches are.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::Uri;
use serde::Serialize;

use super::report::ServiceReport;

/// How often services are looked at.
const EACH: Duration = Duration::from_secs(1);

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(2);

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

/// Looks at the services that show their metrics at `urls` each second until `stop`; blocks until then. A service that does
/// not answer has no samples.
pub fn observe(urls: &[(String, String)], began: Instant, stop: &AtomicBool) -> Vec<ServiceReport> {
    let mut services: Vec<(ServiceReport, Option<(Instant, Look)>)> = urls
        .iter()
        .map(|(name, _)| {
            let report = ServiceReport {
                name: name.clone(),
                samples: Vec::new(),
            };
            (report, None)
        })
        .collect();
    let mut due = began;
    loop {
        for ((service, last), (_, url)) in services.iter_mut().zip(urls) {
            let Ok(look) = Look::at(url) else {
                *last = None;
                continue;
            };
            let now = (Instant::now(), look);
            if let Some((then, before)) = last {
                let passed = now.0.duration_since(*then);
                let at = now.0.duration_since(began);
                service.samples.push(sample(before, &now.1, passed, at));
            }
            *last = Some(now);
        }
        due += EACH;
        while Instant::now() < due {
            if stop.load(Ordering::Relaxed) {
                return services.into_iter().map(|(report, _)| report).collect();
            }
            std::thread::sleep(STEP);
        }
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

/// What was between two looks.
fn sample(before: &Look, after: &Look, passed: Duration, at: Duration) -> Sample {
    let passed = passed.as_secs_f64();
    let cpu = before.cpu_seconds.zip(after.cpu_seconds);
    Sample {
        at_seconds: at.as_secs_f64(),
        cpu: cpu.map(|(before, after)| (after - before) / passed),
        batch_items: after.batch_items_since(before),
    }
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
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let request = format!("GET {} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n", uri.path());
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no page")?;
    let first = head.lines().next().unwrap_or_default();
    ensure!(first.contains(" 200"), "{first}");
    Ok(body.to_owned())
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
        let sample = sample(&before, &after, second * 2, second * 7);
        assert_eq!(
            sample,
            Sample {
                at_seconds: 7.0,
                cpu: Some(0.75),
                batch_items: BTreeMap::from([("decide".to_owned(), 10.0)]),
            }
        );
        assert_eq!(read("").cpu_seconds, None);
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
}
