//! cvc5, asked by Cedar's symbolic compiler, as a process of its own.
//!
//! Promises: every question has a limit, kept here too should the solver not keep it; a solver that dies, lies in its form or
//! keeps silent is "no answer", and the next question goes to a new process, a few times. The process ends with us.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cedar_policy as cedar;
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, CompiledSchema, Env, SymEnv};
use tokio::process::Command;
use tokio::time::timeout;

use super::scene::Scene;
use super::values::whole;

/// A solver that is there.
pub struct Solver {
    program: PathBuf,
    /// What it calls itself.
    pub version: String,
    /// How long one question may take.
    pub limit: Duration,
    running: Option<CedarSymCompiler<LocalSolver>>,
    failures: u32,
}

/// Policies that are asked about in one environment.
pub struct Asking<'s> {
    solver: &'s mut Solver,
    schema: &'s CompiledSchema,
    environment: cedar::RequestEnv,
    symbols: SymEnv,
}

/// What a solver is asked.
#[derive(Clone, Copy)]
pub enum Ask<'a> {
    /// A request that both sets allow.
    BothAllow(&'a cedar::PolicySet, &'a cedar::PolicySet),
    /// A request that the first set allows and the second does not.
    FirstAlone(&'a cedar::PolicySet, &'a cedar::PolicySet),
    /// A request on which a policy fails.
    Fails(&'a cedar::Policy),
}

impl Solver {
    /// Looks for a solver; the error says why it is none.
    pub async fn find(program: PathBuf, limit: Duration) -> Result<Self, String> {
        let mut command = Command::new(&program);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let shown = program.display();
        let output = match timeout(START_WAIT, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("`{shown}` cannot be started: {error}")),
            Err(_) => return Err(format!("`{shown} --version` does not end")),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().and_then(|line| line.split("cvc5 version ").nth(1));
        match version.and_then(|version| version.split_whitespace().next()) {
            Some(version) => {
                let version = format!("cvc5 {version}");
                Ok(Self { program, version, limit, running: None, failures: 0 })
            }
            None => Err(format!("`{shown}` is no cvc5")),
        }
    }

    /// Prepares questions in an environment; the error says why there can be none.
    pub fn asking<'s>(
        &'s mut self,
        schema: &'s CompiledSchema,
        environment: cedar::RequestEnv,
    ) -> Result<Asking<'s>, String> {
        let symbols = schema.sym_env(&environment).map_err(|error| whole(&error))?;
        Ok(Asking { solver: self, schema, environment, symbols })
    }

    fn start(&self) -> Result<CedarSymCompiler<LocalSolver>, String> {
        let mut command = Command::new(&self.program);
        // `--tlimit` would limit the life of the process, not the question.
        command.args(["--lang", "smt"]).arg(format!("--tlimit-per={}", self.limit.as_millis()));
        let solver = LocalSolver::from_command(command.kill_on_drop(true)).map_err(|error| whole(&error))?;
        CedarSymCompiler::new(solver).map_err(|error| whole(&error))
    }
}

impl Asking<'_> {
    /// Asks for a request; `None` is the proof that there is none, an error the reason why nobody knows.
    pub async fn ask(&mut self, ask: Ask<'_>) -> Result<Option<Scene>, String> {
        if self.solver.failures >= FAILURES_MAX {
            return Err(format!("the solver failed {FAILURES_MAX} times in a row and is not asked any more"));
        }
        let mut running = match self.solver.running.take() {
            Some(running) => running,
            None => self.solver.start()?,
        };
        let limit = self.solver.limit;
        let answer = timeout(limit + GRACE, self.asked(&mut running, ask)).await;
        let is_sound = matches!(answer, Ok(Ok(_) | Err(Unanswered::Unknown)));
        self.solver.failures = if is_sound { 0 } else { self.solver.failures + 1 };
        if is_sound {
            self.solver.running = Some(running);
        }
        match answer {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(Env { request, entities }))) => Scene::of(&request, &entities).map(Some),
            Ok(Err(Unanswered::Failed(why))) => Err(format!("the solver failed: {why}")),
            Ok(Err(Unanswered::Unknown)) | Err(_) => {
                Err(format!("the solver has no answer within {} ms", limit.as_millis()))
            }
        }
    }

    async fn asked(
        &self,
        running: &mut CedarSymCompiler<LocalSolver>,
        ask: Ask<'_>,
    ) -> Result<Option<Env>, Unanswered> {
        Ok(match ask {
            Ask::BothAllow(one, other) => {
                let (one, other) = (self.compiled(one)?, self.compiled(other)?);
                running.check_disjoint_with_counterexample_opt(&one, &other).await?
            }
            Ask::FirstAlone(one, other) => {
                let (one, other) = (self.compiled(one)?, self.compiled(other)?);
                running.check_implies_with_counterexample_opt(&one, &other).await?
            }
            Ask::Fails(policy) => {
                let (schema, symbols) = (self.schema.schema(), self.symbols.clone());
                let policy =
                    CompiledPolicy::compile_with_custom_symenv(policy, &self.environment, schema, symbols)?;
                running.check_never_errors_with_counterexample_opt(&policy).await?
            }
        })
    }

    fn compiled(&self, policies: &cedar::PolicySet) -> Result<CompiledPolicySet, Unanswered> {
        let (schema, symbols) = (self.schema.schema(), self.symbols.clone());
        Ok(CompiledPolicySet::compile_with_custom_symenv(policies, &self.environment, schema, symbols)?)
    }
}

/// Why there is no answer.
enum Unanswered {
    Unknown,
    Failed(String),
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        match error {
            Error::SolverUnknown => Self::Unknown,
            error => Self::Failed(whole(&error)),
        }
    }
}

/// What a solver may take to say its version.
const START_WAIT: Duration = Duration::from_secs(10);
/// What a solver may take beyond its limit.
const GRACE: Duration = Duration::from_secs(2);
/// Failures in a row after which it is not asked any more.
const FAILURES_MAX: u32 = 3;
