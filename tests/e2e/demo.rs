//! `demo`: every sample comes to what it should.

use crate::system::run;

#[test]
fn the_demo_comes_to_what_its_samples_expect() {
    let output = run(&["demo"]);
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("No dead letters."), "{said}");
    assert!(said.contains("All 7 invariants hold."), "{said}");
    assert!(said.contains("minute (UTC)  placed  confirmed"), "{said}");
    assert!(
        !said.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
}
