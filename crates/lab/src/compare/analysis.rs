//! What the figures say, in words. Each sentence is chosen by the numbers that are in it: none says what this run does
//! not show.

use std::time::Duration;

use super::figures::{
    cpu_ms_per_s, enumerate, fates, peak_memory_mb, percent, real_period, recovery, three_digits,
    time,
};
use super::run::{Outcome, Run};
use super::scenario::{CRON_POLLING, Contender, MAX_IN_FLIGHT};

/// A part of the trips that is worth a word.
const WORTH_A_WORD: f64 = 0.005;
/// What is so much more than something else is called more; less is called about the same.
const CLEARLY: f64 = 1.25;

/// What a scenario shows.
pub(super) fn of(outcome: &Outcome) -> Vec<String> {
    let mut found = vec![delivered(outcome)];
    found.extend(outcome.runs.iter().filter_map(|run| shortfall(run, outcome)));
    found.push(punctuality(outcome));
    found.extend(cron_polling(outcome));
    found.push(latencies(outcome));
    found.extend(omission(outcome));
    found.extend(outcome.runs.iter().filter_map(failures));
    found.extend(recoveries(outcome));
    found.extend(most_at_once(outcome));
    found
}

/// What the schedulers cost, where each had the machine for itself or all shared it alike.
pub(super) fn costs(outcome: &Outcome) -> Vec<String> {
    let cpu = ranked(outcome, cpu_ms_per_s, |ms| format!("{} ms", three_digits(ms)));
    let memory = ranked(outcome, peak_memory_mb, |mb| format!("{} MB", three_digits(mb)));
    let cpu = cpu.map(|list| format!("CPU time in a second, least first: {list}."));
    let memory = memory.map(|list| format!("Memory at its peak, least first: {list}."));
    cpu.into_iter().chain(memory).collect()
}

/// The whole in a few sentences.
pub(super) fn in_short(outcomes: &[Outcome]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(steady) = outcomes.first() {
        found.extend(most_punctual(steady));
    }
    let whole: Vec<f64> =
        Contender::ALL.into_iter().map(|contender| confirmed_of_all(contender, outcomes)).collect();
    let parts = Contender::ALL.into_iter().zip(&whole);
    let list: Vec<_> =
        parts.map(|(contender, part)| format!("{} {}", contender.name(), percent(*part))).collect();
    found.push(format!(
        "Over all scenarios, of the trips that the load asks for were confirmed: {}.",
        enumerate(&list)
    ));
    found.extend(outcomes.iter().filter_map(not_started));
    found.extend(worst_omission(outcomes));
    found
}

fn confirmed_of_all(contender: Contender, outcomes: &[Outcome]) -> f64 {
    let runs = outcomes.iter().flat_map(|outcome| &outcome.runs);
    let confirmed: u64 = runs
        .filter(|run| run.contender == contender)
        .map(|run| run.report.counts.trips.confirmed)
        .sum();
    confirmed as f64 / outcomes.iter().map(|outcome| outcome.scenario.asked()).sum::<f64>()
}

/// `a 1 ms, b 2 ms and c 3 ms`, least first; none if that wasn't measured.
fn ranked(
    outcome: &Outcome,
    amount: fn(&Run) -> Option<f64>,
    text: impl Fn(f64) -> String,
) -> Option<String> {
    let mut amounts: Vec<_> =
        outcome.runs.iter().filter_map(|run| Some((amount(run)?, run.contender))).collect();
    amounts.sort_by(|left, right| left.0.total_cmp(&right.0));
    let parts: Vec<_> = amounts
        .into_iter()
        .map(|(amount, contender)| format!("{} {}", contender.name(), text(amount)))
        .collect();
    (!parts.is_empty()).then(|| enumerate(&parts))
}

fn delivered(outcome: &Outcome) -> String {
    let mut runs: Vec<_> = outcome.runs.iter().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.report.counts.trips.confirmed));
    let parts: Vec<_> = runs
        .into_iter()
        .map(|run| {
            let confirmed = run.report.counts.trips.confirmed;
            let part = percent(confirmed as f64 / outcome.scenario.asked());
            format!("{} had {confirmed} confirmed ({part})", run.contender.name())
        })
        .collect();
    format!(
        "Of {} trips asked for in {}, {}.",
        three_digits(outcome.scenario.asked()),
        time(outcome.scenario.duration),
        enumerate(&parts)
    )
}

