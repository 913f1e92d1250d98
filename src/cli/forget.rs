//! `lockkeeper audit forget`: erases a person from the table of handles. Entries and proofs stay as they are.
//!
//! Promises: while a service writes the ledger, the service does it, and none starts while this does, so that neither undoes what the
//! other wrote. Never says more of a person than their handle.

use clap::Args;
use serde_json::{Value, json};

use super::admin_post::post;
use super::audit::{StateArgs, Whose, describe};
use super::exit::Exit;
use super::render;
use crate::admin::erasures::PATH;
use crate::ledger::handles::{Handles, Names};
use crate::ledger::hold::Hold;
use crate::model::principal::EntityRef;

/// The arguments.
#[derive(Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// Who, e.g. 'User::"anna"'
    #[arg(value_name = "PRINCIPAL", value_parser = super::explain::principal)]
    who: EntityRef,
}

/// Runs the command.
pub fn run(args: &ForgetArgs, whose: &Whose) -> Exit {
    match forgotten(&args.who, whose) {
        Ok(handle) => {
            render::line(&handle);
            render::message(format!(
                "{handle} belongs to nobody from here on; its entries and their proofs stay as they are"
            ));
            render::message(
                "copies of `principals.jsonl`, such as backups, still tell whose it was; so do answers of `audit query` and access reviews that were kept with names",
            );
            Exit::Success
        }
        Err(why) => {
            render::failure(&why);
            Exit::Failure
        }
    }
}

fn forgotten(who: &EntityRef, whose: &Whose) -> Result<String, String> {
    let missing = || format!("`{who}` has no handle: no request of theirs is in this ledger");
    let held = Hold::take(&whose.state).map_err(|error| describe(&error))?;
    if held.is_none() {
        let help = "a service writes this ledger and must do it: name its configuration, with an `[admin]` section, with --config";
        let admin = whose.admin.as_ref().ok_or(help)?;
        let answer = post(admin, PATH, &json!({ "principal": who.to_string() }))?;
        let handle = answer.get("handle").and_then(Value::as_str);
        return handle
            .map(str::to_owned)
            .ok_or_else(|| "the admin listener does not know erasures".to_owned());
    }
    // Nothing is made in a folder that has no such table.
    let names = Names::read(&whose.state).map_err(|error| describe(&error))?;
    names.handle(&who.type_name, &who.id).ok_or_else(missing)?;
    let handles = Handles::open(&whose.state).map_err(|error| describe(&error))?;
    let handle =
        handles.forget(&who.type_name, &who.id).map_err(|error| describe(&error))?.ok_or_else(missing)?;
    render::message("no service writes this ledger, so no entry says that this was done");
    Ok(handle)
}
