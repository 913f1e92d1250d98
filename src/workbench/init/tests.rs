//! Drafts of whole documents: they load without a warning, permit nothing, and are the same each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::path::Path;
use super::{Draft, draft, report, write};
use crate::bundle::compile::{Bundle, compile};
use crate::bundle::current::Snapshot;
use crate::bundle::directory;
use crate::config::author::{Problems, SourceFile};
use crate::json::parse::JsonLimits;
use crate::json::value;
use crate::model::principal::{Asker, EntityRef};
use crate::pipeline::decide::gate::VerdictCache;
use crate::pipeline::dry_run::explanation::{Explanation, Outcome};
use crate::pipeline::dry_run::{DryRequest, DryRun, dry_run};
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::sidecar::Limits;
use crate::workbench::cases::run::Cases;

fn read(name: &str, text: &str) -> Document {
    Document::read(&SourceFile::new(name, text)).unwrap()
}

/// The bundle of some files, which must load without a warning.
#[track_caller]
fn load(files: &BTreeMap<String, String>) -> Bundle {
    let bytes = files.iter().map(|(name, text)| (name.clone(), Bytes::from(text.clone())));
    let mut problems = Problems::default();
    let bundle = compile(bytes.collect(), &mut problems);
    let profile = &files[write::PROFILE_FILE];
    assert!(problems.iter().next().is_none(), "{problems}\n{profile}");
    bundle.unwrap()
}

/// Drafts a document and loads what comes of it.
#[track_caller]
fn check(document: &Document) -> Arc<Bundle> {
    let drafted = draft(document);
    let files = write::files(&drafted);
    let again = draft(document);
    assert_eq!((write::files(&again), report::text(&again)), (files.clone(), report::text(&drafted)));
    assert_eq!(report::json(&drafted)["routes"].as_array().map(Vec::len), Some(drafted.routes.len()));
    let bundle = Arc::new(load(&files));
    let mut problems = Problems::default();
    let cases = Cases::read(&bundle, &mut problems);
    assert!(problems.iter().next().is_none(), "{problems}\n{}", files[write::CASES_FILE]);
    let cases = cases.unwrap();
    for judged in cases.judge("") {
        assert!(judged.mismatches.is_empty(), "{}: {:?}", judged.case.name, judged.mismatches);
    }
    assert_eq!(cases.count() == 0, drafted.types.is_empty());
    bundle
}

const CRM_2: &str = include_str!("../../../tests/fixtures/openapi/crm-2.0.json");
const CRM_3: &str = include_str!("../../../tests/fixtures/openapi/crm-3.0.yaml");
const CRM_31: &str = include_str!("../../../tests/fixtures/openapi/crm-3.1.json");
const POOR: &str = include_str!("../../../tests/fixtures/openapi/poor.yaml");
const DOCUMENTS: [(&str, &str); 4] =
    [("crm-2.0.json", CRM_2), ("crm-3.0.yaml", CRM_3), ("crm-3.1.json", CRM_31), ("poor.yaml", POOR)];

/// Who could ask: a person with groups, a service, an agent.
const PEOPLE: &str = r#"[
    {"uid": {"type": "Role", "id": "rep"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "anna"}, "attrs": {"active": true, "crmId": "1"}, "parents": [{"type": "Role", "id": "rep"}]},
    {"uid": {"type": "Service", "id": "integration"}, "attrs": {"active": true}, "parents": []},
    {"uid": {"type": "Agent", "id": "assistant"}, "attrs": {"active": true}, "parents": []}
]"#;

