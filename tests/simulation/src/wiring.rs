//! What is wired to what: read from the template, so that the world cannot drift from it.

use std::sync::Arc;
use std::time::Duration;

use domain::order::Patience;
use event_sourcing::dead_letter::RedrivePolicy;
use jiff::{SignedDuration, Timestamp};
use reconcile_events::call::Limits;
use redrive_dlq::config::{Consumer, LONGEST_DELAY, consumers};
use sam_template::input::Origin;
use sam_template::{
    Cadence, Context, EventPattern, Mapping, MappingSource, Stack, Target, TemplateError,
};
use serde_json::{Value, json};

/// The template of the system.
const TEMPLATE: &str = include_str!("../../../template.yaml");
/// The table whose stream feeds the mappings.
const EVENT_STORE: &str = "EventStore";

/// What reads events and moves no order: figures and alarms, and the mirror, which is off unless a
/// parameter says otherwise. They have worlds of their own in the tests of their crates.
const BESIDE: [&str; 3] = ["analyze-orders", "close-windows", "mirror-events"];

/// Why the template does not tell how the world is wired.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// It cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A setting of a function is not there, or cannot be read.
    #[error("the template sets no {variable} of {program} that can be read")]
    Setting {
        /// Which function's.
        program: &'static str,
        /// Which variable.
        variable: &'static str,
    },
}

/// Rules, mappings and schedules, how each consumer retries, and how the healing is set up.
#[derive(Debug)]
pub struct Wiring {
    /// Which events go to which function.
    pub rules: Vec<Rule>,
    /// Who reads the stream of the event store.
    pub mappings: Vec<Mapping>,
    /// What is called by the clock.
    pub schedules: Vec<Scheduled>,
    /// Whose dead letters are redriven.
    pub redriven: Vec<Consumer>,
    /// When.
    pub redrive_policy: RedrivePolicy,
    /// How long sweeps leave orders alone.
    pub patience: Patience,
    /// Which periods can be reconciled.
    pub limits: Limits,
    /// Functions with their asynchronous retries.
    functions: Vec<Function>,
}

/// A function that is called by the clock.
#[derive(Debug)]
pub struct Scheduled {
    /// The program.
    pub program: String,
    /// How often.
    pub every: Duration,
    /// With what.
    pub payload: Value,
}

/// A rule of the bus.
#[derive(Debug)]
pub struct Rule {
    /// Which events it selects.
    pub pattern: EventPattern,
    /// The program that gets them.
    pub consumer: String,
    /// Whether what it cannot be given goes to a dead-letter queue.
    pub has_dead_letters: bool,
}

#[derive(Debug)]
struct Function {
    logical_id: String,
    program: String,
    retries: u32,
    timeout: Duration,
    has_dead_letters: bool,
}

impl Wiring {
    /// The wiring of the template.
    ///
    /// # Errors
    /// [`WiringError`], when it cannot be read, or lacks something.
    pub fn of_template() -> Result<Arc<Self>, WiringError> {
        // Nobody asks for tokens here: requests come as an authorizer lets them pass.
        let context = Context {
            local: ["JwtIssuer", "JwtAudience"]
                .map(|name| (format!("parameter:{name}"), "https://issuer".to_owned()))
                .into(),
            ..Context::default()
        };
        let stack = Stack::from_yaml(TEMPLATE, &context)?;
        let hosted = stack.functions.iter();
        let functions: Vec<_> = hosted
            .filter(|function| !BESIDE.contains(&function.binary.as_str()))
            .map(|function| Function {
                logical_id: function.logical_id.clone(),
                program: function.binary.clone(),
                retries: function.async_retries,
                timeout: function.timeout,
                has_dead_letters: function.on_failure.is_some(),
            })
            .collect();
        let program = |logical_id: &str| {
            let mut all = functions.iter();
            all.find(|one| one.logical_id == logical_id)
                .map(|one| one.program.clone())
        };
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
        let settings = Settings(&stack);
        Ok(Arc::new(Self {
            rules: rules(&stack, program),
            schedules: scheduled(&stack, program),
            redriven: settings.redriven()?,
            redrive_policy: settings.redrive_policy()?,
            patience: settings.patience()?,
            limits: settings.limits()?,
            mappings,
            functions,
        }))
    }

