//! Which command lines are taken.

use crate::cli::Cli;
use clap::Parser as _;
use clap::error::ErrorKind;

fn parsed(line: &str) -> Result<(), ErrorKind> {
    let words = ["local", "dlq"].into_iter().chain(line.split(' '));
    let parsed = Cli::try_parse_from(words);
    parsed.map(drop).map_err(|error| error.kind())
}

#[test]
fn whoever_acts_says_on_which_letters_and_why() {
    for act in ["redrive", "park", "purge"] {
        for choice in [
            "a/1 b/2",
            "--consumer a --order 1",
            "--all",
            "--status parked",
        ] {
            assert_eq!(
                parsed(&format!("{act} {choice} --why x")),
                Ok(()),
                "{choice}"
            );
            let without = parsed(&format!("{act} {choice}"));
            assert_eq!(without, Err(ErrorKind::MissingRequiredArgument));
        }
        let nothing = parsed(&format!("{act} --why x"));
        assert_eq!(nothing, Err(ErrorKind::MissingRequiredArgument));
        for both in ["a/1 --consumer a", "a/1 --all", "--all --class waiting"] {
            let both = parsed(&format!("{act} {both} --why x"));
            assert_eq!(both, Err(ErrorKind::ArgumentConflict));
        }
    }
    assert!(parsed("park --all --why ").is_err());
    assert!(parsed("redrive --all --why x --rate 0").is_err());
}

#[test]
fn a_payment_is_resolved_as_paid_under_its_id_and_nothing_else_has_one() {
    assert_eq!(parsed("resolve a/1 --why x"), Ok(()));
    assert_eq!(parsed("resolve --order 1 --as failed --why x"), Ok(()));
    assert_eq!(
        parsed("resolve a/1 --as paid --payment-id p --why x"),
        Ok(())
    );
    for wrong in [
        "resolve a/1 --as paid --why x",
        "resolve a/1 --payment-id p --why x",
        "resolve --order 1 --why x",
        "resolve --as failed --why x",
        "resolve a/1 --order 1 --as failed --why x",
    ] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
}
