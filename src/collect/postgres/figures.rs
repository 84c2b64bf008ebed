//! The readings of the cluster's figures: one round trip for all of them; what the server refuses is asked alone, and the rest goes on
//! without it.

use std::collections::BTreeMap;

use crate::model::postgres::{Cluster, RoleSetting, SettingRow};

use super::cluster::{NOTHING, PARTS, SELDOM, parse, sql};
use super::columns::Columns;
use super::session::{Answers, Session};
use super::trouble::Trouble;

/// Settings come with one reading out of so many: their view costs more than all the others.
const SETTINGS_EACH: u32 = 12;

/// What is kept from one reading to the next.
#[derive(Debug, Default)]
pub struct Figures {
    read: u32,
    /// When the server had read its configuration, as it said last.
    loaded_us: Option<i64>,
    /// It has read it again since the settings were read.
    reloaded: bool,
    /// As read last.
    settings: BTreeMap<String, SettingRow>,
    role_settings: Vec<RoleSetting>,
    /// What was refused when it was asked last, by its place in [`PARTS`].
    refused: BTreeMap<usize, Trouble>,
}

/// One reading.
pub struct Reading {
    /// The figures.
    pub cluster: Cluster,
    /// What was refused: where it comes from, and what the server said.
    pub refused: Vec<(&'static str, Trouble)>,
    /// What it cost the server, ms.
    pub cost_ms: f64,
}

impl Figures {
    /// Reads them. What was refused before is asked again each time, alone: once it is granted, it is known at the next reading.
    ///
    /// # Errors
    /// What broke the connection, or what the server says to every one of the statements.
    pub async fn read(&mut self, session: &mut Session, known: &Columns) -> Result<Reading, Trouble> {
        let seldom = self.read.is_multiple_of(SETTINGS_EACH) || self.reloaded;
        self.read += 1;
        let statements = sql(known);
        let due = |at: usize| seldom || !SELDOM.contains(&at);
        let kept = |at: usize| due(at) && !self.refused.contains_key(&at);
        let batch: Vec<String> =
            (0..).zip(&statements).map(|(at, s)| if kept(at) { s.as_str() } else { NOTHING }.to_owned()).collect();
        let (mut answers, mut cost_ms) = session.each(&batch).await?;
        let again: Vec<usize> = self.refused.keys().copied().collect();
        for at in &again {
            let (mut alone, cost) = session.each(&statements[*at..=*at]).await?;
            answers[*at] = alone.pop().unwrap_or_else(|| Ok(Vec::new()));
            cost_ms += cost;
        }
        // What was not due now and not refused before is as it was.
        let fresh = SELDOM.map(|at| (seldom || self.refused.contains_key(&at)) && answers[at].is_ok());
        let mut rows: Answers = Vec::new();
        self.refused.clear();
        for (at, answer) in answers.into_iter().enumerate() {
            rows.push(answer.unwrap_or_else(|trouble| {
                self.refused.insert(at, trouble);
                Vec::new()
            }));
        }
        if self.refused.len() == statements.len()
            && let Some(trouble) = self.refused.values().next()
        {
            return Err(trouble.clone());
        }
        let mut cluster = parse(&rows);
        // Behind a pooler each server connection has read it at a time of its own: what counts is the newest.
        self.reloaded = self.loaded_us.is_some() && cluster.loaded_us > self.loaded_us;
        self.loaded_us = self.loaded_us.max(cluster.loaded_us);
        cluster.loaded_us = self.loaded_us;
        let [settings, roles] = fresh;
        if settings {
            self.settings.clone_from(&cluster.settings);
        } else {
            cluster.settings.clone_from(&self.settings);
        }
        if roles {
            self.role_settings.clone_from(&cluster.role_settings);
        } else {
            cluster.role_settings.clone_from(&self.role_settings);
        }
        let refused = self.refused.iter().map(|(at, trouble)| (PARTS[*at].label, trouble.clone())).collect();
        for (at, trouble) in &self.refused {
            let part = PARTS[*at];
            for origin in part.origins {
                cluster.refused.entry((*origin).to_owned()).or_insert_with(|| trouble.lack(part.label));
            }
        }
        Ok(Reading { cluster, refused, cost_ms })
    }
}
