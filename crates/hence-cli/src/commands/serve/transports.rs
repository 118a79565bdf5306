//! The dispatchers of the configuration, and what definitions want that they cannot carry.

use std::path::PathBuf;
use std::sync::Arc;

use hence::core::decide::payload_form;
use hence::core::definition::{Definition, Destination, FactSource};
use hence::core::library::Library;
use hence::dispatch::{Dispatchers, Log, MailCatcher, MailServer, MailTemplates, Mails};

use crate::config::Config;
use crate::output;
use crate::problem::{Exit, Problem};
use crate::session::Session;

/// Everything that attempts can be delivered by.
pub(crate) struct Transports {
    pub(crate) dispatchers: Dispatchers,
    targets: Vec<String>,
    sources: Vec<String>,
    mails: Option<Arc<Mails>>,
    // Kept for as long as mails go to it.
    _catcher: Option<Arc<MailCatcher>>,
}

/// A mail server on this machine that keeps what it is sent and delivers nothing.
pub(crate) struct Catcher {
    running: Arc<MailCatcher>,
}

impl Catcher {
    /// Starts one on a free port; mails are kept in `.hence/mails`.
    /// # Errors
    /// No port can be opened.
    pub(super) async fn start(session: &Session) -> Result<Self, Problem> {
        let folder: PathBuf = session.config()?.folder.join(".hence").join("mails");
        let problem = |error: std::io::Error| Problem::file("catch mails in", &folder, &error);
        std::fs::create_dir_all(&folder).map_err(problem)?;
        let running = MailCatcher::start(Some(folder.clone())).await.map_err(problem)?;
        output::note(&format!("mails are caught: {} (nothing is sent; read them in {})", running.url(), folder.display()));
        Ok(Self { running: Arc::new(running) })
    }
}

/// Where mails go.
#[derive(Clone, Copy)]
pub(crate) enum MailsGo<'a> {
    /// To the configured server.
    AsConfigured,
    /// To this catcher.
    To(&'a Catcher),
    /// To a catcher that `hence dev` will start; nothing is sent before.
    Caught,
}

/// The dispatchers that are configured.
/// # Errors
/// HNC-0329: a target, the mail server or a template is not usable.
pub(crate) fn configured(session: &Session, mails: MailsGo<'_>) -> Result<Transports, Problem> {
    let config = session.config()?;
    let mut dispatchers = Dispatchers::new().with(Arc::new(Log)).with(Arc::new(config.webhooks()?));
    let mut made = None;
    if let Some(server) = mail_server(config, mails) {
        let mails = Mails::new(&server).map_err(|problems| {
            let text = problems.iter().map(|problem| problem.message().to_owned()).collect::<Vec<_>>().join("; ");
            Problem::new("HNC-0329", text, Exit::Usage).help(format!("mend `[mail]` in {}, or its templates", config.place()))
        })?;
        let mails = Arc::new(mails);
        dispatchers.add(Arc::<Mails>::clone(&mails));
        made = Some(mails);
    }
    Ok(Transports {
        dispatchers,
        targets: config.targets.iter().map(|target| target.name.clone()).collect(),
        sources: config.sources.keys().cloned().collect(),
        mails: made,
        _catcher: match mails {
            MailsGo::To(catcher) => Some(Arc::clone(&catcher.running)),
            MailsGo::AsConfigured | MailsGo::Caught => None,
        },
    })
}

fn mail_server(config: &Config, mails: MailsGo<'_>) -> Option<MailServer> {
    let caught = |url: String| MailServer {
        url,
        login: None,
        from: "Hence <hence@localhost>".to_owned(),
        templates: config.templates.clone(),
        roots_pem: None,
    };
    // Without a folder of templates there is no mail to make.
    let has_templates = config.templates.is_dir();
    match mails {
        MailsGo::To(catcher) if has_templates => Some(caught(catcher.running.url())),
        // Discard: nothing is sent there.
        MailsGo::Caught if has_templates && config.mail.is_none() => Some(caught("smtp://127.0.0.1:9".to_owned())),
        _ => config.mail.clone(),
    }
}

/// The names in mail templates that no payload of the step has, where the folder of templates is there.
pub(crate) fn unknown_names<'a>(config: &Config, definitions: impl Iterator<Item = &'a Definition>) -> Vec<String> {
    if !config.templates.is_dir() {
        return Vec::new();
    }
    let templates = match MailTemplates::load(&config.templates) {
        Ok(templates) => templates,
        Err(problems) => return problems.iter().map(ToString::to_string).collect(),
    };
    let mut unknown = Vec::new();
    for definition in definitions {
        for step in &definition.steps {
            let Destination::Email { template, .. } = &step.action.to else { continue };
            let problems = templates.unknown_names(template.as_str(), &payload_form(definition, step));
            unknown.extend(problems.iter().map(|problem| format!("step `{}` of `{}`: {problem}", step.name, definition.name)));
        }
    }
    unknown
}

impl Transports {
    /// What the definitions want and nothing here carries: their tasks will be held, or their facts not be read.
    pub(crate) fn warnings(&self, library: &Library) -> Vec<String> {
        let mut warnings: Vec<String> = library.all_current().flat_map(|definition| self.missing(definition)).collect();
        warnings.dedup();
        warnings
    }

    fn missing(&self, definition: &Definition) -> Vec<String> {
        let mut missing = Vec::new();
        for step in &definition.steps {
            let problem = match &step.action.to {
                Destination::Webhook { target, .. } => self.no_target(target.as_str()),
                Destination::Email { template, .. } => match &self.mails {
                    None => Some("no mail server is configured (`[mail]`)".to_owned()),
                    Some(mails) if mails.templates().any(|name| name == template.as_str()) => {
                        mails.unknown_names(template.as_str(), &payload_form(definition, step)).first().map(ToString::to_string)
                    }
                    Some(_) => Some(format!("there is no mail template `{template}`")),
                },
                Destination::Handler { name } => Some(format!("handler `{name}` lives in a program that embeds Hence")),
                Destination::Broker { broker, .. } => Some(format!("this release carries no `{}`", broker.as_str())),
                Destination::Log { .. } => None,
            };
            missing
                .extend(problem.map(|problem| format!("step `{}` of `{}` will be held: {problem}", step.name, definition.name)));
        }
        for (name, group) in &definition.facts {
            let problem = match &group.source {
                Some(FactSource::Sql { source, .. }) if !self.sources.iter().any(|known| known == source.as_str()) => {
                    Some(format!("the database `{source}` is not configured (`[sources.{source}]`)"))
                }
                Some(FactSource::Http { target, .. }) => self.no_target(target.as_str()),
                _ => None,
            };
            missing.extend(problem.map(|problem| format!("facts `{name}` of `{}` cannot be read: {problem}", definition.name)));
        }
        missing
    }

    fn no_target(&self, target: &str) -> Option<String> {
        let is_known = self.targets.iter().any(|known| known == target);
        (!is_known).then(|| format!("the target `{target}` is not configured (`[targets.{target}]`)"))
    }
}
