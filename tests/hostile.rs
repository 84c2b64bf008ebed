//! Servers that mean harm, of a few lines each: none of them takes memory to speak of, and each is said with its reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// What no server may add to the memory of perftop, kB.
const MOST_KB: u64 = 32 << 10;

type Fake = fn(&mut TcpStream) -> std::io::Result<()>;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// One message of the client that has a type.
fn read_message(client: &mut TcpStream) -> std::io::Result<u8> {
    let mut head = [0; 5];
    client.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) - 4;
    client.take(u64::from(length)).read_to_end(&mut Vec::new())?;
    Ok(head[0])
}

/// The client's first message, which has none.
fn startup(client: &mut TcpStream) -> std::io::Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    client.take(u64::from(u32::from_be_bytes(length)) - 4).read_to_end(&mut Vec::new())?;
    Ok(())
}

fn let_in(client: &mut TcpStream) -> std::io::Result<()> {
    startup(client)?;
    client.write_all(&message(b'R', &[0; 4]))?;
    client.write_all(&message(b'S', b"server_version\x0016.4\0"))?;
    client.write_all(&message(b'K', &[0; 8]))?;
    client.write_all(&message(b'Z', b"I"))
}

/// Two gigabytes, or until nobody listens.
fn endlessly(client: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let block = piece.repeat((1 << 16) / piece.len() + 1);
    for _ in 0..(2_000_000_000 / block.len()) {
        client.write_all(&block)?;
    }
    Ok(())
}

/// Until the client has had enough.
fn wait(client: &mut TcpStream) -> std::io::Result<()> {
    client.read_exact(&mut [0; 1 << 16])
}

fn announced(client: &mut TcpStream, kind: u8) -> std::io::Result<()> {
    client.write_all(&[&[kind][..], &2_000_000_000_u32.to_be_bytes(), &[0, 1]].concat())?;
    endlessly(client, &[0])
}

const DESCRIBED: &[u8] = b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";

/// Whom it is, what it does, and what is said of it.
const FAKES: [(&str, Fake, &str); 19] = [
    ("announces 2 GB before it has let us in", |c| startup(c).and_then(|()| announced(c, b'R')), "announced a message"),
    ("an error of 2 GB", |c| startup(c).and_then(|()| announced(c, b'E')), "announced a message"),
    ("endless settings", |c| startup(c).and_then(|()| endlessly(c, &message(b'S', b"some\0thing\0"))), "sent more than"),
    ("endless notices", |c| startup(c).and_then(|()| endlessly(c, &message(b'N', b"SNOTICE\0Mhello\0\0"))), "sent more than"),
    (
        "a row of 2 GB",
        |c| {
            let_in(c)?;
            read_message(c)?;
            c.write_all(&message(b'T', DESCRIBED))?;
            announced(c, b'D')
        },
        "announced a message",
    ),
    (
        "endless rows",
        |c| {
            let_in(c)?;
            read_message(c)?;
            c.write_all(&message(b'T', DESCRIBED))?;
            endlessly(c, &message(b'D', b"\0\x01\0\0\0\x01x"))
        },
        "more than",
    ),
    (
        "endless rows of nothing but columns",
        |c| {
            let_in(c)?;
            read_message(c)?;
            c.write_all(&message(b'T', &[&1600_u16.to_be_bytes()[..], &DESCRIBED[2..].repeat(1600)].concat()))?;
            let row = [&1600_u16.to_be_bytes()[..], &[0xff; 6400]].concat();
            endlessly(c, &message(b'D', &row))
        },
        "sent more than",
    ),
    (
        "endless settings afterwards",
        |c| {
            let_in(c)?;
            read_message(c)?;
            for n in 0..200_000_u32 {
                c.write_all(&message(b'S', &[format!("s{n}\0").as_bytes(), &[b'x'; 200], b"\0"].concat()))?;
            }
            endlessly(c, &message(b'S', b"some\0thing\0"))
        },
        "more than",
    ),
    (
        "endless empty answers",
        |c| {
            let_in(c)?;
            read_message(c)?;
            endlessly(c, &message(b'C', b"SELECT 0\0"))
        },
        "more than",
    ),
    (
        "endless TLS",
        |c| {
            c.write_all(b"S")?;
            endlessly(c, &[0x16, 3, 3, 0x40, 0, 2, 0, 0xff, 0xff])
        },
        "TLS",
    ),
    ("a web server", |c| c.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").and_then(|()| endlessly(c, b"x")), "protocol"),
    ("ready, without a word", |c| startup(c).and_then(|()| c.write_all(b"Z\0\0\0\x04")).and_then(|()| wait(c)), "protocol"),
    (
        "an authentication of no kind",
        |c| startup(c).and_then(|()| c.write_all(b"R\0\0\0\x04")).and_then(|()| wait(c)),
        "protocol",
    ),
    (
        "a challenge of nothing",
        |c| startup(c).and_then(|()| c.write_all(b"R\0\0\0\x08\0\0\0\x0b")).and_then(|()| wait(c)),
        "protocol",
    ),
    (
        "four billion rounds of hashing",
        |c| startup(c).and_then(|()| c.write_all(&message(b'R', b"\0\0\0\x0br=x,s=eA==,i=4294967295"))).and_then(|()| wait(c)),
        "rounds of hashing",
    ),
    (
        "wants a password",
        |c| startup(c).and_then(|()| c.write_all(&message(b'R', b"\0\0\0\x03"))).and_then(|()| wait(c)),
        "password required",
    ),
    (
        "a row of other columns",
        |c| {
            let_in(c)?;
            read_message(c)?;
            c.write_all(&message(b'T', DESCRIBED))?;
            c.write_all(&message(b'D', b"\0\x02\0\0\0\x01x\0\0\0\x01y"))?;
            wait(c)
        },
        "malformed",
    ),
    (
        "a cell longer than its row",
        |c| {
            let_in(c)?;
            read_message(c)?;
            c.write_all(&message(b'T', DESCRIBED))?;
            c.write_all(&message(b'D', b"\0\x01\0\0\xff\xffx"))?;
            c.write_all(&message(b'C', b"SELECT 1\0"))?;
            wait(c)
        },
        "malformed",
    ),
    ("says nothing", |c| c.read_exact(&mut [0; 1 << 16]), "no answer within"),
];

/// A port behind which it stands for every client.
fn serve(fake: Fake) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                _ = client.set_write_timeout(Some(Duration::from_secs(20)));
                _ = fake(&mut client);
            });
        }
    });
    port
}