#[test]
fn every_route_denies_everybody() {
    for (name, text) in DOCUMENTS {
        let document = read(name, text);
        let drafted = draft(&document);
        let bundle = load(&write::files(&drafted));
        let directory = directory::load(
            &SourceFile::new("d.json", PEOPLE),
            &bundle.schema.schema,
            &mut Problems::default(),
        );
        let snapshot = Snapshot::first(bundle, directory.unwrap());
        let mut asked = 0;
        for route in drafted.routes.iter().filter(|route| route.in_force().is_some()) {
            for (type_name, id) in [("User", "anna"), ("Service", "integration"), ("Agent", "assistant")] {
                let told = ask(&snapshot, &drafted, &route.label, EntityRef::new(type_name, id));
                assert_eq!(told.outcome, Outcome::Deny, "{name}: {type_name} {}: {told:#?}", route.label);
                asked += 1;
            }
        }
        assert!(asked > 0 || name == "poor.yaml", "{name}");
    }
}

/// Asks a route of a draft, with all that the CRM could hold and answer.
fn ask(snapshot: &Arc<Snapshot>, drafted: &Draft<'_>, label: &str, who: EntityRef) -> Explanation {
    let route = drafted.routes.iter().find(|route| route.label == label).unwrap();
    let described = route.in_force().unwrap();
    let found = &drafted.types[described.type_index];
    let (methods, path) = label.split_once(' ').unwrap();
    let id =
        if path.contains("{id:uuid}") { json!("00000000-0000-4000-8000-000000000001") } else { json!(1) };
    let fill = |path: &str| {
        let values =
            [("{id:uuid}", "00000000-0000-4000-8000-000000000001"), ("{id:int}", "1"), ("{id}", "1")];
        let filled =
            values.iter().fold(path.to_owned(), |path, (parameter, value)| path.replace(parameter, value));
        let parts: Vec<&str> =
            filled.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        parts.join("/")
    };
    let record = json!({found.id: id, "email": "1"});
    let at_place = |place: &str| {
        let keys = place.trim_start_matches('$').split('.').filter(|key| !key.is_empty()).rev();
        keys.fold(record.clone(), |inner, key| {
            let (key, is_many) = key.strip_suffix("[*]").map_or((key, false), |key| (key, true));
            let inner = if is_many { json!([inner]) } else { inner };
            if key.is_empty() { inner } else { json!({key: inner}) }
        })
    };
    let answer = described.records.as_deref().map(|place| {
        let body = Bytes::from(at_place(place).to_string());
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        UpstreamResponse { status: 200, headers, body }
    });
    let before = described
        .before
        .as_ref()
        .and_then(|before| drafted.routes.iter().find(|route| route.label == *before));
    let held = before.and_then(|route| route.in_force()?.records.as_deref().map(at_place));
    let records: Vec<_> = held
        .map(|held| value::Document::parse(Bytes::from(held.to_string()), &JsonLimits::default()).unwrap())
        .into_iter()
        .collect();
    let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("lockkeeper.test"))]);
    let body = match (&described.writes, &described.to) {
        (Some(at), _) if at == "$" => "{}".to_owned(),
        (Some(at), _) => json!({at.trim_start_matches("$."): {}}).to_string(),
        (None, Some(to)) => {
            json!({to.trim_start_matches("$."): drafted.pipelines[0].stages[0].1}).to_string()
        }
        (None, None) => String::new(),
    };
    let is_form = described.body == Some("form");
    let body = if is_form { "title=x".to_owned() } else { body };
    if is_form || !body.is_empty() {
        let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    dry_run(&DryRun {
        snapshot,
        limits: &Limits::default(),
        cache: &Arc::new(VerdictCache::new(100, 1)),
        asker: &Asker::plain(who, 1_767_614_400_000),
        request: DryRequest {
            method: methods.split(',').next().unwrap().parse().unwrap(),
            target: fill(path).parse().unwrap(),
            headers,
            body: Bytes::from(body),
        },
        records: &records,
        answer: answer.as_ref(),
    })
}

