//! A random bundle about the model CRM: what is described, how it is hidden, who may what. And a directory to go with it.
//!
//! Only what the profile's author promises is kept true: which parameters there are, what a key says in another form, what a
//! list does with hidden rows. All else is drawn.

use std::collections::BTreeMap;

use lockkeeper::testkit::dice::Dice;

use super::model::{Kind, Style};
use super::policies::{self, Policies};

/// A bundle with what the test needs to know of it.
pub struct Bundle {
    pub style: Style,
    pub profile: String,
    pub directory: String,
    pub policies: Policies,
    /// How each list is paged.
    pub pages: BTreeMap<Kind, Pages>,
    /// The described fields, by type and place in a record.
    pub fields: BTreeMap<(Kind, String), Field>,
}

/// What pages of a list are like for those to whom rows are hidden, and how they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Short, by number.
    Short,
    /// Full, by number.
    FullByNumber,
    /// Full, by the rows before them.
    FullByOffset,
}

/// A field as the profile describes it.
#[derive(Clone, Debug)]
pub struct Field {
    pub sets: Vec<&'static str>,
    pub hide: Hide,
    pub mask: Option<&'static str>,
}

/// What stands where a field may not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hide {
    Remove,
    Null,
    Value,
    Branch,
    Refuse,
}

impl Bundle {
    /// Draws one.
    pub fn random(dice: &mut Dice) -> Self {
        let style = Style {
            writes_null: !dice.one_in(3),
            escapes: dice.one_in(3),
            clears: dice.one_in(2),
            says_owner_inside: dice.one_in(3),
            is_conditional: !dice.one_in(4),
        };
        let fields = fields(style, dice);
        let policies = policies::random(dice);
        let pages = [Pages::Short, Pages::Short, Pages::FullByNumber, Pages::FullByOffset];
        let pages = Kind::ALL.into_iter().map(|kind| (kind, *dice.one_of(&pages))).collect();
        let profile = profile(style, &fields, &pages, dice);
        Self { style, pages, profile, directory: directory(dice), policies, fields }
    }

    /// What the profile says of a key, by its place in a record; derived keys follow what they are derived from.
    pub fn field_of(&self, kind: Kind, key: &str) -> Option<&Field> {
        self.fields.get(&(kind, key.to_owned()))
    }
}

fn fields(style: Style, dice: &mut Dice) -> BTreeMap<(Kind, String), Field> {
    let mut fields = BTreeMap::new();
    let address = if dice.one_in(2) { Some(dice.pick(&["money", "private"])) } else { None };
    for kind in Kind::ALL {
        let described = kind.keys().iter().filter(|key| !NEVER_DESCRIBED.contains(key));
        for key in described {
            if AT_TIMES_DESCRIBED.contains(key) && dice.one_in(2) {
                continue;
            }
            let mut field = field(key, dice);
            if let Some(set) = address.filter(|_| key.starts_with("address.")) {
                field = Field { sets: vec![set], mask: None, ..field };
            }
            fields.insert((kind, (*key).to_owned()), field);
        }
        let hide = if style.writes_null { Hide::Null } else { Hide::Remove };
        for relation in relations(kind) {
            let hide = if relation.ends_with('s') { Hide::Remove } else { hide };
            let field = Field { sets: vec![dice.pick(&["public", "public", "private"])], hide, mask: None };
            fields.insert((kind, (*relation).to_owned()), field);
        }
    }
    fields
}

fn field(key: &str, dice: &mut Dice) -> Field {
    // Each set has a field.
    let mut sets = match key {
        "title" | "name" | "version" | "stage" | "owner_id" => vec!["public"],
        "margin" => vec!["money"],
        "internal" => vec!["private"],
        _ => vec![dice.pick(&["public", "public", "money", "private"])],
    };
    if dice.one_in(8) && !sets.contains(&"private") {
        sets.push("private");
    }
    let hide = match dice.below(16) {
        0..3 => Hide::Null,
        3 => Hide::Value,
        4 if key.starts_with("address.") => Hide::Branch,
        5 if dice.one_in(3) => Hide::Refuse,
        _ => Hide::Remove,
    };
    let mask = (dice.one_in(3) && key != "version").then(|| dice.pick(&["\"***\"", "0", "\"\""]));
    Field { sets, hide, mask }
}

