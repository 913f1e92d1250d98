//! Reads: the same records by different people, and what of the CRM's answer never leaves.

use lockkeeper::testkit::TestSidecar;

#[tokio::test]
async fn the_same_deal_four_ways() {
    let sidecar = TestSidecar::start().await;
    for person in ["rep-east", "manager-east", "service", "admin", "rep-west"] {
        let reply = sidecar.as_person(person).get("/api/deals/42").await;
        println!("{person} {} {:?}\n{}", reply.status, reply.headers, reply.text());
    }
    println!("{:?}", sidecar.crm_saw());
    println!("{:#?}", sidecar.stop().await);
}
