//! Parts of messages: a row cell by cell, as it comes, and the contents of the others from left to right. Pure.

use super::refused::{Refused, malformed};

/// A row on its way: how many cells are to come, and how much of the current one.
#[derive(Debug, Default)]
pub(super) struct Row {
    number: [u8; 4],
    have: usize,
    /// `None` until the count of cells is known.
    cells: Option<usize>,
    cell: usize,
}

impl Row {
    /// Takes a part of it; gives how many cells began.
    pub(super) fn walk(&mut self, mut bytes: &[u8], columns: Option<usize>) -> Result<usize, Refused> {
        let mut began = 0;
        while !bytes.is_empty() {
            if self.cell > 0 {
                let n = self.cell.min(bytes.len());
                self.cell -= n;
                bytes = &bytes[n..];
                continue;
            }
            if self.cells == Some(0) {
                return Err(malformed(true));
            }
            self.number[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            match self.cells {
                None if self.have == 2 => {
                    let count = usize::from(u16::from_be_bytes([self.number[0], self.number[1]]));
                    if columns != Some(count) {
                        return Err(malformed(true));
                    }
                    (self.cells, self.have) = (Some(count), 0);
                }
                Some(left) if self.have == 4 => {
                    // -1 is NULL.
                    let length = i32::from_be_bytes(self.number);
                    self.cell = match usize::try_from(length) {
                        Ok(length) => length,
                        Err(_) if length == -1 => 0,
                        Err(_) => return Err(malformed(true)),
                    };
                    (self.cells, self.have) = (Some(left - 1), 0);
                    began += 1;
                }
                _ => {}
            }
        }
        Ok(began)
    }

    pub(super) fn whole(&self) -> bool {
        self.cells == Some(0) && self.cell == 0 && self.have == 0
    }
}

/// Contents that are read from left to right.
pub(super) struct Body<'a>(pub(super) &'a [u8]);

impl<'a> Body<'a> {
    pub(super) fn skip(&mut self, n: usize) -> bool {
        let rest = self.0.get(n..);
        self.0 = rest.unwrap_or_default();
        rest.is_some()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// A text up to its zero.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(text)
    }

    /// Fields of an error or a notice: a letter and a text each, and a zero behind the last.
    pub(super) fn fields(&mut self) -> bool {
        loop {
            match self.0.split_first() {
                Some((0, rest)) => return rest.is_empty(),
                Some((_, rest)) => self.0 = rest,
                None => return false,
            }
            if self.text().is_none() {
                return false;
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