#[test]
fn the_first_permits_hold_once_somebody_takes_the_slashes_away() {
    for (name, text) in DOCUMENTS {
        let document = read(name, text);
        let mut files = write::files(&draft(&document));
        let guards = files.get_mut(write::GUARDS_FILE).unwrap();
        let Some((kept, examples)) = guards.split_once("\n//\n// @id") else { continue };
        let examples = format!("// @id{examples}").replace("// ", "").replace("//", "");
        *guards = format!("{kept}\n{examples}");
        let bundle = load(&files);
        assert!(bundle.policies.ids().any(|id| id == "first.list"), "{name}");
        assert!(bundle.policies.ids().any(|id| id == "first.field"), "{name}");
    }
}

#[test]
fn documents_of_each_version_are_drafted() {
    let types = DOCUMENTS.map(|(name, text)| check(&read(name, text)).profile.types.len());
    assert_eq!(types, [2, 3, 2, 0]);
}

/// The routes of a document of OpenAPI 3 with these paths, each with what became of it.
#[track_caller]
fn routes(paths: Value, schemas: Value, expected: &[&str]) {
    let whole = json!({"openapi": "3.0.0", "paths": paths, "components": {"schemas": schemas}});
    let document = read("a.json", &whole.to_string());
    check(&document);
    let drafted = draft(&document);
    let told: Vec<String> = drafted
        .routes
        .iter()
        .map(|route| {
            let what = match route.in_force() {
                Some(found) => format!("{} {}", found.action.name(), drafted.types[found.type_index].name),
                None => route.refusal().unwrap(),
            };
            let over = if route.over.is_empty() {
                String::new()
            } else {
                format!(" over {}", route.over.join(", "))
            };
            format!("{}: {what}{over}", route.label)
        })
        .collect();
    assert_eq!(told, expected);
}

fn answers(schema: Value) -> Value {
    json!({"responses": {"200": {"content": {"application/json": {"schema": schema}}}}})
}

fn sends(schema: Value) -> Value {
    let mut operation = answers(json!({}));
    operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    operation
}

fn deal() -> Value {
    json!({"$ref": "#/components/schemas/Deal"})
}

fn of_deals(paths: Value, expected: &[&str]) {
    let properties =
        json!({"id": {"type": "integer"}, "title": {"type": "string"}, "stage": {"enum": ["a", "b"]}});
    routes(paths, json!({"Deal": {"properties": properties}}), expected);
}

#[test]
fn paths_that_meet_are_ordered_or_told() {
    let view = || json!({"get": answers(deal())});
    of_deals(
        json!({"/deals/{id}": view(), "/deals/export": {"get": answers(json!({"type": "array", "items": deal()}))}, "/{kind}/{id}": view()}),
        &[
            "GET /deals/{id}: view Deal over GET /{kind}/{id}",
            "GET /deals/export: export Deal over GET /deals/{id}, GET /{kind}/{id}",
            "GET /{kind}/{id}: view Deal",
        ],
    );
    of_deals(
        json!({"/deals/{id}": view(), "/deals/{deal_id}": {"get": answers(deal()), "delete": {}}}),
        &[
            "GET /deals/{id}: view Deal",
            "GET /deals/{id}: another operation of the document has the same route",
            "DELETE /deals/{id}: delete Deal",
        ],
    );
    // What yields the record is taken out, so nothing may rest on it.
    of_deals(
        json!({"/deals/{id}": {"get": {}}, "/deals/{deal_id}": {"get": answers(deal()), "delete": {}}}),
        &[
            "GET /deals/{id}: the document does not say what it answers",
            "GET /deals/{id}: another operation of the document has the same route",
            "DELETE /deals/{id}: the route that yields the record as it stands is not described",
        ],
    );
    of_deals(
        json!({"/d({id})": view(), "/{b}(1)": view()}),
        &["GET /d({id}): view Deal", "GET /{b}(1): `GET /d({id})` can match the same requests"],
    );
}

