//! `lockkeeper audit replay`: a real day asked again of the bundle that decided it, and of others.

use serde_json::Value;

use crate::run::{Ran, folder, run};
use crate::tail::a_day_that_is_over;
use lockkeeper::testkit::folder::TestFolder;

struct Day {
    _kept: tempfile::TempDir,
    state: String,
    folder: TestFolder,
}

impl Day {
    async fn new() -> Self {
        let (kept, state) = a_day_that_is_over().await;
        Self { _kept: kept, state, folder: folder() }
    }

    fn replay(&self, args: &[&str]) -> Ran {
        let own = ["audit", "replay", "--state", &self.state, "--bundle", "bundle"];
        let own = own.iter().chain(&["--directory", "directory.cedarentities.json"]);
        run(self.folder.path(), &own.chain(args).copied().collect::<Vec<_>>())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.replay(&[args, &["--format", "json"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, OFFLINE));
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

const OFFLINE: &str = "the ledger does not record this reading: no service writes it now\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_that_decided_decides_the_same() {
    let day = Day::new().await;
    let told = day.json(&[]);
    assert_eq!(told["changed"], serde_json::json!([]), "{told:#}");
    assert_eq!(told["unknown"], serde_json::json!({}), "{told:#}");
    let (decisions, questions) = (told["decisions"].as_u64().unwrap(), told["questions"].as_u64().unwrap());
    assert!(decisions >= 4 && questions > decisions, "{told:#}");
    assert_eq!(told["same"].as_u64().unwrap(), questions);
    // Nothing of that day lies before it.
    assert_eq!(day.json(&["--to", "2020-01-01"])["decisions"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_otherwise_is_told_and_nothing_is_guessed() {
    let day = Day::new().await;
    // Whatever the record: the amounts are for nobody but administrators. Whose deals reps view depends on the record.
    day.folder.write(
        "bundle/policies/more.cedar",
        "@id(\"guard.amounts\") @reason(\"x\")\n\
         forbid (principal, action in Action::\"fieldRead\", resource is Deal)\n\
         when { context.field == Field::\"Deal.amount\" } unless { principal in Role::\"administrator\" };\n",
    );
    day.folder.edit("bundle/policies/records.cedar", |text| {
        let own = "permit (principal in Role::\"rep\", action == Action::\"view\", resource is Deal)\nwhen { resource has owner && resource.owner == principal };";
        assert!(text.contains(own));
        text.replacen(own, &own.replace("resource.owner == principal", "resource.owner == principal && resource has amount"), 1)
    });
    let told = day.json(&[]);
    let changed = told["changed"].as_array().unwrap();
    assert!(!changed.is_empty(), "{told:#}");
    for change in changed {
        let what = [&change["type"], &change["action"], &change["on"], &change["was"], &change["would"]];
        assert_eq!(what, ["Deal", "readField", "Deal.amount", "allow", "deny"], "{change}");
        assert_ne!(change["who"], "User::\"admin\"");
        assert!(change["first"].as_str().unwrap().len() == 36 && change["count"].as_u64().unwrap() > 0);
    }
    let whys: Vec<&String> = told["unknown"].as_object().unwrap().keys().collect();
    assert!(whys.iter().any(|why| why.contains("owner is the caller and amount is set")), "{whys:?}");
    let text = day.replay(&[]);
    assert!(
        text.stdout.contains("readField Deal Deal.amount: was allow, would be deny ("),
        "{}",
        text.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_inactive_would_be_denied_everything() {
    let day = Day::new().await;
    day.folder
        .edit("directory.cedarentities.json", |text| text.replace("\"active\": true", "\"active\": false"));
    let told = day.json(&[]);
    let changed = told["changed"].as_array().unwrap();
    assert!(changed.iter().all(|change| change["was"] == "allow" && change["would"] == "deny"), "{told:#}");
    assert!(changed.iter().any(|change| change["action"] == "view"));
    assert_eq!(told["unknown"], serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_what_decided_then_only_what_holds_for_every_record_is_told() {
    let day = Day::new().await;
    std::fs::remove_dir_all(format!("{}/revisions", day.state)).unwrap();
    let told = day.json(&[]);
    assert_eq!(told["changed"], serde_json::json!([]));
    let unknown: u64 =
        told["unknown"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(unknown > 0);
    assert_eq!(told["same"].as_u64().unwrap() + unknown, told["questions"].as_u64().unwrap());
    assert!(told["unknown"].as_object().unwrap().keys().all(|why| why.ends_with("is not kept")), "{told:#}");
}