/// The relations that records of a type are written with.
pub fn relations(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Deal => &["contact", "company"],
        Kind::Contact => &["company"],
        Kind::Company => &["deals", "contacts"],
    }
}

fn directory(dice: &mut Dice) -> String {
    let mut entities = Vec::new();
    let mut add = |kind: &str, id: &str, attributes: String, parents: Vec<String>| {
        let parents = parents.join(",");
        entities.push(format!(
            r#"{{"uid":{{"type":"{kind}","id":"{id}"}},"attrs":{{{attributes}}},"parents":[{parents}]}}"#
        ));
    };
    ROLES.iter().for_each(|role| add("Role", role, String::new(), Vec::new()));
    for (number, team) in TEAMS.iter().enumerate() {
        add("Team", team, format!(r#""crmId":"{}""#, number + 1), Vec::new());
    }
    for (number, user) in USERS.iter().enumerate() {
        let mut parents = Vec::new();
        for (kind, ids) in [("Role", ROLES), ("Team", TEAMS)] {
            let of = ids.iter().filter(|_| dice.one_in(2));
            parents.extend(of.map(|id| format!(r#"{{"type":"{kind}","id":"{id}"}}"#)));
        }
        add("User", user, format!(r#""active":true,"crmId":"{}""#, number + 11), parents);
    }
    format!("[{}]", entities.join(",\n"))
}

fn profile(
    style: Style,
    fields: &BTreeMap<(Kind, String), Field>,
    pages: &BTreeMap<Kind, Pages>,
    dice: &mut Dice,
) -> String {
    let mut text = HEAD.to_owned();
    if dice.one_in(2) {
        text.push_str("[not_found]\nstatus = 404\ncontent_type = \"application/json\"\nbody = '{\"error\":\"not found\"}'\n");
    }
    for kind in Kind::ALL {
        text.push_str(&record_type(kind, fields, dice));
    }
    for kind in Kind::ALL {
        text.push_str(&reads(kind, pages[&kind], dice));
    }
    text.push_str(&writes(style, dice));
    text.push_str(&others(fields, dice));
    text
}

fn record_type(kind: Kind, fields: &BTreeMap<(Kind, String), Field>, dice: &mut Dice) -> String {
    let (name, path) = (kind.name(), kind.path());
    let mut text = format!("[types.{name}]\nid = \"id\"\nnames = [\"{path}\"]\nmeta = [\"kind\"]\n");
    // Without it, what stands inside of other records is seen only as far as anybody sees it.
    if !dice.one_in(4) {
        text.push_str(&format!("fetch = \"GET,HEAD /{path}/{{id:int}}\"\n"));
    }
    text.push_str(&format!("[types.{name}.attributes]\n"));
    for (attribute, spec) in
        ATTRIBUTES.iter().filter(|(of, ..)| *of == kind).map(|(_, name, spec)| (name, spec))
    {
        text.push_str(&format!("{attribute} = {{ {spec} }}\n"));
    }
    text.push_str(&format!("[types.{name}.fields]\n"));
    for ((_, key), field) in fields.iter().filter(|((of, _), _)| *of == kind) {
        let sets: Vec<String> = field.sets.iter().map(|set| format!("\"{set}\"")).collect();
        let mut parts = vec![format!("sets = [{}]", sets.join(", "))];
        parts.extend(match field.hide {
            Hide::Remove => None,
            Hide::Null => Some("hide = \"null\"".to_owned()),
            Hide::Value => Some("hide = { value = 0 }".to_owned()),
            Hide::Branch => Some("hide = \"branch\"".to_owned()),
            Hide::Refuse => Some("hide = \"refuse\"".to_owned()),
        });
        parts.extend(field.mask.map(|mask| format!("mask = {mask}")));
        parts.extend(embedded(key).map(|of| format!("is = \"{}\"", of.name())));
        parts.extend(
            match key.as_str() {
                "amount" => Some("twins = [\"amount_*\"]"),
                "margin" => Some("twins = [\"margin_pct\"]"),
                "email" => Some("twins = [\"*_html\"]"),
                "credit" => Some("twins = [\"credit_fmt\"]"),
                _ => None,
            }
            .map(str::to_owned),
        );
        if field.hide == Hide::Remove && embedded(key).is_some() {
            parts.push("hide = \"remove\"".to_owned());
        }
        text.push_str(&format!("\"{key}\" = {{ {} }}\n", parts.join(", ")));
    }
    text
}

/// The type of what a relation leads to.
pub fn embedded(key: &str) -> Option<Kind> {
    match key {
        "contact" | "contacts" => Some(Kind::Contact),
        "company" => Some(Kind::Company),
        "deals" => Some(Kind::Deal),
        _ => None,
    }
}

fn reads(kind: Kind, pages: Pages, dice: &mut Dice) -> String {
    let (name, path) = (kind.name(), kind.path());
    let read = 1 + dice.below(4);
    let hidden_rows = match pages {
        Pages::Short => format!("hidden_rows = \"{}\"", dice.pick(&["visible", "visible-when-paged"])),
        Pages::FullByNumber => {
            format!(
                "refill = {{ size = \"per_page\", page = \"page\", default = 40, most = 50, read = {read} }}"
            )
        }
        Pages::FullByOffset => {
            format!(
                "refill = {{ size = \"limit\", offset = \"offset\", default = 40, most = 50, read = {read} }}"
            )
        }
    };
    let mut totals = Vec::new();
    for place in ["total", "total_amount"] {
        let treatment =
            dice.pick(&["", ", when_rows_hidden = \"null\"", ", when_rows_hidden = { unknown = -1 }"]);
        // A sum is no number of rows.
        let counts = if place == "total" { dice.pick(&["", ", counts_rows = true"]) } else { "" };
        totals.push(format!("{{ at = \"$.{place}\"{treatment}{counts} }}"));
    }
    totals.push("{ at = \"$.count\", when_rows_hidden = \"count-shown\" }".to_owned());
    totals.retain(|_| !dice.one_in(4));
    let complete = dice.pick(&["complete = true", "complete = true", "complete = false"]);
    let others = dice.pick(&["", "", "pages = [\"$.next\", \"header.link\"]\n", "pages = [\"$.next\"]\n"]);
    let push_down = dice.pick(&["", PUSH_DOWN, PUSH_DOWN]);
    let push_down = if kind == Kind::Deal { push_down } else { "" };
    let mut text = format!(
        "[[routes]]\nmatch = \"GET,HEAD /{path}\"\naction = \"list\"\nrecords = {{ at = \"$.data[*]\", type = \"{name}\", {complete} }}\n\
         totals = [{}]\nkeep = [\"$.page\"]\n{hidden_rows}\n{push_down}{others}[routes.query]\n",
        totals.join(", ")
    );
    let list = if kind == Kind::Deal { DEAL_QUERY } else { PEOPLE_QUERY };
    let list = match pages {
        Pages::FullByOffset => list.replace("per_page =", "limit =").replace("page =", "offset ="),
        Pages::Short | Pages::FullByNumber => list.to_owned(),
    };
    for line in list.lines().filter(|line| !line.is_empty()) {
        let is_of_page = ["page", "per_page", "limit", "offset"].iter().any(|name| line.starts_with(name));
        if is_of_page || line.starts_with("filter =") || !dice.one_in(8) {
            text.push_str(&format!("{line}\n"));
        }
    }
    if dice.one_in(3) {
        text.push_str("q = \"search\"\n");
    } else if !dice.one_in(4) {
        let over: Vec<String> =
            super::model::query::searched(kind).iter().map(|key| format!("\"{name}.{key}\"")).collect();
        text.push_str(&format!("q = {{ role = \"search\", over = [{}] }}\n", over.join(", ")));
    }
    text.push_str(&format!(
        "[[routes]]\nmatch = \"GET,HEAD /{path}/{{id:int}}\"\naction = \"view\"\nrecords = {{ at = \"$\", type = \"{name}\", complete = true }}\n\
         [routes.query]\nselect = {{ role = \"select\", form = \"comma-list\" }}\nexpand = {{ role = \"expand\", form = \"comma-list\", values = [\"none\"] }}\n",
    ));
    text
}

fn writes(style: Style, dice: &mut Dice) -> String {
    let errors = [
        "errors = [{ status = [422], records = { at = \"$.record\", type = \"Deal\", complete = true }, keep = [\"$.error\", \"$.key\"] }]\n",
        "errors = [{ status = [409], records = { at = \"$.existing\", type = \"Deal\", complete = true } }, { status = [422], keep = [\"$.key\"] }]\n",
        "",
    ];
    let errors = dice.pick(&errors);
    let mut text = WRITES.replace("ERRORS", errors);
    if style.clears {
        let resend = dice.pick(&["", ", resend = { phone = \"$\" }"]);
        text = text.replace("CLEARS", &format!(", clears = [\"phone\"]{resend}"));
    }
    // Tags are the CRM's only where it looks at them.
    let tag = "version = { from = \"header.etag\", to = \"header.if-match\" }";
    let number = "version = { from = \"record.version\", to = \"body.$.version\" }";
    let pinned = if style.is_conditional { tag } else { number };
    // One status says one thing.
    let is_taken = pinned == number && errors.contains("409");
    let version = dice.pick(&["", "version = \"read-again\"", pinned, pinned]);
    let version = if is_taken && version == pinned { "" } else { version };
    let hidden =
        if version == pinned { ", hidden = \"keep\", ignored = [\"contact\", \"company\"]" } else { "" };
    text.replace("CLEARS", "").replace("VERSION", version).replace("HIDDEN", hidden)
}

fn others(fields: &BTreeMap<(Kind, String), Field>, dice: &mut Dice) -> String {
    let columns = ["title", "stage", "owner_id", "team_id", "amount", "margin", "notes", "flagged"];
    let described = columns.iter().filter(|key| fields.contains_key(&(Kind::Deal, (**key).to_owned())));
    let columns: Vec<String> = described.map(|key| format!("\"{key}\" = \"{key}\"")).collect();
    let hidden_rows = dice.pick(&["visible", "visible-when-paged"]);
    format!(
        "{OTHERS}hidden_rows = \"{hidden_rows}\"\n{CSV}csv = {{ columns = {{ \"id\" = \"id\", {} }} }}\n",
        columns.join(", ")
    )
}

pub const USERS: &[&str] = &["u1", "u2", "u3", "u4"];
pub const ROLES: &[&str] = &["r0", "r1", "r2"];
pub const TEAMS: &[&str] = &["t1", "t2", "t3"];

/// Keys that no profile describes, and those that some do not.
const NEVER_DESCRIBED: &[&str] = &["risk", "score", "rating"];
const AT_TIMES_DESCRIBED: &[&str] = &["tags", "vip", "address.zip", "tier"];

/// Attributes: the type, the name, and where the profile says that they are.
pub const ATTRIBUTES: &[(Kind, &str, &str)] = &[
    (Kind::Deal, "owner", "at = \"owner_id\", as = \"User\", by = \"crmId\""),
    (Kind::Deal, "team", "at = \"team_id\", as = \"Team\", by = \"crmId\""),
    (Kind::Deal, "stage", "as = \"Stage\""),
    (Kind::Deal, "amount", "as = \"decimal\""),
    (Kind::Deal, "flagged", "as = \"bool\""),
    (Kind::Contact, "owner", "at = \"owner_id\", as = \"User\", by = \"crmId\""),
    (Kind::Contact, "team", "at = \"team_id\", as = \"Team\", by = \"crmId\""),
    (Kind::Contact, "vip", "as = \"bool\""),
    (Kind::Company, "owner", "at = \"owner_id\", as = \"User\", by = \"crmId\""),
];

pub const SCHEMA: &str = "
entity Deal { owner?: User, team?: Team, stage?: Stage, amount?: decimal, flagged?: Bool };
entity Contact { owner?: User, team?: Team, vip?: Bool };
entity Company { owner?: User };
type Proposed = { amount?: decimal, owner?: User };
";

const HEAD: &str = "profile = 1
[headers]
request = [\"accept-language\"]
response = [\"content-language\"]
[pipelines.sales.stages]
lead = { groups = [\"open\"] }
talk = { groups = [\"open\"] }
won  = { groups = [\"closed\"] }
[field_sets]
secret = []
public = []
money = [\"secret\"]
private = [\"secret\"]
";

const DEAL_QUERY: &str = "
page = \"paging\"
per_page = \"paging\"
select = { role = \"select\", form = \"comma-list\" }
expand = { role = \"expand\", form = \"comma-list\", values = [\"none\"] }
sort = { role = \"sort\", form = \"signed-list\" }
order_by = { role = \"sort\", form = \"direction-list\" }
\"amount__*\" = { role = \"filter\", form = \"operator-suffix\" }
\"margin__*\" = { role = \"filter\", form = \"operator-suffix\" }
\"title__*\" = { role = \"filter\", form = \"operator-suffix\" }
\"internal__*\" = { role = \"filter\", form = \"operator-suffix\" }
\"filter[*\" = { role = \"filter\", form = \"bracketed\" }
stage = { role = \"filter\", form = \"key\" }
owner_id = { role = \"filter\", form = \"key\" }
margin = { role = \"filter\", form = \"key\" }
\"contact.email\" = { role = \"filter\", form = \"key\" }
\"company.credit\" = { role = \"filter\", form = \"key\" }
filter = { role = \"filter\", form = \"tree\", name = \"field\", operator = \"op\", value = \"value\", operators = [\"eq\", \"gte\", \"lte\", \"contains\", \"in\"], and = \"and\", or = \"or\" }
format = \"ignored\"
debug = \"refused\"
";

const PUSH_DOWN: &str = "push_down = { into = \"filter\", attributes = { owner = { at = \"owner_id\", as = \"number\" }, \
    team = { at = \"team_id\", as = \"number\" }, stage = \"stage\", flagged = \"flagged\" }, equal = \"eq\", in = \"in\" }\n";

const PEOPLE_QUERY: &str = "
page = \"paging\"
per_page = \"paging\"
sort = { role = \"sort\", form = \"signed-list\" }
name = { role = \"filter\", form = \"key\" }
owner_id = { role = \"filter\", form = \"key\" }
\"filter[*\" = { role = \"filter\", form = \"bracketed\" }
select = { role = \"select\", form = \"comma-list\" }
expand = { role = \"expand\", form = \"comma-list\" }
";

const WRITES: &str = "
[[routes]]
match = \"POST /deals\"
action = \"create\"
type = \"Deal\"
writes = { at = \"$\", defaults = { stage = \"lead\", owner_id = 11 } }
records = { at = \"$\", complete = true }
ERRORS
[[routes]]
match = \"PATCH /deals/{id:int}\"
action = \"edit\"
type = \"Deal\"
before = \"GET,HEAD /deals/{id:int}\"
writes = { at = \"$\", semantics = \"merge\" }
VERSION
also = [{ action = \"assign\", when = { at = \"$.owner_id\", changes = true } }]
records = { at = \"$\", complete = true }
ERRORS
[[routes]]
match = \"PUT /deals/{id:int}\"
action = \"edit\"
type = \"Deal\"
before = \"GET,HEAD /deals/{id:int}\"
writes = { at = \"$\", semantics = \"replace\"HIDDEN }
VERSION
also = [{ action = \"assign\", when = { at = \"$.owner_id\", changes = true } }]
records = { at = \"$\", complete = true }
ERRORS
[[routes]]
match = \"DELETE /deals/{id:int}\"
action = \"delete\"
type = \"Deal\"
before = \"GET,HEAD /deals/{id:int}\"
[[routes]]
match = \"POST /deals/{id:int}/move\"
action = \"moveStage\"
type = \"Deal\"
before = \"GET,HEAD /deals/{id:int}\"
to = { at = \"$.stage\" }
records = { at = \"$\", complete = true }
[[routes]]
match = \"POST /deals/bulk\"
action = \"bulkEdit\"
type = \"Deal\"
id = \"body.$.ids[*]\"
before = \"GET,HEAD /deals/{id:int}\"
writes = { at = \"$.set\" }
also = [{ action = \"assign\", when = { at = \"$.set.owner_id\", changes = true } }]
records = { at = \"$.data[*]\", complete = true }
keep = [\"$.updated\"]
[[routes]]
match = \"PATCH /contacts/{id:int}\"
action = \"edit\"
type = \"Contact\"
before = \"GET,HEAD /contacts/{id:int}\"
writes = { at = \"$\"CLEARS }
records = { at = \"$\", complete = true }
";

const OTHERS: &str = "
[[routes]]
match = \"GET /report\"
action = \"report\"
type = \"Deal\"
requires = [\"Deal\"]
keep = [\"$.amount\", \"$.margin\", \"$.stages\"]
[[routes]]
match = \"GET /recent\"
action = \"list\"
type = \"Deal\"
records = { at = \"$.items[*]\", type = { key = \"kind\" }, complete = true }
";

const CSV: &str = "
[[routes]]
match = \"GET /deals.csv\"
action = \"export\"
type = \"Deal\"
query = { stage = { role = \"filter\", form = \"key\" }, sort = { role = \"sort\", form = \"signed-list\" } }
records = { at = \"$[*]\", complete = true }
";
