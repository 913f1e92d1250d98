//! The pipeline report: sums over all deals of each stage.
//!
//! Promises one line for every stage of the catalogue, also when empty. Never leaves out deals that the asker could not
//! see elsewhere: an aggregate over hidden rows is the leak it stands for.

use http::StatusCode;

use super::catalogue::PIPELINES;
use super::deals::{RULES, sum};
use super::error::ApiError;
use super::query::ListQuery;
use super::record::{Record, array, quoted};
use super::reply::Reply;
use super::routes::Call;
use super::store::Store;
use super::wire;

/// `GET /api/reports/pipeline`; the filters of the deal list work here too.
pub fn pipelines(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let deals = ListQuery::parse(&call.params, &RULES)?.select(wire::deals(store));
    let mut lines = Vec::new();
    for pipeline in PIPELINES {
        for stage in pipeline.stages {
            lines.push(line(&deals, pipeline.id, stage));
        }
    }
    let body = Record::default()
        .with("data", array(&lines))
        .with("total_amount", quoted(&sum(&deals, "amount").to_text(2)))
        .with("total_margin", quoted(&sum(&deals, "margin").to_text(2)));
    Ok(Reply::json(StatusCode::OK, body.to_json()))
}

fn line(deals: &[Record], pipeline: &str, stage: &str) -> Record {
    let here = |deal: &&Record| {
        deal.text("pipeline").as_deref() == Some(pipeline) && deal.text("stage").as_deref() == Some(stage)
    };
    let deals: Vec<Record> = deals.iter().filter(here).cloned().collect();
    Record::default()
        .with("pipeline", quoted(pipeline))
        .with("stage", quoted(stage))
        .with("count", deals.len().to_string())
        .with("amount", sum(&deals, "amount").to_text(2))
        .with("amount_weighted", sum(&deals, "amount_weighted").to_text(2))
        .with("margin", sum(&deals, "margin").to_text(2))
}