#[test]
fn a_change_needs_the_record_as_it_stands() {
    of_deals(
        json!({"/deals/{id}": {"patch": sends(deal()), "delete": {}}}),
        &[
            "PATCH /deals/{id}: no described route yields the record as it stands: its `before`",
            "DELETE /deals/{id}: no described route yields the record as it stands: its `before`",
        ],
    );
    let view = answers(deal());
    of_deals(
        json!({"/deals/{id}": {"get": view, "patch": sends(json!({"type": "array", "items": deal()})), "post": sends(deal())}}),
        &[
            "GET /deals/{id}: view Deal",
            "POST /deals/{id}: a POST to a record may do anything",
            "PATCH /deals/{id}: its body is a list, and each record in it would have fields of its own",
        ],
    );
    of_deals(
        json!({"/deals/{id}": {"get": view, "put": sends(json!({"properties": {"a": {}, "b": {}, "title": {}}}))}, "/deals": {"delete": {}, "post": sends(deal())}}),
        &[
            "GET /deals/{id}: view Deal",
            "PUT /deals/{id}: guessed with low confidence: most keys of its body are none of the record's; a PUT is taken for a replacement",
            "POST /deals: create Deal",
            "DELETE /deals: what it changes is not told",
        ],
    );
}

#[test]
fn a_move_has_the_stage_in_its_body() {
    let view = answers(deal());
    let moves = |key: &str| sends(json!({"properties": {key: {"type": "string"}}}));
    of_deals(
        json!({"/deals/{deal}": {"get": view}, "/deals/{deal}/move": {"post": moves("stage")}, "/deals/{deal}/change-stage/": {"post": moves("to")}}),
        &[
            "GET /deals/{id}: view Deal",
            "POST /deals/{id}/move: moveStage Deal",
            "POST /deals/{deal}/change-stage/: no described route reads what it may create or do",
        ],
    );
}

#[test]
fn one_thing_under_two_schemas_is_one_type() {
    let row =
        json!({"type": "object", "properties": {"id": {"type": "string"}, "title": {"type": "string"}}});
    let whole =
        json!({"type": "object", "properties": {"id": {"type": "string"}, "notes": {"type": "string"}}});
    let paths = json!({
        "/deals": {"get": answers(json!({"type": "array", "items": {"$ref": "#/components/schemas/DealRow"}}))},
        "/deals/{id}": {"get": answers(json!({"$ref": "#/components/schemas/DealDetail"}))},
        "/team/{id}/deals": {"get": answers(json!({"type": "array", "items": {"$ref": "#/components/schemas/DealRow"}}))},
    });
    let schemas = json!({"DealRow": row, "DealDetail": whole});
    routes(
        paths.clone(),
        schemas.clone(),
        &["GET /deals: list Deal", "GET /deals/{id}: view Deal", "GET /team/{team_id}/deals: list Deal"],
    );
    let document = read(
        "a.json",
        &json!({"openapi": "3.0.0", "paths": paths, "components": {"schemas": schemas}}).to_string(),
    );
    let drafted = draft(&document);
    let names: Vec<&str> = drafted.types[0].fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!((drafted.types.len(), names), (1, vec!["title", "notes"]));
}

#[test]
fn names_that_collide_are_told_apart() {
    let record = |extra: &str| json!({"type": "object", "properties": {"id": {}, extra: {}, "a b": {}, "a_b": {}, "a.b": {}, "*": {}, "A b": {}, "\u{7f}": {}, "": {}}});
    let schemas =
        json!({"user": record("x"), "User": record("y"), "crm user": record("z"), "договор": record("w")});
    let view = |name: &str| json!({"get": answers(json!({"$ref": format!("#/components/schemas/{name}")}))});
    routes(
        json!({"/a/{id}": view("user"), "/b/{id}": view("User"), "/c/{id}": view("crm user"), "/d/{id}": view("договор")}),
        schemas,
        &[
            "GET /a/{id}: view CrmUser",
            "GET /b/{id}: view CrmUser_2",
            "GET /c/{id}: view CrmUser_3",
            "GET /d/{id}: view D",
        ],
    );
}

