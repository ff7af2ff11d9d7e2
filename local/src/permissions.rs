//! What functions may do, as the template's policies say: a call that no statement allows is
//! refused, as AWS refuses it. Whoever is no function of the template (an operator, a function under
//! `cargo lambda watch`) may do everything.
//!
//! Where a folder is named for it, each permission that was asked for stands in a file there, once
//! for each stack: over many runs that shows what is granted and never used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_endpoint::Access;
use sam_template::policy::{self, Statement};
use serde::Serialize;

use crate::error::LocalError;
use crate::programs;

/// A permission that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Asked {
    function: String,
    action: String,
    resource: String,
    allowed: bool,
}

/// The policies of a template's functions.
pub(crate) struct Permissions {
    /// Name and statements of each function, by the key with which it signs.
    functions: BTreeMap<String, (String, Vec<Statement>)>,
    asked: Mutex<BTreeSet<Asked>>,
    file: Option<Mutex<File>>,
}

impl Permissions {
    pub(crate) fn of(
        stack: &sam_template::Stack,
        folder: Option<&Path>,
    ) -> Result<Self, LocalError> {
        let held = stack.functions.iter().filter_map(|function| {
            let statements = function.permissions.clone()?;
            let name = function.name.clone();
            Some((programs::caller(&name), (name, statements)))
        });
        let file = folder
            .map(|folder| {
                let path = folder.join(format!("{}.jsonl", std::process::id()));
                let opened = OpenOptions::new().create(true).append(true).open(&path);
                opened.map_err(|error| LocalError::file(path, error))
            })
            .transpose()?;
        Ok(Self {
            functions: held.collect(),
            asked: Mutex::default(),
            file: file.map(Mutex::new),
        })
    }

    /// Notes what was asked for, once, where a list is kept.
    fn note(&self, function: &str, access: &Access, allowed: bool) {
        let Some(file) = &self.file else { return };
        let asked = Asked {
            function: function.to_owned(),
            action: access.action.clone(),
            resource: access.resource.clone(),
            allowed,
        };
        let mut known = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&asked) {
            let line = serde_json::to_string(&asked).unwrap_or_default();
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A list for reading: a full disk stops what matters more.
            let _ = writeln!(file, "{line}");
            known.insert(asked);
        }
    }
}

impl aws_endpoint::Permissions for Permissions {
    fn allows(&self, caller: &str, access: &Access) -> bool {
        let Some((function, statements)) = self.functions.get(caller) else {
            return true;
        };
        let Access {
            action,
            resource,
            context,
        } = access;
        let allowed = policy::allowing(statements, action, resource, context).is_some();
        self.note(function, access, allowed);
        allowed
    }
}
