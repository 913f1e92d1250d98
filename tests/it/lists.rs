//! Lists: hidden rows leave no trace, and no parameter is an oracle.

use crate::any_crm::{Answer, AnyCrm};
use lockkeeper::testkit::TestSidecar;
use serde_json::Value;

fn ids(list: &Value) -> Vec<u64> {
    list["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn hidden_rows_leave_no_trace() {
    let sidecar = TestSidecar::start().await;
    let all = sidecar.crm_caller().get("/api/deals").await.json();
    for (person, owner) in [("rep-east", 1), ("rep-west", 2)] {
        let list = sidecar.as_person(person).get("/api/deals").await.json();
        let own: Vec<u64> = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["owner_id"] == owner)
            .map(|row| row["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids(&list), own, "{person}");
        // Nothing but the rows, their number and the page: no totals, no page size that counts all rows, no next page.
        let mut keys: Vec<&String> = list.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["count", "data", "page"], "{person}");
        assert_eq!(list["count"], own.len());
    }
    let whole = sidecar.as_person("admin").get("/api/deals").await.json();
    assert_eq!((ids(&whole).len(), &whole["count"], whole.get("total")), (41, &Value::from(41), None));
}

#[tokio::test]
async fn paging_passes() {
    let sidecar = TestSidecar::start().await;
    let first = sidecar.as_person("service").get("/api/deals?page=1&per_page=10").await.json();
    let second = sidecar.as_person("service").get("/api/deals?page=2&per_page=10").await.json();
    assert_eq!((ids(&first).len(), &first["page"]), (10, &Value::from(1)));
    assert_eq!((ids(&second).len(), &second["page"]), (10, &Value::from(2)));
    assert!(sidecar.crm_saw().contains(&"GET /api/deals?page=2&per_page=10".to_owned()));
}

/// What a caller asks for cannot change what is decided: what policy needs is asked for as well, and taken off again.
#[tokio::test]
async fn a_projection_changes_no_decision() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for target in ["/api/deals?fields=title,amount", "/api/deals/42?fields=title,amount"] {
        let answer = rep.get(target).await.json();
        let row = answer["data"]
            .as_array()
            .map_or(&answer, |rows| rows.iter().find(|row| row["id"] == 42).unwrap());
        let mut keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["amount", "id", "title"], "{target}");
    }
    assert_eq!(rep.get("/api/deals/7?fields=title").await.status, 404);
    let asked = sidecar.crm_saw();
    assert!(asked.iter().all(|line| line.contains("owner_id")), "{asked:?}");
    assert_eq!(ids(&rep.get("/api/deals?fields=id").await.json()), ids(&rep.get("/api/deals").await.json()));
    assert_eq!(rep.get("/api/deals/42?fields=title,margin").await.json().get("margin"), Some(&Value::Null));
    assert_eq!(rep.get("/api/deals/42?fields=title,internal_notes").await.json().get("internal_notes"), None);
}

#[tokio::test]
async fn expanding_is_judged() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let bare = rep.get("/api/deals/42?expand=none").await.json();
    assert_eq!((bare.get("contact"), bare.get("company")), (None, None));
    let expanded = rep.get("/api/deals/3?expand=contact").await.json();
    assert_eq!(expanded.get("contact"), Some(&Value::Null));
}

