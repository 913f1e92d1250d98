//! Policies about the values that a write proposes: what cannot be read as a value must not slip past them.

use lockkeeper::testkit::TestSidecar;

/// Nobody sets an amount over 200,000.
const LIMIT: &str = r#"@id("limit.proposed")
forbid (principal, action == Action::"writeField", resource is Deal)
when
{
  context.field == Field::"Deal.amount" &&
  context has proposed && context.proposed has amount &&
  context.proposed.amount.greaterThan(decimal("200000.0"))
};"#;

#[tokio::test]
async fn a_proposed_value_that_does_not_convert_denies() {
    let sidecar = TestSidecar::with(|options| options.policies(LIMIT)).await;
    let cases = [
        (r#"{"amount":190000}"#, 200),
        (r#"{"amount":300000}"#, 403),
        (r#"{"amount":"300.000,00"}"#, 403),
        (r#"{"amount":300000.00001}"#, 403),
        (r#"{"amount":[300000]}"#, 403),
        (r#"{"title":"other keys are judged as ever"}"#, 200),
    ];
    for (body, status) in cases {
        sidecar.crm().reset();
        let reply = sidecar.as_person("rep-east").send("PATCH", "/api/deals/42", body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert_eq!(sidecar.crm_writes().is_empty(), status != 200, "{body}");
    }
    sidecar.stop().await;
}