#[test]
fn words_of_cedar_and_of_the_base_schema_name_no_type() {
    let words = [
        "Any",
        "Bool",
        "Context",
        "Decimal",
        "Entity",
        "Ipaddr",
        "Long",
        "Principal",
        "Proposed",
        "Record",
        "Set",
    ];
    let words = words.into_iter().chain([
        "String",
        "Unknown",
        "in",
        "like",
        "true",
        "Action",
        "Field",
        "Stage",
        "Collection",
    ]);
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for (number, word) in words.enumerate() {
        let reference = json!({"$ref": format!("#/components/schemas/{word}")});
        paths.insert(format!("/x{number}/{{id}}"), json!({"get": answers(reference)}));
        schemas.insert(word.to_owned(), json!({"type": "object", "properties": {"id": {}, "title": {}}}));
    }
    let whole = json!({"openapi": "3.0.0", "paths": paths, "components": {"schemas": schemas}});
    assert_eq!(check(&read("a.json", &whole.to_string())).profile.types.len(), schemas.len());
}

/// The roles of the parameters of a list of deals.
#[track_caller]
fn roles(parameters: Value, expected: &str) {
    let list = json!({"type": "array", "items": deal()});
    let mut operation = answers(list);
    operation["parameters"] = parameters;
    let properties =
        json!({"id": {}, "title": {}, "limit": {"type": "integer"}, "Order": {}, "owner_id": {}});
    let whole = json!({"openapi": "3.0.0", "paths": {"/deals": {"get": operation}}, "components": {"schemas": {"Deal": {"properties": properties}}}});
    let document = read("a.json", &whole.to_string());
    check(&document);
    let drafted = draft(&document);
    let one = |found: &super::parameters::DraftParameter<'_>| {
        [Some(found.name.as_str()), Some(found.role), found.form]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(drafted.routes[0].parameters.iter().map(one).collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn a_parameter_has_a_role_only_if_its_name_and_its_values_say_so() {
    let query = |name: &str, schema: Value| json!({"name": name, "in": "query", "schema": schema});
    let number = || json!({"type": "integer"});
    let text = || json!({"type": "string"});
    roles(
        json!([query("page", number()), query("per_page", json!({})), query("offset", text())]),
        "page paging, per_page paging, offset refused",
    );
    // A filter that is taken for a length of pages would tell of hidden values.
    roles(json!([query("limit", number()), query("order", text())]), "limit refused, order refused");
    roles(
        json!([
            query("owner_id", text()),
            query("title__contains", text()),
            query("title__odd", text()),
            query("nothing__gte", text())
        ]),
        "owner_id filter key, title__* filter operator-suffix, title__odd refused, nothing__gte refused",
    );
    roles(
        json!([
            query("sort", json!({"enum": ["title", "-title"]})),
            query("ordering", json!({"enum": ["title"]}))
        ]),
        "sort sort signed-list, ordering refused",
    );
    roles(
        json!([
            query("sort_by", json!({"enum": ["title:asc"]})),
            query("orderBy", json!({"example": "title desc", "type": "string"}))
        ]),
        "sort_by sort colon-list, orderBy sort direction-list",
    );
    roles(
        json!([
            query("fields", json!({"type": "array"})),
            query("select", text()),
            query("include", number())
        ]),
        "fields select repeated, select refused, include refused",
    );
    roles(
        json!([
            query("q", text()),
            query("after", text()),
            query("debug", json!({"type": "boolean"})),
            query("x*", text()),
            query("", text())
        ]),
        "q search, after refused, debug refused",
    );
}

#[test]
fn what_no_profile_can_say_is_told() {
    routes(
        json!({"/ws": {"get": {"responses": {"101": {}}}}, "/a?b=1": {"get": {}}, "/f": {"get": {"servers": [{"url": "https://files.example"}]}}, "/g": {"get": {"servers": []}}, "/x": 7, "/{a}/{b}/": {"get": {}, "trace": {}}}),
        json!({}),
        &[
            "GET /ws: the document does not say what it answers",
            "GET /a?b=1: its path has a character that no template can have",
            "GET /f: another server than the document's answers it",
            "GET /g: the document does not say what it answers",
            "GET /{a}/{id}/: the document does not say what it answers",
        ],
    );
}

#[test]
fn a_large_document_is_drafted_whole() {
    let document = read("large.json", &large(300).to_string());
    let bundle = check(&document);
    assert_eq!((bundle.profile.types.len(), bundle.profile.routes.len()), (300, 1_500));
}

/// A document with so many resources, each with a list, a record and changes, all of which hold each other.
fn large(resources: usize) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for number in 0..resources {
        let name = format!("Resource{number}");
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        let list = json!({"type": "object", "properties": {"data": {"type": "array", "items": reference}}});
        let id = json!([{"name": "id", "in": "path", "schema": {"type": "integer"}}]);
        paths.insert(
            format!("/resource{number}s"),
            json!({"get": answers(list), "post": sends(reference.clone())}),
        );
        paths.insert(
            format!("/resource{number}s/{{id}}"),
            json!({"parameters": id, "get": answers(reference.clone()), "patch": sends(reference), "delete": {}}),
        );
        let next = json!({"$ref": format!("#/components/schemas/Resource{}", (number + 1) % resources)});
        let mut properties =
            Map::from_iter([("id".to_owned(), json!({"type": "integer"})), ("next".to_owned(), next)]);
        for field in 0..10 {
            properties
                .insert(format!("field_{field}"), json!({"type": "string", "description": "x".repeat(40)}));
        }
        schemas.insert(name, json!({"type": "object", "properties": properties}));
    }
    json!({"openapi": "3.0.0", "paths": paths, "components": {"schemas": schemas}})
}

/// Choices that a made-up document is built from; when they are used up, the first of each list is taken.
struct Choices(std::vec::IntoIter<u8>);

impl Choices {
    fn one<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[usize::from(self.0.next().unwrap_or(0)) % list.len()]
    }

    fn up_to(&mut self, most: u8) -> u8 {
        self.0.next().unwrap_or(0) % (most + 1)
    }

    fn schema(&mut self, depth: u8) -> Value {
        match self.up_to(if depth == 0 { 4 } else { 9 }) {
            0 => json!({"$ref": *self.one(REFERENCES)}),
            1 => {
                json!({"type": *self.one(&["string", "integer", "number", "boolean", "null", "odd"]), "format": *self.one(&["uuid", "date", ""])})
            }
            2 => json!({"enum": [*self.one(NAMES), *self.one(NAMES), null, 7, *self.one(NAMES)]}),
            3 => json!({"type": [*self.one(&["string", "object"]), "null"], "nullable": 1}),
            4 => self
                .one(&[
                    json!({}),
                    json!(true),
                    json!(7),
                    json!([]),
                    json!({"properties": 7, "allOf": {}, "enum": "x"}),
                ])
                .clone(),
            5 => json!({"type": "array", "items": self.schema(depth - 1)}),
            6 => {
                json!({*self.one(&["allOf", "oneOf", "anyOf"]): [self.schema(depth - 1), self.schema(depth - 1)]})
            }
            _ => {
                let mut properties = Map::new();
                for _ in 0..=self.up_to(5) {
                    properties.insert((*self.one(NAMES)).to_owned(), self.schema(depth - 1));
                }
                json!({"type": "object", "properties": properties})
            }
        }
    }

    /// A schema as those of records are, more often than not.
    fn record(&mut self) -> Value {
        if self.up_to(3) == 3 {
            return self.schema(3);
        }
        let mut properties = Map::from_iter([(
            (*self.one(&["id", "id", "_id", "deal_id"])).to_owned(),
            json!({"type": "string"}),
        )]);
        if self.up_to(1) == 1 {
            properties.insert("stage".to_owned(), json!({"enum": ["open", *self.one(NAMES), "closed"]}));
        }
        for _ in 0..=self.up_to(7) {
            let name = *self.one(NAMES);
            properties.entry(name).or_insert(self.schema(1));
        }
        json!({"type": "object", "properties": properties})
    }

    /// An answer as CRMs give it, more often than not.
    fn answer(&mut self) -> Value {
        let reference = json!({"$ref": *self.one(REFERENCES)});
        match self.up_to(4) {
            0 => reference,
            1 => json!({"type": "array", "items": reference}),
            2 => {
                json!({"properties": {*self.one(&["data", "deals", "items", "x y"]): {"type": "array", "items": reference}, "total": {}}})
            }
            3 => json!({"properties": {*self.one(&["data", "deal", "x"]): reference}}),
            _ => self.schema(3),
        }
    }

    fn operation(&mut self, method: &str, is_two: bool) -> Value {
        let parameter = |choices: &mut Self| json!({"name": *choices.one(NAMES), "in": *choices.one(&["query", "path", "header", "body", "formData"]), "schema": choices.schema(1), "type": "string", "example": *choices.one(&["-a", "a desc", "a:asc", "x"])});
        let parameters: Vec<Value> = (0..self.up_to(4)).map(|_| parameter(self)).collect();
        let json = "application/json";
        let media = *self.one(&[
            json,
            json,
            json,
            "text/csv",
            "application/vnd.api+json",
            "application/x-www-form-urlencoded",
        ]);
        let status = *self.one(&["200", "200", "200", "201", "204", "404", "default", "2XX"]);
        let response = match is_two {
            true => json!({"schema": self.answer()}),
            false => json!({"content": {media: {"schema": self.answer()}}}),
        };
        let mut operation =
            json!({"parameters": parameters, "responses": {status: response}, "produces": [media]});
        if self.up_to(7) > 0 && ["post", "put", "patch"].contains(&method) || self.up_to(9) == 9 {
            operation["requestBody"] = json!({"content": {media: {"schema": self.record()}}});
        }
        operation
    }

    fn document(&mut self) -> Value {
        let is_two = self.up_to(2) == 2;
        let mut paths = Map::new();
        for _ in 0..=self.up_to(6) {
            let mut item = Map::new();
            for _ in 0..=self.up_to(6) {
                let method =
                    *self.one(&["get", "get", "post", "put", "patch", "delete", "head", "trace", "summary"]);
                item.insert(method.to_owned(), self.operation(method, is_two));
            }
            let path = match self.up_to(2) {
                0 => {
                    let segments: Vec<&str> = (0..=self.up_to(3)).map(|_| *self.one(SEGMENTS)).collect();
                    format!("/{}", segments.join("/"))
                }
                _ => (*self.one(PATHS)).to_owned(),
            };
            paths.insert(path, Value::Object(item));
        }
        let schemas: Map<String, Value> =
            SCHEMAS.iter().map(|name| ((*name).to_owned(), self.record())).collect();
        match is_two {
            true => {
                json!({"swagger": "2.0", "basePath": *self.one(&["/api", "/", "/a b", "{x}"]), "paths": paths, "components": {"schemas": schemas.clone()}, "definitions": schemas})
            }
            false => {
                json!({"openapi": "3.1.0", "servers": [{"url": *self.one(&["/", "https://x/{v}", "/v1"])}], "paths": paths, "components": {"schemas": schemas.clone()}, "definitions": schemas})
            }
        }
    }
}

