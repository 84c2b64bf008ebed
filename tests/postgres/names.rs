//! Names and strings as psql reads them: whatever bytes a table or a role is called by, what is pasted means exactly that.

use perftop::model::foreign::Foreign;
use perftop::model::postgres::{identifier, literal};

use super::server::{Server, installed};

/// Texts of letters, quotes, backslashes, psql's own signs, controls and marks that do not show.
fn texts(count: usize) -> Vec<String> {
    const SHARP: [char; 24] = [
        '"',
        '\'',
        '\\',
        ':',
        ';',
        '$',
        '&',
        '-',
        '/',
        '*',
        ' ',
        '\n',
        '\r',
        '\t',
        '\u{1}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{202e}',
        '\u{200b}',
        'ß',
        '日',
        '\u{1f600}',
        '%',
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut number = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let mut text = || -> String {
        let length = 1 + number(12);
        (0..length)
            .map(|_| if number(3) == 0 { char::from(b'a' + number(26) as u8) } else { SHARP[number(24) as usize] })
            .collect()
    };
    (0..count).map(|_| text()).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn psql_reads_names_and_strings_to_the_byte() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[]);
    let texts = texts(600);
    let mut script = String::new();
    for text in &texts {
        let foreign = Foreign::from(text.as_str());
        let (name, string) = (identifier(&foreign).unwrap(), literal(&foreign).unwrap());
        assert!(!name.chars().chain(string.chars()).any(char::is_control), "{name} {string}");
        script.push_str(&format!(
            "SELECT encode(convert_to({string}, 'UTF8'), 'hex');\n\
             CREATE TEMP TABLE t ({name} int); SELECT encode(convert_to(attname, 'UTF8'), 'hex') FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 1; DROP TABLE t;\n"
        ));
    }
    let out = server.paste("postgres", &script);
    let said = String::from_utf8(out.stdout).unwrap();
    let mut lines = said.lines();
    for text in &texts {
        assert_eq!(lines.next(), Some(hex(text).as_str()), "literal of {text:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(lines.next(), Some(hex(text).as_str()), "name {text:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// An index whose name does not show is dropped and comes back by what was offered for that.
#[test]
fn what_is_dropped_by_its_escaped_name_comes_back_by_its_undo() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[]);
    let make = "CREATE TABLE U&\"t\\202e\" (a int, U&\"b\\000a\" text); CREATE INDEX U&\"i\\202e\" ON U&\"t\\202e\" (a) WHERE U&\"b\\000a\" <> E'x\\ny';";
    server.sql("postgres", make);
    let definitions =
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE relname LIKE 'i%'";
    let before = server.sql("postgres", &format!("{definitions} AND indisvalid AND c.relnamespace = 'public'::regnamespace"));
    let undo = perftop::model::postgres::index_definition(&Foreign::from(before.as_str())).unwrap();
    assert!(!undo.chars().any(char::is_control), "{undo}");
    server.sql("postgres", "DROP INDEX U&\"i\\202e\"");
    let out = server.paste("postgres", &undo);
    assert!(out.status.success(), "{undo}: {}", String::from_utf8_lossy(&out.stderr));
    let after = server.sql("postgres", &format!("{definitions} AND indisvalid AND c.relnamespace = 'public'::regnamespace"));
    assert_eq!(before, after);
}