/// What a check says, and the most memory that it had, kB.
fn check(servers: &[String]) -> (Value, u64) {
    let mut command = Command::new("python3");
    // The peak of a child that was waited for; every other way is a race.
    let peak = "import resource, subprocess, sys; subprocess.run(sys.argv[1:]); \
                print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)";
    command.args(["-c", peak, env!("CARGO_BIN_EXE_perftop")]);
    command.args(["check", "--no-config", "--no-discover", "--format", "json", "--for", "5s"]);
    servers.iter().for_each(|url| _ = command.args(["--postgres", url]));
    // Secrets of whoever runs the tests are none of the fakes' business.
    command.env_remove("PGPASSWORD").env_remove("PGSERVICEFILE").env("PGPASSFILE", "/nowhere").env("HOME", "/nowhere");
    let out = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    let peak_kb = stderr.trim().lines().last().and_then(|line| line.parse().ok());
    let json = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
    (json, peak_kb.unwrap())
}

#[test]
fn no_server_takes_memory_or_time_and_each_is_said() {
    let (_, alone_kb) = check(&[]);
    let tried = |(name, fake, expected): (&str, Fake, &str)| {
        let port = serve(fake);
        let mode = if name == "endless TLS" { "require" } else { "disable" };
        let (said, peak_kb) = check(&[format!("postgres://u@127.0.0.1:{port}/d?sslmode={mode}")]);
        let source = said["sources"].as_array().unwrap().iter().find(|s| s["id"] == format!("postgres:{port}")).unwrap();
        assert!(source["why"].as_str().is_some_and(|why| why.contains(expected)), "{name}: {source:#}");
        let added_kb = peak_kb.saturating_sub(alone_kb);
        println!("{name}: {added_kb} kB");
        assert!(added_kb < MOST_KB, "{name} adds {added_kb} kB to {alone_kb}");
    };
    for few in FAKES.chunks(4) {
        std::thread::scope(|scope| {
            let all: Vec<_> = few.iter().map(|fake| scope.spawn(|| tried(*fake))).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}
