//! One answer of a correct history, changed: it may still be explained by some order, or not.

use nanshe_conformance::history::{Answer, History, Operation, Outcome, Record, Seen};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What is done to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mutation {
    /// It shows another message instead of one.
    Swapped,
    /// It leaves one out.
    Dropped,
    /// It shows one that another answer showed, too.
    Added,
    /// Two change places.
    Turned,
    /// Another outcome: refused instead of done, done instead of refused, gone instead of there.
    Outcome,
}

pub(super) const MUTATIONS: [Mutation; 5] = [
    Mutation::Swapped,
    Mutation::Dropped,
    Mutation::Added,
    Mutation::Turned,
    Mutation::Outcome,
];

/// Changes one answer of the history, if there is one that can be changed so. Returns which.
pub(super) fn mutate(
    history: &mut History,
    mutation: Mutation,
    random: &mut ChaCha8Rng,
) -> Option<usize> {
    let known = known(history);
    let places: Vec<usize> = (0..history.records.len()).collect();
    let fit = places.into_iter().filter(|&place| {
        let mut record = history.records[place].clone();
        // Whether it fits does not depend on what is drawn.
        change(&mut record, mutation, &known, &mut random.clone()).is_some()
    });
    let fit: Vec<usize> = fit.collect();
    if fit.is_empty() {
        return None;
    }
    let place = fit[random.random_range(0..fit.len())];
    change(&mut history.records[place], mutation, &known, random)?;
    Some(place)
}

/// Every message that an answer shows or names, once each.
fn known(history: &History) -> Vec<Seen> {
    let mut known: Vec<Seen> = Vec::new();
    for record in &history.records {
        if let (Operation::Post { messages, .. }, Some(Answer::Post { ids })) =
            (&record.operation, record.answer())
        {
            let posted = messages.iter().zip(ids);
            known.extend(posted.map(|(posted, id)| Seen::new(id.clone(), posted.token.clone())));
        }
        known.extend(
            record
                .answer()
                .map_or(&[][..], Answer::seen)
                .iter()
                .cloned(),
        );
    }
    known.sort_by(|one, other| one.token.cmp(&other.token));
    known.dedup_by(|one, other| one.token == other.token);
    known
}

fn change(
    record: &mut Record,
    mutation: Mutation,
    known: &[Seen],
    random: &mut ChaCha8Rng,
) -> Option<()> {
    if mutation == Mutation::Outcome {
        return change_outcome(record);
    }
    let limit = record.operation.limit();
    let Outcome::Ok(answer) = &mut record.outcome else {
        return None;
    };
    let seen = seen_mut(answer)?;
    let others = known
        .iter()
        .filter(|other| seen.iter().all(|seen| seen.token != other.token));
    let others: Vec<&Seen> = others.collect();
    let place = if seen.is_empty() {
        0
    } else {
        random.random_range(0..seen.len())
    };
    match mutation {
        Mutation::Swapped if !seen.is_empty() && !others.is_empty() => {
            seen[place] = others[random.random_range(0..others.len())].clone();
        }
        // A claim of nothing is not granted: that would be another answer.
        Mutation::Dropped if seen.len() > 1 => drop(seen.remove(place)),
        Mutation::Added if !seen.is_empty() && !others.is_empty() => {
            let has_room = limit.is_none_or(|limit| u64::try_from(seen.len()).unwrap() < limit);
            let added = others[random.random_range(0..others.len())].clone();
            has_room.then(|| seen.push(added))?;
        }
        Mutation::Turned if seen.len() > 1 => {
            let other = (place + 1) % seen.len();
            seen.swap(place, other);
        }
        Mutation::Swapped
        | Mutation::Dropped
        | Mutation::Added
        | Mutation::Turned
        | Mutation::Outcome => return None,
    }
    Some(())
}

fn seen_mut(answer: &mut Answer) -> Option<&mut Vec<Seen>> {
    match answer {
        Answer::Claim { messages, .. }
        | Answer::Pop { messages }
        | Answer::GetMany { messages }
        | Answer::List { messages, .. }
        | Answer::ClaimGet {
            messages: Some(messages),
        } => Some(messages),
        Answer::ClaimGet { messages: None }
        | Answer::Post { .. }
        | Answer::Get { .. }
        | Answer::Renew
        | Answer::Release
        | Answer::Delete
        | Answer::BulkDelete
        | Answer::Stats { .. }
        | Answer::Purge
        | Answer::CreateQueue { .. }
        | Answer::SetMetadata
        | Answer::DeleteQueue
        | Answer::Subscribe { .. } => None,
    }
}

fn change_outcome(record: &mut Record) -> Option<()> {
    let refused = |status| Outcome::Fail {
        status: Some(status),
    };
    record.outcome = match (&record.operation, &record.outcome) {
        (Operation::Renew { .. }, Outcome::Ok(_)) => refused(404),
        (Operation::Delete { .. }, Outcome::Ok(_)) => refused(403),
        (Operation::Post { .. }, Outcome::Ok(_)) => refused(400),
        (Operation::Renew { .. }, Outcome::Fail { status: Some(404) }) => {
            Outcome::Ok(Answer::Renew)
        }
        (Operation::Delete { .. }, Outcome::Fail { status: Some(_) }) => {
            Outcome::Ok(Answer::Delete)
        }
        (_, Outcome::Ok(answer)) => Outcome::Ok(nothing_instead(answer)?),
        (_, Outcome::Fail { .. } | Outcome::Info) => return None,
    };
    Some(())
}

/// The answer that shows nothing, in place of one that shows something.
fn nothing_instead(answer: &Answer) -> Option<Answer> {
    let is_shown = !answer.seen().is_empty();
    let messages = Vec::new();
    let nothing = if matches!(answer, Answer::Claim { .. }) {
        let claim = None;
        Answer::Claim { claim, messages }
    } else if matches!(answer, Answer::Pop { .. }) {
        Answer::Pop { messages }
    } else if matches!(answer, Answer::Get { .. }) {
        Answer::Get { message: None }
    } else if matches!(answer, Answer::GetMany { .. }) {
        Answer::GetMany { messages }
    } else if matches!(answer, Answer::ClaimGet { .. }) {
        Answer::ClaimGet { messages: None }
    } else {
        return None;
    };
    is_shown.then_some(nothing)
}
