//! The verdict for people and for programs.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use models::Side;
use serde_json::{Value, json};

use crate::verdict::{Fate, Verdict};

/// What `verify` found, and under which circumstances.
#[derive(Debug, Clone)]
pub struct Report {
    /// The verdict on the rows.
    pub verdict: Verdict,
    /// Topics of the pipeline that there are not; they count as empty.
    pub absent: Vec<String>,
    /// Whether the joiner had read all that was there.
    pub caught_up: bool,
    /// Whether it was given time to.
    pub waited: bool,
    /// The window that was checked with.
    pub window: Duration,
}

impl Report {
    /// Whether all is well: nothing wrong, and, if the joiner was waited for, nothing left that it has not read.
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean() && (self.caught_up || !self.waited)
    }

    /// One line: what is wrong, or that nothing is.
    pub fn summary(&self) -> String {
        let counts = self.verdict.counts;
        let mut line = format!(
            "{} lost, {} twice, {} unaccounted for, {} wrong",
            counts.lost, counts.twice, counts.unaccounted, counts.wrong
        );
        if !self.verdict.is_conserved() {
            line.push_str("; the counts don't add up");
        }
        if self.waited && !self.caught_up {
            line.push_str("; the joiner has not caught up");
        }
        line
    }

    /// All of it, with at most `limit` offences.
    pub fn to_json(&self, limit: usize) -> Value {
        let verdict = &self.verdict;
        let fates = |count: &dyn Fn(Fate) -> u64| -> Value {
            Fate::ALL
                .into_iter()
                .map(|fate| (name(fate).to_owned(), Value::from(count(fate))))
                .collect()
        };
        let sides: serde_json::Map<_, _> = Side::ALL
            .into_iter()
            .map(|side| (side.to_string(), fates(&|fate| verdict.fates.of(side, fate))))
            .collect();
        json!({
            "clean": self.is_clean(),
            "lost": verdict.counts.lost,
            "twice": verdict.counts.twice,
            "unaccounted": verdict.counts.unaccounted,
            "wrong": verdict.counts.wrong,
            "rows_in": verdict.fates.all(),
            "open": verdict.fates.open(),
            "conserved": verdict.is_conserved(),
            "caught_up": self.caught_up,
            "window": humantime::format_duration(self.window).to_string(),
            "outputs": {
                "joined": verdict.joined,
                "unmatched": verdict.unmatched,
                "unmatched_sides": verdict.unmatched_sides,
                "rejected": verdict.rejected(),
                "rejected_by_reason": verdict.rejects,
            },
            "fates": fates(&|fate| verdict.fates.total(fate)),
            "fates_by_side": sides,
            "oldest_waiting_ms": verdict.oldest_waiting.map(models::EventTime::as_millis),
            "absent_topics": self.absent,
            "offences": verdict.offences.iter().take(limit).collect::<Vec<_>>(),
        })
    }

    /// All of it as text, with at most `limit` offences; `now` to tell how old the oldest open row is.
    pub fn to_text(&self, limit: usize, now: SystemTime) -> String {
        let mut text = String::new();
        self.write(&mut text, limit, now).expect("writing to a String does not fail");
        text
    }

    fn write(&self, out: &mut String, limit: usize, now: SystemTime) -> fmt::Result {
        let verdict = &self.verdict;
        let fates = &verdict.fates;
        for topic in &self.absent {
            writeln!(out, "there is no topic {topic}; taken as empty")?;
        }
        writeln!(out, "{:<24}{:>11}{:>11}{:>11}{:>12}", "", "trips", "drivers", "riders", "all")?;
        let mut row = |label: &str, of: &dyn Fn(Side) -> u64| {
            let [a, b, c] = Side::ALL.map(of);
            writeln!(out, "{label:<24}{a:>11}{b:>11}{c:>11}{:>12}", a + b + c)
        };
        row("rows in", &|side| fates.rows(side))?;
        for fate in Fate::ALL {
            // The usual ones always, the others when there are some.
            if fates.total(fate) > 0 || (fate as usize) <= Fate::Rejected as usize {
                row(&format!("  {}", label(fate)), &|side| fates.of(side, fate))?;
            }
        }
        writeln!(
            out,
            "\n{} rows in = 3 x {} joined + {} in {} unmatched + {} duplicates + {} rejected + {} open",
            fates.all(),
            verdict.joined,
            verdict.unmatched_sides,
            verdict.unmatched,
            fates.total(Fate::Duplicate),
            fates.total(Fate::Rejected),
            fates.open(),
        )?;
        if !verdict.rejects.is_empty() {
            let reasons: Vec<String> =
                verdict.rejects.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            writeln!(out, "rejected: {}", reasons.join(", "))?;
        }
        self.write_open(out, now)?;
        let unjudged = fates.total(Fate::Unjudged) + verdict.unjudged_outputs;
        if unjudged > 0 {
            writeln!(
                out,
                "{unjudged} rows can't be judged: retention has taken those that would tell"
            )?;
        }
        for offence in verdict.offences.iter().take(limit) {
            let trip_id = offence.trip_id.as_deref().unwrap_or("-");
            writeln!(out, "{:?}: trip {trip_id}: {}", offence.kind, offence.why)?;
        }
        let counts = verdict.counts;
        let all = counts.lost + counts.twice + counts.unaccounted + counts.wrong;
        let more = all.saturating_sub(limit as u64);
        if more > 0 {
            writeln!(out, "... and {more} more (--limit)")?;
        }
        writeln!(out, "{}", self.summary())
    }

    fn write_open(&self, out: &mut String, now: SystemTime) -> fmt::Result {
        let fates = &self.verdict.fates;
        if !self.caught_up {
            writeln!(out, "the joiner has not read all that is there; is it running?")?;
        }
        if let Some(oldest) = self.verdict.oldest_waiting {
            let at = Duration::from_millis(oldest.as_millis().max(0).cast_unsigned());
            let age = now.duration_since(UNIX_EPOCH + at).unwrap_or_default();
            writeln!(
                out,
                "{} rows wait for the rest of their trip, the oldest for {} (the window is {})",
                fates.total(Fate::Waiting),
                humantime::format_duration(Duration::from_secs(age.as_secs())),
                humantime::format_duration(self.window),
            )?;
        }
        Ok(())
    }
}

const fn name(fate: Fate) -> &'static str {
    match fate {
        Fate::Joined => "joined",
        Fate::Unmatched => "unmatched",
        Fate::Duplicate => "duplicate",
        Fate::Rejected => "rejected",
        Fate::Unread => "unread",
        Fate::Waiting => "waiting",
        Fate::Missing => "missing",
        Fate::Unjudged => "unjudged",
    }
}

const fn label(fate: Fate) -> &'static str {
    match fate {
        Fate::Joined => "in a joined row",
        Fate::Unmatched => "in an unmatched row",
        Fate::Duplicate => "duplicate",
        Fate::Rejected => "rejected",
        Fate::Unread => "open: not read yet",
        Fate::Waiting => "open: waiting",
        Fate::Missing => "MISSING",
        Fate::Unjudged => "can't be judged",
    }
}
