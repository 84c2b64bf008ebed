//! Themes: sixteen meanings, one small TOML file each. Colours have meanings, not places.

use std::collections::BTreeMap;

use super::layers::Problem;

/// The sixteen meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each name is its meaning")]
pub enum Meaning {
    Text,
    Muted,
    Title,
    Border,
    Accent,
    Selected,
    Critical,
    Warning,
    Info,
    Good,
    Unknown,
    Cpu,
    Io,
    Memory,
    Network,
    Database,
}

impl Meaning {
    /// All of them with their names in the file.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::Text, "text"),
        (Self::Muted, "muted"),
        (Self::Title, "title"),
        (Self::Border, "border"),
        (Self::Accent, "accent"),
        (Self::Selected, "selected"),
        (Self::Critical, "critical"),
        (Self::Warning, "warning"),
        (Self::Info, "info"),
        (Self::Good, "good"),
        (Self::Unknown, "unknown"),
        (Self::Cpu, "cpu"),
        (Self::Io, "io"),
        (Self::Memory, "memory"),
        (Self::Network, "network"),
        (Self::Database, "database"),
    ];
}

/// A colour as the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The terminal's own foreground or background.
    Default,
    /// One of the terminal's 16.
    Ansi(u8),
    /// `#rrggbb`.
    Rgb(u8, u8, u8),
}

/// A theme as it is read: all sixteen meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeFile {
    /// Colours by meaning.
    pub colours: BTreeMap<Meaning, Colour>,
}

const ANSI: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];

/// The themes that are built in: name and text.
#[must_use]
pub fn builtin_themes() -> &'static [(&'static str, &'static str)] {
    &[
        ("dark", include_str!("../../themes/dark.toml")),
        ("light", include_str!("../../themes/light.toml")),
        ("contrast", include_str!("../../themes/contrast.toml")),
        ("colorblind", include_str!("../../themes/colorblind.toml")),
        ("terminal", include_str!("../../themes/terminal.toml")),
    ]
}

impl ThemeFile {
    /// Reads a theme; every meaning must be there, and nothing else.
    ///
    /// # Errors
    /// Names the file, and the meaning or colour that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        let problem = |what: String| Problem { place: name.to_owned(), what };
        let table: BTreeMap<String, String> =
            toml::from_str(text).map_err(|e| problem(format!("not a theme file: {}", e.message())))?;
        let mut colours = BTreeMap::new();
        for (meaning, word) in Meaning::ALL {
            let text = table.get(word).ok_or_else(|| problem(format!("the colour for `{word}` is missing")))?;
            let colour = parse_colour(text).ok_or_else(|| {
                problem(format!(
                    "`{word}`: \"{text}\" is not a colour; write \"#rrggbb\", \"default\" or one of {}",
                    ANSI.join(", ")
                ))
            })?;
            colours.insert(meaning, colour);
        }
        let known = |key: &String| Meaning::ALL.iter().any(|(_, word)| word == key);
        match table.keys().find(|key| !known(key)) {
            Some(key) => Err(problem(format!("unknown meaning `{key}`"))),
            None => Ok(Self { colours }),
        }
    }
}

fn parse_colour(text: &str) -> Option<Colour> {
    if text == "default" {
        return Some(Colour::Default);
    }
    if let Some(index) = ANSI.iter().position(|name| *name == text) {
        return u8::try_from(index).ok().map(Colour::Ansi);
    }
    let hex = text.strip_prefix('#').filter(|h| h.len() == 6 && h.is_ascii())?;
    let part = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    Some(Colour::Rgb(part(0)?, part(2)?, part(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours, WCAG 2.1.
    fn ratio(a: Colour, b: Colour) -> f64 {
        let luminance = |colour: Colour| {
            let Colour::Rgb(r, g, b) = colour else { return 0.0 };
            let linear = |c: u8| {
                let c = f64::from(c) / 255.0;
                if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn the_built_in_themes_are_complete() {
        for (name, text) in builtin_themes() {
            ThemeFile::parse(name, text).unwrap();
        }
        let contrast = ThemeFile::parse("contrast", include_str!("../../themes/contrast.toml")).unwrap();
        for (meaning, colour) in &contrast.colours {
            // The mark of the selected row is a background, and is read against the text.
            let on = if *meaning == Meaning::Selected { contrast.colours[&Meaning::Text] } else { Colour::Rgb(0, 0, 0) };
            assert!(ratio(*colour, on) >= 7.0, "{meaning:?} has {:.1}:1", ratio(*colour, on));
        }
        // WCAG AA, on the backgrounds that people have and on the selected row.
        let grounds = |name: &str| match name {
            "light" => [Colour::Rgb(255, 255, 255), Colour::Rgb(0xf0, 0xf0, 0xf0)],
            "contrast" => [Colour::Rgb(0, 0, 0), Colour::Rgb(0, 0, 0)],
            _ => [Colour::Rgb(0x10, 0x14, 0x18), Colour::Rgb(0x1e, 0x1e, 0x2e)],
        };
        for (name, text) in builtin_themes().iter().filter(|(name, _)| *name != "terminal") {
            let theme = ThemeFile::parse(name, text).unwrap();
            let selected = theme.colours[&Meaning::Selected];
            for (meaning, colour) in theme.colours.iter().filter(|(meaning, _)| **meaning != Meaning::Selected) {
                let border = *meaning == Meaning::Border;
                let (least, on) = if border { (3.0, None) } else { (4.5, Some(selected)) };
                for ground in grounds(name).into_iter().chain(on) {
                    assert!(ratio(*colour, ground) >= least, "{name}: {meaning:?} has {:.1}:1", ratio(*colour, ground));
                }
            }
        }
        let wrong = "text = \"#12\"";
        assert!(ThemeFile::parse("x", wrong).unwrap_err().to_string().contains("is not a colour"));
    }
}
