//! Faults of our own code, by name: a test switches them on one by one, to show that it would catch each.
//!
//! Promises: without the feature `testkit` there is no switch, and the answer is `false` while compiling; with it, only a build
//! with debug assertions compiles (`lib.rs`). So nothing that is released holds any of them.

/// Declares the faults, and the list of them.
macro_rules! faults {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A fault that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])+ $name,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name,)+];
        }
    };
}

faults! {
    /// Keys that say a field in another form are not its twins.
    TwinsAreForgotten,
    /// What a mask stands for is shown.
    MaskIsForgotten,
    /// Keys that no field claims are copied.
    UnclaimedKeysPass,
    /// Places of an answer that the profile does not describe are copied.
    UndescribedPlacesPass,
    /// A composite of which nothing may be seen is shown empty.
    EmptyCompositesStay,
    /// Records inside of records are copied.
    EmbeddedRecordsPass,
    /// A hidden row is shown with its id alone.
    HiddenRowsStay,
    /// Totals stay as the CRM counted them.
    TotalsStay,
    /// The count of what is shown counts what is not.
    HiddenRowsAreCounted,
    /// The answers to changes are not filtered.
    WriteAnswersPass,
    /// What the CRM says of an error is told.
    ErrorsAreTold,
    /// The CRM's own words for a missing record are used.
    MissingIsSaid,
    /// A hidden record is denied, not missing.
    HiddenIsDenied,
    /// A change of a hidden record is denied, not missing.
    HiddenChangeIsDenied,
    /// Of several records of a request, the first problem is told, whatever it is.
    FirstProblemIsTold,
    /// The CRM's tag of an answer leaves.
    TagPasses,
    /// The CRM's links to other pages leave.
    LinksPass,
    /// Numbers of rows and other pages are told to whom rows are hidden.
    PagesAreTold,
    /// `If-None-Match` goes to the CRM.
    IfNoneMatchPasses,
    /// `If-Match` goes to the CRM.
    IfMatchPasses,
    /// Any field may be used to sort.
    SortIsFree,
    /// Any field may be used to filter.
    FilterIsFree,
    /// Any field may be searched.
    SearchIsFree,
    /// Hidden rows may shape a page.
    HiddenRowsShape,
    /// Rows that may not be viewed take places in a window of those that may.
    WindowCountsHidden,
    /// In a list that is refilled the CRM's number of rows stays.
    CrmTotalIsTold,
    /// Of a path through relations only the first step must be readable.
    FirstStepCounts,
    /// What may be read on some records counts as readable on every one.
    SometimesIsAlways,
    /// Undeclared parameters are forwarded.
    UndeclaredParametersPass,
    /// Sums are told to those who do not see everything.
    RequirementsAreForgotten,
    /// What was not carried counts as absent.
    NotCarriedIsAbsent,
    /// What does not convert counts as absent.
    NonconformingIsAbsent,
    /// The projection lacks what policies need.
    NeedsAreNotAsked,
    /// Policies that forbid are lost.
    GuardsAreLost,
    /// A hidden value that comes back as it is counts as unchanged.
    HiddenIsCompared,
    /// Any field may be written.
    HiddenIsWritten,
    /// A full replacement needs no full view.
    PartialViewsReplace,
    /// A body may name another record than the path.
    OtherIdsPass,
}

/// Whether a fault is switched on.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub const fn is_seeded(_: Fault) -> bool {
    false
}

/// Whether a fault is switched on, in this process.
#[cfg(feature = "testkit")]
pub fn is_seeded(fault: Fault) -> bool {
    SEEDED.load(std::sync::atomic::Ordering::Relaxed) == fault as u8
}

/// Switches one fault on, or all off, for the whole process.
#[cfg(feature = "testkit")]
pub fn seed(fault: Option<Fault>) {
    SEEDED.store(fault.map_or(NONE, |fault| fault as u8), std::sync::atomic::Ordering::Relaxed);
}

#[cfg(feature = "testkit")]
static SEEDED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(NONE);
#[cfg(feature = "testkit")]
const NONE: u8 = u8::MAX;
