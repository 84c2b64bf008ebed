//! The messages of a server, as the guard lets them pass: by type, length and form. The library reserves what a message announces and believes
//! what it says of its own parts; what is too large or malformed ends here. Pure.

mod parts;
mod refused;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use self::parts::{Body, Row};
use self::refused::malformed;

pub use self::refused::{FOREIGN, Refused};

/// A message before the server has let us in: settings, what it wants of us, why it refuses.
const GREETING_MESSAGE: usize = 16 << 10;
/// All of them together.
const GREETING: usize = 128 << 10;
/// A row, with the longest text of a statement or plan that is asked for.
const ROW: usize = 4 << 20;
/// Any other message: the description of rows, an error with its statement.
const MESSAGE: usize = 256 << 10;
/// What an answer may weigh in our memory, all its rows together: 10,000 rows of pg_stat_statements weigh 9 MB.
const ANSWER: usize = 12 << 20;
/// Settings that a server may tell of: the library keeps one value of each. A real one tells of some fifteen.
const SETTINGS: usize = 256;
/// Rounds of hashing that a server may ask for; PostgreSQL's default is 4,096.
const ROUNDS: u32 = 1_000_000;
/// What the library keeps for each message, each column of a row, and each column that is described, beside its bytes.
const EACH: usize = 160;
const EACH_CELL: usize = 12;
const EACH_COLUMN: usize = 200;

/// Said of a server that answers in the old form.
const NO_FORK: &str = "it could not start a process for this connection: it lacks memory or processes";

/// Follows the messages: type, four bytes of length, contents.
#[derive(Debug, Default)]
pub struct Frames {
    let_in: bool,
    asks_for_password: bool,
    head: [u8; 5],
    have: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Contents of a message that is not a row, as far as they came.
    body: Vec<u8>,
    row: Option<Row>,
    weight: usize,
    /// Columns that were described last.
    columns: Option<usize>,
    /// Settings told of, by a hash of their names.
    settings: BTreeSet<u64>,
}

impl Frames {
    /// The server asked for a password.
    #[must_use]
    pub const fn asks_for_password(&self) -> bool {
        self.asks_for_password
    }

    /// Takes what came. The end of a message that is not taken is not passed on, so that the library never reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        while !bytes.is_empty() {
            if self.left == 0 {
                self.head[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                if self.have == self.head.len() {
                    self.begin()?;
                }
                continue;
            }
            let n = self.left.min(bytes.len());
            self.left -= n;
            let (now, later) = bytes.split_at(n);
            bytes = later;
            match &mut self.row {
                Some(row) => {
                    self.weight += row.walk(now, self.columns)? * EACH_CELL;
                    self.within()?;
                }
                None => self.body.extend_from_slice(now),
            }
            if self.left == 0 {
                self.end()?;
            }
        }
        Ok(())
    }

    /// A message begins: its type and length are known.
    fn begin(&mut self) -> Result<(), Refused> {
        let [kind, length @ ..] = self.head;
        let length = u32::from_be_bytes(length) as usize;
        self.have = 0;
        let known: &[u8] = if self.let_in { b"DTCZESNKAI123nst" } else { b"RSKZENv" };
        if !known.contains(&kind) || length < 4 {
            return Err(malformed(self.let_in));
        }
        let most = match kind {
            _ if !self.let_in => GREETING_MESSAGE,
            b'D' => ROW,
            _ => MESSAGE,
        };
        // A server that cannot fork says so in the form of the protocol before this one: E and plain text, without a length.
        if !self.let_in && kind == b'E' && length > most && self.head[1..].iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            return Err(Refused(NO_FORK.to_owned()));
        }
        if length > most {
            return Err(Refused(format!("it announced a message of {length} bytes; at most {most} are taken")));
        }
        self.weight += length + EACH;
        self.within()?;
        self.left = length - 4;
        self.row = (kind == b'D').then(Row::default);
        self.body.clear();
        if self.left == 0 { self.end() } else { Ok(()) }
    }

    fn within(&self) -> Result<(), Refused> {
        let most = if self.let_in { ANSWER } else { GREETING };
        if self.weight > most { Err(Refused(format!("it sent more than {} kB in one answer", most >> 10))) } else { Ok(()) }
    }

    /// A message is whole: its form is what the library takes for granted.
    fn end(&mut self) -> Result<(), Refused> {
        let body = std::mem::take(&mut self.body);
        let mut rest = Body(&body);
        let fine = match self.head[0] {
            b'D' => self.row.take().is_some_and(|row| row.whole()),
            b'R' => {
                let kind = rest.u32();
                self.asks_for_password |= matches!(kind, Some(3 | 5 | 10));
                match kind {
                    Some(0 | 3) => rest.is_empty(),
                    Some(5) => rest.0.len() == 4,
                    Some(10) => rest.0.ends_with(&[0]),
                    Some(11) => scram(rest.0)?,
                    Some(12) => rest.0.split(|b| *b == b',').all(|item| item.len() >= 2),
                    Some(_) => true,
                    None => false,
                }
            }
            b'Z' => {
                let fine = matches!(body[..], [b'I' | b'T' | b'E']);
                if fine {
                    (self.let_in, self.weight) = (true, 0);
                }
                fine
            }
            b'K' => body.len() >= 8,
            b'S' => {
                let name = rest.text();
                if let Some(name) = name {
                    let mut hasher = DefaultHasher::new();
                    name.hash(&mut hasher);
                    self.settings.insert(hasher.finish());
                }
                if self.settings.len() > SETTINGS {
                    return Err(Refused(format!("it reported more than {SETTINGS} settings")));
                }
                name.is_some() && rest.text().is_some() && rest.is_empty()
            }
            b'E' | b'N' => rest.fields(),
            b'T' => {
                let columns = rest.u16().map(usize::from);
                self.columns = columns;
                self.weight += columns.unwrap_or(0) * EACH_COLUMN;
                self.within()?;
                columns.is_some_and(|n| (0..n).all(|_| rest.text().is_some() && rest.skip(18))) && rest.is_empty()
            }
            b'C' => rest.text().is_some() && rest.is_empty(),
            b'A' => rest.skip(4) && rest.text().is_some() && rest.text().is_some() && rest.is_empty(),
            b't' => rest.u16().is_some_and(|n| rest.0.len() == usize::from(n) * 4),
            // Those without contents, and the negotiation of a version.
            _ => true,
        };
        if fine { Ok(()) } else { Err(malformed(self.let_in)) }
    }
}

