//! `latchkey token`: another token of a development stack.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;
use latchkey::stack::token_request;
use latchkey::stack::tokens::Issuer;
use latchkey_service_kit::identity::Role;
use uuid::Uuid;

/// Whom the token is for.
#[derive(Debug, clap::Args)]
pub(crate) struct Token {
    /// What the bearer may be; may be given several times.
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The organization (a UUID) that the bearer belongs to [default: the sample's, for roles within one].
    #[arg(long, value_name = "ID")]
    org: Option<Uuid>,
    /// Who the bearer is: a student's is the student id [default: the sample student, or dev-ROLE].
    #[arg(long, value_name = "SUBJECT")]
    sub: Option<String>,
    /// How long the token holds: a number and s, m, h or d.
    #[arg(long, default_value = "1h", value_parser = lifetime)]
    ttl: TimeDelta,
    /// The data directory of the stack [default: that of `latchkey dev`].
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
}

/// Prints a token.
pub(crate) fn run(token: &Token) -> anyhow::Result<ExitCode> {
    let data_dir = token.data_dir.clone().unwrap_or_else(default_path);
    let description = Description::read(&data_dir)?;
    let issuer = Issuer::from_file(&description.issuer.private_key_file)?;
    let mut request = token_request(*token.roles.first().context("no role")?, description.sample);
    request.roles.clone_from(&token.roles);
    request.lifetime = token.ttl;
    if token.org.is_some() {
        request.organization = token.org;
    }
    if let Some(subject) = &token.sub {
        if token.roles.contains(&Role::Student) && Uuid::parse_str(subject).is_err() {
            bail!("a student's subject is the student id, a UUID: `{subject}` is none");
        }
        request.subject.clone_from(subject);
    }
    println!("{}", issuer.mint(&request)?);
    Ok(ExitCode::SUCCESS)
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(&name.replace('-', "_")).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("there is no such role; the roles are {}", names.join(", "))
    })
}

/// `90s`, `15m`, `8h` or `7d`.
fn lifetime(text: &str) -> Result<TimeDelta, String> {
    let complaint = || "must be a number and s, m, h or d, such as 8h".to_owned();
    let unit = text.chars().last().ok_or_else(complaint)?;
    let number: i64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| complaint())?;
    let delta = match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => return Err(complaint()),
    };
    delta
        .filter(|delta| *delta > TimeDelta::zero() && *delta <= TimeDelta::days(3650))
        .ok_or_else(complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_a_number_and_a_unit() {
        assert_eq!(lifetime("90s"), Ok(TimeDelta::seconds(90)));
        assert_eq!(lifetime("8h"), Ok(TimeDelta::hours(8)));
        assert_eq!(lifetime("7d"), Ok(TimeDelta::days(7)));
        for bad in ["", "h", "7", "-1h", "0s", "1y", "9999999999999999d", "1é"] {
            lifetime(bad).expect_err(bad);
        }
    }

    #[test]
    fn roles_are_known_by_name() {
        assert_eq!(role("operations_manager"), Ok(Role::OperationsManager));
        assert_eq!(role("operations-manager"), Ok(Role::OperationsManager));
        assert!(role("king").expect_err("no role").contains("administrator"));
    }
}