/// Refused before the CRM is asked, in the same words whether the field is hidden or does not exist.
#[tokio::test]
async fn hidden_fields_are_no_oracle() {
    let sidecar = TestSidecar::start().await;
    let refused = [
        "sort=amount",
        "sort=-margin",
        "sort=stage,-amount_weighted",
        "sort=margin_pct",
        "sort=risk_score",
        "sort=no_such_field",
        "sort=--stage",
        "sort=%20stage",
        "sort=",
        "amount__gte=100000",
        "amount__lte=100000",
        "margin__gte=1",
        "margin__between=1",
        "q=Competitor",
        "fields=risk_score",
        "fields=no_such_field",
        "fields=",
        "expand=risk_score",
    ];
    for query in refused {
        let reply = sidecar.as_person("rep-east").get(&format!("/api/deals?{query}")).await;
        assert_eq!(reply.reason(), "reference-refused", "{query}");
        let first = sidecar.as_person("rep-east").get("/api/deals?sort=amount").await;
        assert_eq!(reply.observable(), first.observable(), "{query}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// A filter on what everybody may read: what is left does not tell of hidden rows, unless they shape the page.
#[tokio::test]
async fn public_filters_are_for_unpaged_lists() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for query in ["stage=won", "sort=-close_date", "title__contains=dock", "owner_id=2", "company_id=203"] {
        let reply = rep.get(&format!("/api/deals?{query}")).await;
        assert_eq!(reply.status, 200, "{query}");
        assert!(reply.json()["data"].as_array().unwrap().iter().all(|row| row["owner_id"] == 1), "{query}");
        for page in ["page=1", "per_page=5", "page=1&per_page=5"] {
            let reply = rep.get(&format!("/api/deals?{query}&{page}")).await;
            assert_eq!(reply.reason(), "reference-refused", "{query}&{page}");
            let reply = rep.get(&format!("/api/deals?{page}&{query}")).await;
            assert_eq!(reply.reason(), "reference-refused", "{page}&{query}");
        }
    }
    // Whoever views every deal may do both.
    let service = sidecar.as_person("service");
    assert_eq!(service.get("/api/deals?stage=won&page=1&per_page=5").await.status, 200);
    assert_eq!(service.get("/api/deals?sort=amount").await.reason(), "reference-refused");
    assert_eq!(sidecar.as_person("admin").get("/api/deals?sort=margin&amount__gte=50000").await.status, 200);
}

/// A filter that matches only rows of others must answer exactly as one that matches nothing.
#[tokio::test]
async fn a_filter_says_nothing_of_hidden_rows() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    let others = rep.get("/api/deals?owner_id=2").await;
    let nobody = rep.get("/api/deals?owner_id=999").await;
    assert_eq!(others.observable(), nobody.observable());
}

#[tokio::test]
async fn parameters_that_are_not_declared_or_repeated() {
    let sidecar = TestSidecar::start().await;
    let rep = sidecar.as_person("rep-east");
    for (query, reason) in [
        ("debug=1", "query-undeclared"),
        ("Sort=stage", "query-undeclared"),
        ("probability__gte=0.1", "query-undeclared"),
        ("risk_score=73", "query-undeclared"),
        ("api_key=x", "query-undeclared"),
        ("stage=won&stage=lead", "query-repeated"),
        ("page=1&page=2", "query-repeated"),
        ("st%61ge=won&stage=lead", "query-repeated"),
    ] {
        assert_eq!(rep.get(&format!("/api/deals?{query}")).await.reason(), reason, "{query}");
    }
    assert_eq!(rep.get("/api/contacts/101?expand=none").await.reason(), "query-undeclared");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// What a hidden row says of another record decides nothing about it: else that record would tell that the row is there.
#[tokio::test]
async fn what_a_hidden_row_says_of_others_does_not_count() {
    const ROUTES: &str = r#"
[[routes]]
match   = "GET /v2/overview"
action  = "list"
records = [{ at = "$.contacts[*]", type = "Contact" }, { at = "$.deals[*]", type = "Deal" }]
hidden_rows = "visible"
"#;
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options.edit("bundle/profile.toml", |profile| profile + ROUTES)).await;
    let shown = async |owner: u64, deal: &str| {
        let contact = r#"{"id":101,"name":"ann"}"#;
        let whole = r#"{"id":101,"name":"ann","owner_id":1,"team_id":10}"#;
        let deal = deal.replace("OWNER", &owner.to_string()).replace("CONTACT", whole);
        // The CRM does not answer for one contact, so nothing more is known of it.
        crm.answers(Answer::json(format!(r#"{{"contacts":[{contact}],"deals":[{deal}]}}"#).into_bytes()));
        sidecar.as_person("rep-east").get("/v2/overview").await.text().to_owned()
    };
    let deal = r#"{"id":3,"title":"hidden","stage":"lead","owner_id":OWNER,"team_id":9,"contact":CONTACT}"#;
    let without = shown(2, "").await;
    assert_eq!(without, r#"{"contacts":[],"deals":[]}"#);
    assert_eq!(shown(2, deal).await, without);
    // A row that stands for itself says what it says.
    assert!(shown(1, deal).await.contains("hidden"), "the deal is shown to its owner");
}