const SCHEMAS: &[&str] = &["Deal", "deal", "DEAL", "User", "a b", "договор", "Response"];
const REFERENCES: &[&str] = &[
    "#/components/schemas/Deal",
    "#/components/schemas/deal",
    "#/components/schemas/DEAL",
    "#/components/schemas/User",
    "#/components/schemas/a%20b",
    "#/components/schemas/договор",
    "#/definitions/Deal",
    "#/definitions/Response",
    "#/nowhere",
    "far.yaml#/A",
    "#",
];
const NAMES: &[&str] = &[
    "id",
    "_id",
    "deal_id",
    "data",
    "items",
    "deals",
    "attributes",
    "type",
    "stage",
    "status",
    "owner_id",
    "owner",
    "amount",
    "title",
    "Title",
    "a b",
    "a.b",
    "*",
    "",
    "\u{7f}",
    "\n",
    "'\\\"",
    "$ref",
    "größe",
    "select",
    "sort",
    "page",
    "q",
    "amount__gte",
    "x*",
    "[*]",
];
const PATHS: &[&str] = &[
    "/deals",
    "/deals/{id}",
    "/deals/{id}",
    "/deals/{deal_id}",
    "/deals/{id}/move",
    "/users/{title}",
    "/users",
    "/{kind}/{id}",
    "/deals/search",
    "/users/{id}/deals",
    "/deals({id})",
    "/users/{id}.json",
];
const SEGMENTS: &[&str] = &[
    "deals",
    "deals",
    "{id}",
    "{id}",
    "{deal_id}",
    "{a b}",
    "users",
    "search",
    "move",
    "a b",
    "é",
    "d({id})",
    "{id}.json",
    "{a}{b}",
    "",
    "..",
    "x%20",
    "me",
    "{",
    "{x+}",
];

