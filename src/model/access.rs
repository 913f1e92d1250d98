//! What is asked for: the access requests that one HTTP request stands for, before anything is decided.

/// An action of the base schema that a route may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// See a record.
    View,
    /// Make a record.
    Create,
    /// Change a record's fields.
    Edit,
    /// Remove a record.
    Delete,
    /// Bring a removed record back.
    Restore,
    /// Join records.
    Merge,
    /// Turn a record into another type.
    Convert,
    /// Copy a record.
    Clone,
    /// Hand a record to another owner.
    Assign,
    /// Share a record.
    Share,
    /// Relate two records.
    Relate,
    /// Comment on a record.
    Comment,
    /// Attach a file.
    Attach,
    /// Fetch a file.
    Download,
    /// Send mail from a record.
    Mail,
    /// Move a record to another stage or pipeline.
    MoveStage,
    /// List records of a type.
    List,
    /// Search records of a type.
    Search,
    /// Export records of a type.
    Export,
    /// Change many records.
    BulkEdit,
    /// Remove many records.
    BulkDelete,
    /// Ask for aggregates.
    Report,
}

/// What kind of resource an action is asked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One record, which is read.
    RecordRead,
    /// One record, which is changed.
    RecordWrite,
    /// All records of a type.
    Collection,
}

impl Action {
    /// Every action, in the order of the base schema.
    pub const ALL: &'static [Action] = &[
        Action::View,
        Action::Create,
        Action::Edit,
        Action::Delete,
        Action::Restore,
        Action::Merge,
        Action::Convert,
        Action::Clone,
        Action::Assign,
        Action::Share,
        Action::Relate,
        Action::Comment,
        Action::Attach,
        Action::Download,
        Action::Mail,
        Action::MoveStage,
        Action::List,
        Action::Search,
        Action::Export,
        Action::BulkEdit,
        Action::BulkDelete,
        Action::Report,
    ];

    /// The name in Cedar and in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Action::View => "view",
            Action::Create => "create",
            Action::Edit => "edit",
            Action::Delete => "delete",
            Action::Restore => "restore",
            Action::Merge => "merge",
            Action::Convert => "convert",
            Action::Clone => "clone",
            Action::Assign => "assign",
            Action::Share => "share",
            Action::Relate => "relate",
            Action::Comment => "comment",
            Action::Attach => "attach",
            Action::Download => "download",
            Action::Mail => "mail",
            Action::MoveStage => "moveStage",
            Action::List => "list",
            Action::Search => "search",
            Action::Export => "export",
            Action::BulkEdit => "bulkEdit",
            Action::BulkDelete => "bulkDelete",
            Action::Report => "report",
        }
    }

    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }

    /// What the action is asked on.
    pub fn scope(self) -> Scope {
        match self {
            Action::View | Action::Download => Scope::RecordRead,
            Action::List
            | Action::Search
            | Action::Export
            | Action::BulkEdit
            | Action::BulkDelete
            | Action::Report => Scope::Collection,
            _ => Scope::RecordWrite,
        }
    }

    /// Whether it changes one record or many.
    pub fn is_change(self) -> bool {
        self.scope() == Scope::RecordWrite || matches!(self, Action::BulkEdit | Action::BulkDelete)
    }
}
