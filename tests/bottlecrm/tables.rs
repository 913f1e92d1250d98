//! The export: a table whose rows are judged one by one and whose columns are fields.

use crate::rig::Rig;

const EXPORT: &str = "/api/opportunities/export/?format=csv";

#[tokio::test]
async fn a_manager_gets_every_row_and_every_column() {
    let rig = Rig::start().await;
    let reply = rig.person("manager").get(EXPORT).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let mut lines = reply.text().split("\r\n");
    assert_eq!(
        lines.next(),
        Some(
            "\u{feff}ID,Name,Account,Pipeline,Stage,Amount,Currency,Probability,Close date,Type,Lead source,Assigned to,Tags,Created"
        )
    );
    assert_eq!(
        lines.next(),
        Some(
            "ff965a99-feec-4be7-9b39-5baebe4d4f9d,Deal 039 new business,Ridgeline Mechanical,Sales,Negotiation,232573.00,USD,17,2026-04-12,,,user4_f8ee321c@example.com,,2026-11-21T19:30:20.638418+00:00"
        )
    );
    assert_eq!(lines.filter(|line| !line.is_empty()).count(), 220);
    assert_eq!(rig.seen(), [format!("GET {EXPORT}")], "what depends on no record needs no record");
    rig.stop().await;
}

#[tokio::test]
async fn a_rep_gets_the_rows_that_are_known_to_be_theirs_and_no_addresses() {
    // Whose a row is stands in no column: the record itself is asked, for as many rows as the limit says.
    let rig = Rig::with(
        |profile| profile,
        |mut config| {
            config.limits.fetches = 5;
            config
        },
    )
    .await;
    let reply = rig.person("rep-1").get(EXPORT).await;
    assert_eq!(
        reply.text(),
        "\u{feff}ID,Name,Account,Pipeline,Stage,Amount,Currency,Probability,Close date,Type,Lead source,Tags,Created\r\n\
         fca62ed5-36ad-4e23-9814-f185309a26af,Deal 057 renewal,Stonehill Analytics,Sales,Negotiation,161974.00,USD,48,2026-10-02,,,,2026-11-21T19:30:23.570863+00:00\r\n"
    );
    assert_eq!(rig.seen().len(), 6);
    rig.stop().await;
}

#[tokio::test]
async fn exports_are_an_action_of_their_own() {
    let rig = Rig::start().await;
    let reply = rig.person("service").get(EXPORT).await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "denied"));
    for other in [
        "/api/opportunities/export/",
        "/api/opportunities/export/?format=json",
        "/api/opportunities/export/?format=csv&format=json",
    ] {
        assert_eq!(rig.person("admin").get(other).await.reason(), "route-unmapped", "{other}");
    }
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.stop().await;
}

#[tokio::test]
async fn columns_that_nobody_described_never_leave() {
    let without = |profile: String| profile.replace("\"Amount\"      = \"amount\"\n", "");
    let rig = Rig::with(without, |config| config).await;
    let reply = rig.person("admin").get(EXPORT).await;
    assert!(!reply.text().contains("Amount") && !reply.text().contains("232573.00"));
    assert!(reply.text().contains("ff965a99"));
    rig.stop().await;
}

#[tokio::test]
async fn a_table_where_json_is_declared_never_leaves() {
    let without = |profile: String| {
        let (before, rest) = profile.split_once("[routes.csv.columns]").unwrap();
        let (_, after) = rest.split_once("[[routes]]").unwrap();
        format!("{before}[[routes]]{after}")
    };
    let rig = Rig::with(without, |config| config).await;
    let reply = rig.person("admin").get(EXPORT).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-type"));
    rig.stop().await;
}
