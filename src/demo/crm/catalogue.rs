//! What never changes in the demo CRM: its users, teams and pipelines.
//!
//! Promises the same ids in every run. Never names a person: users are called after their roles.

use super::record::{Record, quoted};

/// Someone who can own a record.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// Id on the wire.
    pub id: u64,
    /// Role name, in lower case with hyphens.
    pub role: &'static str,
    /// Shown name.
    pub name: &'static str,
    /// The team, if the role belongs to one.
    pub team_id: Option<u64>,
}

/// A group of users.
#[derive(Debug, Clone, Copy)]
pub struct Team {
    /// Id on the wire.
    pub id: u64,
    /// Name on the wire.
    pub name: &'static str,
}

/// An ordered list of stages.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline {
    /// Id on the wire.
    pub id: &'static str,
    /// Stages in order; a deal's `stage` holds one of these names.
    pub stages: &'static [&'static str],
}

impl User {
    /// The short embed `{id,name,email}` that deals carry as `owner`.
    pub fn embed(&self) -> Record {
        Record::default()
            .with("id", self.id.to_string())
            .with("name", quoted(self.name))
            .with("email", quoted(&format!("{}@crm.example", self.role)))
    }

    fn record(&self) -> Record {
        let team_id = self.team_id.map_or_else(|| "null".to_owned(), |id| id.to_string());
        self.embed().with("role", quoted(self.role)).with("team_id", team_id)
    }
}

/// The user with this id.
pub fn user(id: u64) -> Option<&'static User> {
    USERS.iter().find(|user| user.id == id)
}

/// The pipeline with this id.
pub fn pipeline(id: &str) -> Option<&'static Pipeline> {
    PIPELINES.iter().find(|pipeline| pipeline.id == id)
}

/// The win probability that a deal starts with in `stage`.
pub fn probability(stage: &str) -> &'static str {
    match stage {
        "qualified" => "0.25",
        "proposal" => "0.50",
        "upcoming" => "0.60",
        "negotiation" => "0.75",
        "quoted" => "0.80",
        "won" | "renewed" => "1.00",
        "lost" | "churned" => "0.00",
        _ => "0.10",
    }
}

/// All users as the wire shows them.
pub fn users() -> Vec<Record> {
    USERS.iter().map(User::record).collect()
}

/// All teams as the wire shows them.
pub fn teams() -> Vec<Record> {
    TEAMS
        .iter()
        .map(|team| Record::default().with("id", team.id.to_string()).with("name", quoted(team.name)))
        .collect()
}

/// All pipelines as the wire shows them.
pub fn pipelines() -> Vec<Record> {
    PIPELINES.iter().map(pipeline_record).collect()
}

fn pipeline_record(pipeline: &Pipeline) -> Record {
    let stages: Vec<String> = (1_u32..)
        .zip(pipeline.stages)
        .map(|(order, stage)| format!(r#"{{"id":{},"order":{order}}}"#, quoted(stage)))
        .collect();
    Record::default().with("id", quoted(pipeline.id)).with("stages", format!("[{}]", stages.join(",")))
}

/// The users; 5 owns what nobody else does.
pub const USERS: [User; 5] = [
    User { id: 1, role: "rep-east", name: "Rep East", team_id: Some(10) },
    User { id: 2, role: "rep-west", name: "Rep West", team_id: Some(20) },
    User { id: 3, role: "manager-east", name: "Manager East", team_id: Some(10) },
    User { id: 4, role: "service", name: "Service", team_id: None },
    User { id: 5, role: "admin", name: "Admin", team_id: None },
];

/// The teams.
pub const TEAMS: [Team; 2] = [Team { id: 10, name: "east" }, Team { id: 20, name: "west" }];

/// The pipelines.
pub const PIPELINES: [Pipeline; 2] = [
    Pipeline { id: "sales", stages: &["lead", "qualified", "proposal", "negotiation", "won", "lost"] },
    Pipeline { id: "renewals", stages: &["upcoming", "quoted", "renewed", "churned"] },
];