/// The server's part of SCRAM: attributes of a letter and a value, and no more rounds than a second takes.
fn scram(text: &[u8]) -> Result<bool, Refused> {
    for item in text.split(|b| *b == b',') {
        let [key, b'=', value @ ..] = item else { return Ok(false) };
        let rounds = || std::str::from_utf8(value).ok()?.parse::<u32>().ok();
        if *key == b'i' && rounds().is_none_or(|n| n > ROUNDS) {
            return Err(Refused(format!("it asks for more than {ROUNDS} rounds of hashing")));
        }
    }
    Ok(std::str::from_utf8(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn described(columns: u16) -> Vec<u8> {
        let column = [&b"name\0"[..], &[0; 18]].concat();
        message(b'T', &[columns.to_be_bytes().as_slice(), &column.repeat(usize::from(columns))].concat())
    }

    fn greeted() -> Frames {
        let mut frames = Frames::default();
        frames.pass(&message(b'R', &[0; 4])).unwrap();
        frames.pass(&message(b'Z', b"I")).unwrap();
        frames
    }

    #[test]
    fn an_announcement_is_refused_before_anything_of_it_passes() {
        let announced = |frames: &mut Frames, kind: u8, length: u32| frames.pass(&[&[kind][..], &length.to_be_bytes()].concat());
        assert!(announced(&mut Frames::default(), b'R', 2_000_000_000).is_err());
        assert!(announced(&mut Frames::default(), b'E', GREETING_MESSAGE as u32 + 1).is_err());
        assert!(announced(&mut greeted(), b'D', u32::MAX).is_err());
        assert!(announced(&mut greeted(), b'E', 1 << 20).is_err());
        assert!(announced(&mut greeted(), b'D', 1 << 20).is_ok());
    }

    #[test]
    fn malformed_messages_are_refused_that_the_library_would_die_of() {
        for (kind, body) in [
            (b'R', &b""[..]),
            (b'R', b"\0\0\0\x05"),
            (b'R', b"\0\0\0\x0b"),
            (b'R', b"\0\0\0\x0br"),
            (b'R', b"\0\0\0\x0bi=4294967295"),
            (b'R', b"\0\0\0\x0bi=99999999999"),
            (b'R', b"\0\0\0\x0c"),
            (b'K', b""),
            (b'Z', b""),
            (b'S', b"no end"),
            (b'E', b"Mno end"),
            (b'H', b"TP/1.1 400"),
        ] {
            assert!(Frames::default().pass(&message(kind, body)).is_err(), "{} {body:?}", char::from(kind));
        }
        assert!(Frames::default().pass(&[b'Z', 0, 0, 0, 3]).is_err());
        for (kind, body) in [
            (b'Z', &b""[..]),
            (b'T', b""),
            (b'T', b"\0\x01a"),
            (b'E', b""),
            (b'C', b"SELECT"),
            (b'A', b"\0"),
            (b't', b"\0\x02\0"),
            (b'D', b""),
            (b'D', b"\0"),
            (b'D', b"\0\x01"),
            (b'D', b"\0\x02\0\0\0\x01x\0\0\0\x01y"),
            (b'D', b"\0\x01\0\0\0\x05x"),
            (b'D', b"\0\x01\0\0\0\x01xy"),
            (b'D', b"\0\x01\xff\xff\xff\xfe"),
            (b'G', b"\0\0\0"),
            (b'R', b"\0\0\0\0"),
        ] {
            let mut frames = greeted();
            frames.pass(&described(1)).unwrap();
            assert!(frames.pass(&message(kind, body)).is_err(), "{} {body:?}", char::from(kind));
        }
        let mut frames = greeted();
        assert!(frames.pass(&message(b'D', b"\0\x01\0\0\0\x01x")).is_err(), "a row that was not described");
        frames = greeted();
        frames.pass(&described(2)).unwrap();
        frames.pass(&message(b'D', b"\0\x02\0\0\0\x01x\xff\xff\xff\xff")).unwrap();
        frames.pass(&message(b'N', b"SNOTICE\0Mhello\0\0")).unwrap();
    }

    #[test]
    fn endless_small_ones_are_refused_and_an_honest_answer_is_not() {
        let setting = |n: usize| message(b'S', format!("s{n}\0on\0").as_bytes());
        let mut frames = Frames::default();
        assert!((0..1_000).any(|n| frames.pass(&setting(n)).is_err()), "before it let us in");
        // The library keeps one value of each: PostgreSQL before 14 tells of a role's rights in each batch.
        let mut frames = greeted();
        for n in 0..100_000 {
            frames.pass(&setting(n % 2)).unwrap();
            frames.pass(&message(b'Z', b"I")).unwrap();
        }
        assert!((0..1_000).any(|n| frames.pass(&setting(n)).and_then(|()| frames.pass(&message(b'Z', b"I"))).is_err()));
        let mut frames = greeted();
        frames.pass(&described(0)).unwrap();
        assert!((0..1_000_000).any(|_| frames.pass(&message(b'D', &[0, 0])).is_err()), "rows of nothing weigh");
        // Ten thousand rows of forty figures, again and again.
        let row = message(b'D', &[&40_u16.to_be_bytes()[..], &b"\0\0\0\x041234".repeat(40)].concat());
        let mut frames = greeted();
        for _ in 0..3 {
            frames.pass(&described(40)).unwrap();
            (0..10_000).for_each(|_| frames.pass(&row).unwrap());
            frames.pass(&message(b'Z', b"I")).unwrap();
        }
    }

    proptest! {
        /// However the bytes are cut, the messages are the same; and no bytes make it panic.
        #[test]
        fn cuts_do_not_matter(cuts in proptest::collection::vec(1usize..9, 0..60), rest: Vec<u8>, kind in 0usize..20, body: Vec<u8>) {
            let kind = b"DTCZESNKAI123nstRvGH"[kind];
            let all = [message(b'R', &[0; 4]), message(b'Z', b"I"), described(1), message(b'D', &[0, 1, 255, 255, 255, 255]), message(kind, &body), rest].concat();
            let mut whole = Frames::default();
            let expected = whole.pass(&all).is_ok();
            let (mut frames, mut left) = (Frames::default(), &all[..]);
            let mut fine = true;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = left.split_at(cut.min(left.len()));
                fine = fine && frames.pass(now).is_ok();
                left = later;
            }
            prop_assert_eq!(fine, expected);
            prop_assert!(!fine || frames.weight == whole.weight);
        }
    }
}
