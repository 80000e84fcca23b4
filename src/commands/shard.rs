//! Which share of the seeds is for this machine: `--shard`, or what a batch system says in variables.

use anyhow::Context as _;
use nanshe_conformance::suite::Shard;

use crate::args::SeedShard;

/// What Slurm tells each task of an array.
const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";

/// What Kubernetes tells each pod of an indexed job, from 0. It tells nobody how many there are.
const KUBERNETES_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Reads a variable of the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where a batch system's variables are read"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A share, and who said so, if it was not the command line.
pub(super) type Chosen = (Shard, Option<&'static str>);

/// The share that `given` says, or else the variables that `read` knows; the whole if neither does.
pub(super) fn choose(
    given: Option<SeedShard>,
    read: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Chosen> {
    let count = match given {
        Some(SeedShard::Of(shard)) => return Ok((shard, None)),
        Some(SeedShard::Count(count)) => Some(count),
        None => None,
    };
    let slurm = slurm(read)?;
    let kubernetes = number(KUBERNETES_INDEX, read)?;
    let (source, number, said) = match (slurm, kubernetes) {
        (Some(_), Some(_)) => anyhow::bail!(
            "{SLURM_ID} and {KUBERNETES_INDEX} are both set: say which share this is with --shard K/N"
        ),
        (Some((number, count)), None) => (SLURM_ID, number, count),
        (None, Some(index)) => (KUBERNETES_INDEX, index.saturating_add(1), None),
        (None, None) if count.is_none() => return Ok((Shard::WHOLE, None)),
        (None, None) => anyhow::bail!(
            "--shard: neither {SLURM_ID} nor {KUBERNETES_INDEX} is set, which would say which share this \
             is: give --shard K/N"
        ),
    };
    let count = match (count, said) {
        (Some(given), Some(said)) if given != said => anyhow::bail!(
            "--shard: says that there are {given} shares, but {SLURM_COUNT} says {said}"
        ),
        (Some(count), _) | (None, Some(count)) => count,
        (None, None) => anyhow::bail!(
            "{source} is set, but no variable says of how many: give --shard /N, or --shard 1/1 for all seeds"
        ),
    };
    let shard = Shard::new(number, count)
        .with_context(|| format!("{source}: is share {number}, but there are {count} only"))?;
    Ok((shard, Some(source)))
}

/// Which task of an array this is, from 1, and of how many, if that is said.
fn slurm(read: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<(usize, Option<usize>)>> {
    let Some(id) = number(SLURM_ID, read)? else {
        return Ok(None);
    };
    let first = number(SLURM_MIN, read)?
        .with_context(|| format!("{SLURM_ID} is set, but {SLURM_MIN} is not: give --shard K/N"))?;
    // Left out where it is 1.
    let step = number(SLURM_STEP, read)?.unwrap_or(1).max(1);
    let before = id
        .checked_sub(first)
        .with_context(|| format!("{SLURM_ID}: is {id}, but {SLURM_MIN} says {first}"))?;
    anyhow::ensure!(
        before.is_multiple_of(step),
        "{SLURM_ID}: is {id}, which no steps of {step} from {first} lead to: give --shard K/N"
    );
    Ok(Some((before / step + 1, number(SLURM_COUNT, read)?)))
}

fn number(name: &str, read: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<usize>> {
    let Some(text) = read(name) else {
        return Ok(None);
    };
    // Anything beyond that is no count of machines, and could not be added to.
    let number = text.parse::<u32>().ok();
    let number = number.and_then(|number| usize::try_from(number).ok());
    let number = number.with_context(|| format!("{name}: is `{text}`, expected a number"))?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share that `given` and `variables` lead to, or why there is none.
    fn chosen(given: Option<&str>, variables: &[(&str, &str)]) -> String {
        let read = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let given = given.map(|text| text.parse().unwrap());
        match choose(given, &read) {
            Ok((shard, None)) => shard.to_string(),
            Ok((shard, Some(source))) => format!("{shard} by {source}"),
            Err(error) => format!("{error:#}"),
        }
    }

    const THIRD_OF_FOUR: [(&str, &str); 3] =
        [(SLURM_ID, "12"), (SLURM_MIN, "10"), (SLURM_COUNT, "4")];

    #[test]
    fn without_option_and_variables_all_seeds_are_for_this_machine() {
        assert_eq!(chosen(None, &[]), "1/1");
        assert_eq!(chosen(None, &[("HOME", "/"), (SLURM_COUNT, "4")]), "1/1");
    }

    #[test]
    fn batch_systems_say_which_share_it_is() {
        assert_eq!(chosen(None, &THIRD_OF_FOUR), "3/4 by SLURM_ARRAY_TASK_ID");
        let stepped = [(SLURM_ID, "8"), (SLURM_MIN, "0"), (SLURM_STEP, "4")];
        let stepped = [&stepped[..], &[(SLURM_COUNT, "4")]].concat();
        assert_eq!(chosen(None, &stepped), "3/4 by SLURM_ARRAY_TASK_ID");
        let index = [(KUBERNETES_INDEX, "0")];
        let expected = "1/5 by JOB_COMPLETION_INDEX";
        assert_eq!(chosen(Some("/5"), &index), expected);
        let expected = "3/4 by SLURM_ARRAY_TASK_ID";
        assert_eq!(chosen(Some("/4"), &THIRD_OF_FOUR), expected);
    }

    #[test]
    fn command_line_wins() {
        assert_eq!(chosen(Some("1/2"), &THIRD_OF_FOUR), "1/2");
        let nonsense = [(SLURM_ID, "x"), (KUBERNETES_INDEX, "-1")];
        assert_eq!(chosen(Some("1/1"), &nonsense), "1/1");
    }

    #[test]
    fn what_is_missing_or_contradicts_itself_is_refused_with_what_would_help() {
        let index = [(KUBERNETES_INDEX, "3")];
        let both = [&THIRD_OF_FOUR[..], &index].concat();
        let beyond = [(SLURM_ID, "14"), (SLURM_MIN, "10"), (SLURM_COUNT, "4")];
        let before = [(SLURM_ID, "9"), (SLURM_MIN, "10"), (SLURM_COUNT, "4")];
        let between = [(SLURM_ID, "3"), (SLURM_MIN, "0"), (SLURM_STEP, "2")];
        for (given, variables, expected) in [
            (
                None,
                &index[..],
                "JOB_COMPLETION_INDEX is set, but no variable says of how many: give --shard /N, or --shard 1/1 for all seeds",
            ),
            (
                None,
                &both,
                "SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are both set: say which share this is with --shard K/N",
            ),
            (
                None,
                &beyond,
                "SLURM_ARRAY_TASK_ID: is share 5, but there are 4 only",
            ),
            (
                None,
                &before,
                "SLURM_ARRAY_TASK_ID: is 9, but SLURM_ARRAY_TASK_MIN says 10",
            ),
            (
                None,
                &between,
                "SLURM_ARRAY_TASK_ID: is 3, which no steps of 2 from 0 lead to: give --shard K/N",
            ),
            (
                None,
                &[(SLURM_ID, "1")],
                "SLURM_ARRAY_TASK_ID is set, but SLURM_ARRAY_TASK_MIN is not: give --shard K/N",
            ),
            (
                None,
                &[(KUBERNETES_INDEX, "-1")],
                "JOB_COMPLETION_INDEX: is `-1`, expected a number",
            ),
            (
                Some("/3"),
                &index,
                "JOB_COMPLETION_INDEX: is share 4, but there are 3 only",
            ),
            (
                Some("/3"),
                &THIRD_OF_FOUR,
                "--shard: says that there are 3 shares, but SLURM_ARRAY_TASK_COUNT says 4",
            ),
            (
                Some("/3"),
                &[],
                "--shard: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set, which would say which share this is: give --shard K/N",
            ),
        ] {
            assert_eq!(chosen(given, variables), expected);
        }
    }
}