/// Why trips are missing.
fn shortfall(run: &Run, outcome: &Outcome) -> Option<String> {
    let counts = &run.report.counts;
    let parts = fates(run, &outcome.scenario);
    let name = run.contender.name();
    let mut why = Vec::new();
    if parts.never_due > WORTH_A_WORD {
        let period = run.contender.period();
        let one_tick = period.as_secs_f64() / outcome.scenario.duration.as_secs_f64();
        why.push(match run.contender {
            Contender::Cron if parts.never_due < one_tick * 1.5 => format!(
                "one tick ({}) was not due within the time: the first one comes a period after the start",
                percent(parts.never_due)
            ),
            Contender::ClosedLoop => {
                let real = real_period(run).map_or_else(|| "no".to_owned(), time);
                format!(
                    "{} never came due: it pauses for {} after each answer, and so started a request each {real}",
                    percent(parts.never_due),
                    time(period),
                )
            }
            Contender::Cron | Contender::Loop => {
                format!("{} never came due", percent(parts.never_due))
            }
        });
    }
    if parts.skipped > WORTH_A_WORD {
        let reasons = counts.skipped.iter().map(|(reason, n)| format!("{} {n}", reason.as_str()));
        let mut reasons: Vec<_> = reasons.collect();
        if counts.dropped_at_shutdown > 0 {
            reasons.push(format!("waiting at the end {}", counts.dropped_at_shutdown));
        }
        why.push(format!("{} were skipped ({})", percent(parts.skipped), reasons.join(", ")));
    }
    if parts.failed > WORTH_A_WORD {
        why.push(format!("{} were in requests that failed", percent(parts.failed)));
    }
    (!why.is_empty()).then(|| format!("What {name} lacks: {}.", why.join("; ")))
}

fn punctuality(outcome: &Outcome) -> String {
    let parts: Vec<_> = outcome
        .runs
        .iter()
        .map(|run| {
            let lag = &run.report.lag;
            let [half, most] = [50.0, 99.0].map(|percent| time(lag.percentile(percent)));
            let late = match run.report.counts.late {
                0 => "none late".to_owned(),
                late => format!("{late} of {} late", run.report.counts.started),
            };
            format!("{} {half} at p50 and {most} at p99, {late}", run.contender.name())
        })
        .collect();
    format!("Starts behind their intended instants: {}.", parts.join("; "))
}

fn most_punctual(outcome: &Outcome) -> Option<String> {
    let p99 = |run: &Run| run.report.lag.percentile(99.0);
    let mut runs: Vec<_> = outcome.runs.iter().filter(|run| run.report.lag.count() > 0).collect();
    runs.sort_by_key(|run| p99(run));
    let (first, last) = (runs.first()?, runs.last()?);
    let [best, worst] = [p99(first), p99(last)].map(|lag| lag.max(Duration::from_micros(1)));
    let factor = worst.as_secs_f64() / best.as_secs_f64();
    let [names, times] = [
        [first.contender.name(), last.contender.name()].map(str::to_owned),
        [time(best), time(worst)],
    ];
    Some(if factor < CLEARLY {
        format!("All start equally close to their intended instants, within {} at p99.", times[1])
    } else {
        format!(
            "Closest to its intended starts is {}, within {} at p99 while the API answers; farthest is {}, within {}: \
             {} times as far.",
            names[0],
            times[0],
            names[1],
            times[1],
            three_digits(factor)
        )
    })
}

fn cron_polling(outcome: &Outcome) -> Option<String> {
    let cron = outcome.runs.iter().find(|run| run.contender == Contender::Cron)?;
    let lag = &cron.report.lag;
    if lag.count() == 0 {
        return None;
    }
    let step = time(CRON_POLLING);
    let worst = time(lag.max());
    // A lag that reads like the step is not called longer.
    Some(if lag.max() <= CRON_POLLING || worst == step {
        format!(
            "cron looks each {step} whether a job is due: its largest lag, {worst}, lies within one such step."
        )
    } else {
        format!(
            "cron looks each {step} whether a job is due, but its largest lag, {worst}, is longer than one such step."
        )
    })
}

fn latencies(outcome: &Outcome) -> String {
    let parts: Vec<_> = outcome
        .runs
        .iter()
        .map(|run| {
            let latency = &run.report.latency;
            if latency.count() == 0 {
                return format!("{} had no answer", run.contender.name());
            }
            let [half, most] = [50.0, 99.0].map(|percent| time(latency.percentile(percent)));
            // Most of a latency may be the wait for the start.
            let service_time = run.report.service_time.percentile(50.0);
            let waited =
                latency.percentile(50.0).as_secs_f64() > service_time.as_secs_f64() * CLEARLY;
            let alone = if waited {
                format!(" (half of them took only {} once started)", time(service_time))
            } else {
                String::new()
            };
            format!("{} {half} at p50 and {most} at p99{alone}", run.contender.name())
        })
        .collect();
    format!("From the intended start to the answer: {}.", parts.join("; "))
}