/// A number that looks like any other (SplitMix64).
fn mixed(number: u64) -> u64 {
    let one = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let two = (one ^ (one >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let three = (two ^ (two >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    three ^ (three >> 31)
}

/// What is made up is what the drafts are for: these documents have records, lists and changes.
#[test]
fn made_up_documents_have_routes_of_all_kinds() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0_u64..400 {
        let byte = |place: u64| (mixed(seed * 1_000 + place) >> 56) as u8;
        let whole = Choices((0..1_000).map(byte).collect::<Vec<u8>>().into_iter()).document();
        let document = read("a.json", &whole.to_string());
        let drafted = draft(&document);
        seen.extend(drafted.routes.iter().filter_map(|route| Some(route.in_force()?.action.name())));
    }
    let expected = ["create", "delete", "edit", "list", "search", "view"];
    assert_eq!(
        seen.into_iter().filter(|name| !["export", "moveStage"].contains(name)).collect::<Vec<_>>(),
        expected
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever a document holds, its draft loads, warns of nothing, is the same twice, and permits nothing.
    #[test]
    fn every_document_is_drafted(choices in prop::collection::vec(any::<u8>(), 0..1_000)) {
        let whole = Choices(choices.into_iter()).document();
        let document = read("a.json", &whole.to_string());
        let bundle = check(&document);
        let permits = bundle.policies.set.policies().filter(|policy| policy.effect() == cedar_policy::Effect::Permit);
        prop_assert_eq!(permits.count(), 0);
        let passes = |route: &crate::bundle::profile::route::Route| route.pass.is_some();
        prop_assert!(!bundle.profile.routes.iter().any(passes));
    }

    /// No text is taken for a path that a template would read otherwise.
    #[test]
    fn every_path_is_a_template_or_none(path in "[/{}a-c:+.()*é ]{0,20}") {
        if let Ok(path) = Path::parse(&path) {
            let label = path.label("GET", path.record_parameter(), &|_| super::PartKind::Text);
            prop_assert!(crate::bundle::profile::template::Template::parse(&label).is_ok(), "{}", label);
        }
    }
}

#[test]
fn lists_are_read_by_the_actions_of_collections() {
    let list = || json!({"get": answers(json!({"type": "array", "items": deal()}))});
    of_deals(
        json!({"/deals": list(), "/deals/search": list(), "/deals/{id}": list()}),
        &[
            "GET /deals: list Deal",
            "GET /deals/search: search Deal over GET /deals/{deal_id}",
            "GET /deals/{deal_id}: guessed with low confidence: its path names one record, and many are answered",
        ],
    );
}
