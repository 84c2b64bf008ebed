//! An application that counts its requests and how long they take, as client libraries do; no request is really made.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const BOUNDS: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];

pub struct Application {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    per_s: f64,
    share_failed: f64,
    takes_s: f64,
    since: Instant,
    /// Requests that are due, in parts.
    due: f64,
    failed_due: f64,
    good: u64,
    failed: u64,
    buckets: [u64; BOUNDS.len() + 1],
}

impl Inner {
    fn serve(&mut self) {
        let passed = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        self.due += passed * self.per_s;
        while self.due >= 1.0 {
            self.due -= 1.0;
            self.failed_due += self.share_failed;
            let fails = self.failed_due >= 1.0;
            if fails {
                self.failed_due -= 1.0;
            }
            self.one(fails);
        }
    }

    fn one(&mut self, fails: bool) {
        if fails {
            self.failed += 1
        } else {
            self.good += 1
        }
        let at = BOUNDS.iter().position(|b| self.takes_s <= *b).unwrap_or(BOUNDS.len());
        self.buckets[at] += 1;
    }

    fn text(&mut self) -> String {
        self.serve();
        let mut out = format!("# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} {}\n", self.good);
        // A label is born with its first request.
        if self.failed > 0 {
            out += &format!("http_requests_total{{code=\"500\"}} {}\n", self.failed);
        }
        out += "# TYPE http_request_duration_seconds histogram\n";
        let mut all = 0;
        for (at, n) in self.buckets.iter().enumerate() {
            all += n;
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), ToString::to_string);
            out += &format!("http_request_duration_seconds_bucket{{le=\"{bound}\"}} {all}\n");
        }
        out + &format!("http_request_duration_seconds_sum {all}\nhttp_request_duration_seconds_count {all}\n")
    }
}

impl Application {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Mutex::new(Inner {
            per_s: 0.0,
            share_failed: 0.0,
            takes_s: 0.01,
            since: Instant::now(),
            due: 0.0,
            failed_due: 0.0,
            good: 0,
            failed: 0,
            buckets: [0; BOUNDS.len() + 1],
        }));
        let served = inner.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                _ = stream.read(&mut [0; 4096]);
                let text = served.lock().unwrap().text();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    text.len()
                );
                _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes()));
            }
        });
        Self { port, inner }
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock().unwrap();
        inner.serve();
        change(&mut inner);
    }

    pub fn serves(&self, per_s: u32) {
        self.change(|a| a.per_s = f64::from(per_s));
    }

    pub fn fails(&self, share: f64) {
        self.change(|a| a.share_failed = share);
    }

    pub fn takes(&self, seconds: f64) {
        self.change(|a| a.takes_s = seconds);
    }

    pub fn fail_now(&self, times: usize) {
        self.change(|a| (0..times).for_each(|_| a.one(true)));
    }

    /// Its counters begin again.
    pub fn restarts(&self) {
        self.change(|a| (a.good, a.failed, a.buckets) = (0, 0, [0; BOUNDS.len() + 1]));
    }
}
