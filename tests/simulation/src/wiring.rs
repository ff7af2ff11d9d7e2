//! What is wired to what: read from the template, so that the world cannot drift from it.

use std::sync::Arc;

use sam_template::{Context, EventPattern, Mapping, MappingSource, Stack, Target, TemplateError};

/// The template of the system.
const TEMPLATE: &str = include_str!("../../../template.yaml");
/// The table whose stream feeds the mappings.
const EVENT_STORE: &str = "EventStore";

/// Rules and mappings, and how each consumer retries.
#[derive(Debug)]
pub struct Wiring {
    /// Which events go to which function.
    pub rules: Vec<Rule>,
    /// Who reads the stream of the event store.
    pub mappings: Vec<Mapping>,
    /// Functions with their asynchronous retries.
    functions: Vec<Function>,
}

/// A rule of the bus.
#[derive(Debug)]
pub struct Rule {
    /// Which events it selects.
    pub pattern: EventPattern,
    /// The program that gets them.
    pub consumer: String,
}

#[derive(Debug)]
struct Function {
    logical_id: String,
    program: String,
    retries: u32,
    has_dead_letters: bool,
}

impl Wiring {
    /// The wiring of the template.
    ///
    /// # Errors
    /// [`TemplateError`], when it cannot be read.
    pub fn of_template() -> Result<Arc<Self>, TemplateError> {
        let stack = Stack::from_yaml(TEMPLATE, &Context::default())?;
        let functions: Vec<_> = stack
            .functions
            .iter()
            .map(|function| Function {
                logical_id: function.logical_id.clone(),
                program: function.binary.clone(),
                retries: function.async_retries,
                has_dead_letters: function.on_failure.is_some(),
            })
            .collect();
        let program = |logical_id: &str| {
            let mut all = functions.iter();
            all.find(|one| one.logical_id == logical_id)
                .map(|one| one.program.clone())
        };
        let rules = stack.rules.iter().filter(|rule| rule.enabled);
        let rules = rules
            .flat_map(|rule| {
                rule.targets
                    .iter()
                    .filter_map(|target| match &target.target {
                        Target::Function { logical_id } => Some(Rule {
                            pattern: rule.pattern.clone(),
                            consumer: program(logical_id)?,
                        }),
                        _ => None,
                    })
            })
            .collect();
        let store = stack
            .tables
            .iter()
            .find(|one| one.logical_id == EVENT_STORE);
        let store = store.map(|table| table.name.clone()).unwrap_or_default();
        let of_store = |mapping: &&Mapping| matches!(&mapping.source, MappingSource::TableStream { table } if *table == store);
        let mut mappings: Vec<_> = stack.mappings.iter().filter(of_store).cloned().collect();
        for mapping in &mut mappings {
            mapping.function = program(&mapping.function).unwrap_or_default();
        }
        Ok(Arc::new(Self {
            rules,
            mappings,
            functions,
        }))
    }

    /// Retries of a failed asynchronous invocation of this program.
    #[must_use]
    pub fn retries(&self, program: &str) -> u32 {
        self.function(program).map_or(0, |one| one.retries)
    }

    /// Whether what this program gives up goes to a dead-letter queue.
    #[must_use]
    pub fn has_dead_letters(&self, program: &str) -> bool {
        self.function(program)
            .is_some_and(|one| one.has_dead_letters)
    }

    /// Every program that a rule or a mapping calls.
    pub fn consumers(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().map(|rule| rule.consumer.as_str());
        let mappings = self.mappings.iter().map(|one| one.function.as_str());
        rules.chain(mappings)
    }

    fn function(&self, program: &str) -> Option<&Function> {
        self.functions.iter().find(|one| one.program == program)
    }
}