    /// How long an invocation of this program may take.
    #[must_use]
    pub fn timeout(&self, program: &str) -> Duration {
        self.function(program)
            .map_or(Duration::MAX, |one| one.timeout)
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

    /// Every program that a rule, a mapping or a schedule calls.
    pub fn called(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().map(|rule| rule.consumer.as_str());
        let mappings = self.mappings.iter().map(|one| one.function.as_str());
        let schedules = self.schedules.iter().map(|one| one.program.as_str());
        rules.chain(mappings).chain(schedules)
    }

    fn function(&self, program: &str) -> Option<&Function> {
        self.functions.iter().find(|one| one.program == program)
    }
}

/// Which events go to which program.
fn rules(stack: &Stack, program: impl Fn(&str) -> Option<String>) -> Vec<Rule> {
    let mut all = Vec::new();
    for rule in stack.rules.iter().filter(|rule| rule.enabled) {
        for target in &rule.targets {
            if let Target::Function { logical_id } = &target.target
                && let Some(consumer) = program(logical_id)
            {
                all.push(Rule {
                    pattern: rule.pattern.clone(),
                    consumer,
                    has_dead_letters: target.dead_letter.is_some(),
                });
            }
        }
    }
    all
}

/// What the clock calls, with what it calls it with.
fn scheduled(stack: &Stack, program: impl Fn(&str) -> Option<String>) -> Vec<Scheduled> {
    let event = json!({"version": "0", "detail-type": "Scheduled Event",
        "source": "aws.events", "detail": {}});
    let mut all = Vec::new();
    for schedule in stack.schedules.iter().filter(|one| one.enabled) {
        let Cadence::Rate(every) = &schedule.cadence else {
            continue;
        };
        for target in &schedule.targets {
            if let Target::Function { logical_id } = &target.target
                && let Some(program) = program(logical_id)
            {
                let origin = Origin {
                    rule_arn: &schedule.arn,
                    rule_name: &schedule.name,
                    ingestion_time: &Timestamp::UNIX_EPOCH.to_string(),
                };
                let payload = target.input.apply(&event, origin);
                all.push(Scheduled {
                    program,
                    every: *every,
                    payload: serde_json::from_str(&payload).unwrap_or_default(),
                });
            }
        }
    }
    all
}

/// The environments of the functions.
struct Settings<'s>(&'s Stack);

impl Settings<'_> {
    fn get<T>(
        &self,
        program: &'static str,
        variable: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, WiringError> {
        let function = self.0.functions.iter().find(|one| one.binary == program);
        function
            .and_then(|function| read(function.environment.get(variable)?))
            .ok_or(WiringError::Setting { program, variable })
    }

    fn number(&self, program: &'static str, variable: &'static str) -> Result<u32, WiringError> {
        self.get(program, variable, |text| text.parse().ok())
    }

    fn seconds(
        &self,
        program: &'static str,
        variable: &'static str,
    ) -> Result<SignedDuration, WiringError> {
        let seconds = self.number(program, variable)?;
        Ok(SignedDuration::from_secs(seconds.into()))
    }

    fn redriven(&self) -> Result<Vec<Consumer>, WiringError> {
        self.get("redrive-dlq", "CONSUMERS", |text| consumers(text).ok())
    }

    fn redrive_policy(&self) -> Result<RedrivePolicy, WiringError> {
        let first = self.number("redrive-dlq", "REDRIVE_FIRST_DELAY_SECONDS")?;
        Ok(RedrivePolicy {
            first_delay: Duration::from_secs(first.into()),
            longest_delay: LONGEST_DELAY,
            rounds: self.number("redrive-dlq", "REDRIVE_ROUNDS")?,
        })
    }

    fn patience(&self) -> Result<Patience, WiringError> {
        Ok(Patience {
            stuck_after: self.seconds("sweep-orders", "STUCK_AFTER_SECONDS")?,
            payment_deadline: self.seconds("sweep-orders", "PAYMENT_DEADLINE_SECONDS")?,
        })
    }

    fn limits(&self) -> Result<Limits, WiringError> {
        let days = self.number("reconcile-events", "PUBLICATIONS_KEPT_DAYS")?;
        Ok(Limits {
            settled_after: self.seconds("reconcile-events", "SETTLED_AFTER_SECONDS")?,
            kept: SignedDuration::from_hours(24 * i64::from(days)),
        })
    }
}