/// Coordinated omission, Gil Tene's name for a load generator that waits for the slow answers which it should count.
fn omission(outcome: &Outcome) -> Option<String> {
    let of = |contender| outcome.runs.iter().find(|run| run.contender == contender);
    let (open, closed) = (of(Contender::Loop)?, of(Contender::ClosedLoop)?);
    let lost = fates(closed, &outcome.scenario).never_due;
    if lost <= 0.05 || closed.report.latency.count() == 0 {
        return None;
    }
    let counts = &closed.report.counts;
    let p99 = |run: &Run| run.report.latency.percentile(99.0);
    let behind = if counts.skipped_total() + counts.failed_total() == 0 {
        "its own report shows nothing of it, no tick skipped and no request failed"
    } else {
        "its own report counts none of them as skipped or failed"
    };
    let compared = if open.report.latency.count() == 0 {
        "loop had no answer at all".to_owned()
    } else if p99(open).as_secs_f64() > p99(closed).as_secs_f64() * CLEARLY {
        format!(
            "its p99 latency of {} looks better than the {} of loop, which asked all the same",
            time(p99(closed)),
            time(p99(open))
        )
    } else {
        format!("its p99 latency is {}, that of loop {}", time(p99(closed)), time(p99(open)))
    };
    Some(format!(
        "Coordinated omission: closed loop left out {} of the trips by waiting for answers; {behind}; {compared}.",
        percent(lost)
    ))
}

/// The scenario in which most was left out.
fn worst_omission(outcomes: &[Outcome]) -> Option<String> {
    let lost = |outcome: &&Outcome| {
        let closed = outcome.runs.iter().find(|run| run.contender == Contender::ClosedLoop);
        closed.map_or(0.0, |run| fates(run, &outcome.scenario).never_due)
    };
    let worst = outcomes.iter().max_by(|left, right| lost(left).total_cmp(&lost(right)))?;
    Some(format!("{}. {}", worst.scenario.title, omission(worst)?))
}

/// Who skipped how many ticks of a scenario, and failed how many requests; none if nobody did.
fn not_started(outcome: &Outcome) -> Option<String> {
    let part = |run: &Run| {
        let counts = &run.report.counts;
        let (skipped, failed) = (counts.skipped_total(), counts.failed_total() + counts.cut_off);
        let what = match (skipped, failed) {
            (0, 0) => return None,
            (skipped, 0) => format!("skipped {skipped} of {} ticks", counts.scheduled),
            (0, failed) => format!("failed in {failed} of {} requests", counts.started),
            (skipped, failed) => format!(
                "skipped {skipped} of {} ticks and failed in {failed} of {} requests",
                counts.scheduled, counts.started
            ),
        };
        Some(format!("{} {what}", run.contender.name()))
    };
    let parts: Vec<_> = outcome.runs.iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| format!("{}. {}.", outcome.scenario.title, parts.join("; ")))
}

fn failures(run: &Run) -> Option<String> {
    let counts = &run.report.counts;
    if counts.failed_total() + counts.cut_off + counts.retried == 0 {
        return None;
    }
    let reasons = counts.failed.iter().map(|(reason, n)| format!("{reason} {n}"));
    let reasons: Vec<_> = reasons.collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let uncertain = match counts.trips.uncertain {
        0 => "no trip is uncertain".to_owned(),
        n => format!("{n} trips are uncertain: they may be in Kafka or not"),
    };
    Some(format!(
        "{}: {} of {} requests failed{reasons}, after {} retries; {uncertain}.",
        run.contender.name(),
        counts.failed_total() + counts.cut_off,
        counts.started,
        counts.retried,
    ))
}

fn recoveries(outcome: &Outcome) -> Vec<String> {
    let end = outcome.scenario.duration.as_secs_f64();
    let over = outcome.bands.iter().filter(|band| band.to_s < end);
    over.map(|band| {
        let parts: Vec<_> = outcome
            .runs
            .iter()
            .map(|run| match recovery(run, band.to_s) {
                Some(after) => {
                    format!("{} {}", run.contender.name(), time(Duration::from_secs_f64(after)))
                }
                None => format!("{} never", run.contender.name()),
            })
            .collect();
        format!(
            "First confirmed answer after the end of \"{}\": {}.",
            band.label,
            enumerate(&parts)
        )
    })
    .collect()
}

fn most_at_once(outcome: &Outcome) -> Option<String> {
    let most: Vec<_> = outcome
        .runs
        .iter()
        .filter_map(|run| Some((run.most_at_once?, run.contender.name())))
        .collect();
    let worst = most.iter().map(|(most, _)| *most).max()?;
    let parts: Vec<_> = most.iter().map(|(most, name)| format!("{name} {most}")).collect();
    let verdict = if worst <= MAX_IN_FLIGHT {
        format!("never more than the {MAX_IN_FLIGHT} allowed")
    } else {
        format!("more than the {MAX_IN_FLIGHT} allowed")
    };
    Some(format!("Requests at once, at most: {}; {verdict}.", enumerate(&parts)))
}

#[cfg(test)]
mod tests;
