//! Printing a configuration.

use serde::Serialize;

/// `config` as TOML, as `--print-config` shows it.
///
/// Nothing needs to be struck out: secrets stand in files of their own ([`super::SecretFile`]), of which only the path
/// is part of a configuration, and a database URL with a password in it is refused when it is loaded. Should a password
/// stand in a URL all the same (the configuration was not checked), it is shown as `***`.
pub fn redacted(config: &impl Serialize) -> Result<String, toml::ser::Error> {
    let mut value = toml::Value::try_from(config)?;
    strike(&mut value);
    toml::to_string_pretty(&value)
}

fn strike(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => {
            if let Some(shown) = without_password(text) {
                *text = shown;
            }
        }
        toml::Value::Array(items) => items.iter_mut().for_each(strike),
        toml::Value::Table(fields) => fields.iter_mut().for_each(|(_, field)| strike(field)),
        _ => {}
    }
}

/// `text` with `***` for its password, if it is a URL that has one.
pub(super) fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let in_authority = authority.rsplit_once('@').and_then(|(user_info, host)| {
        let (user, _) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}{path}"))
    });
    // libpq and sqlx also take the password as a parameter.
    in_authority.or_else(|| {
        path.contains("password=")
            .then(|| format!("{scheme}://{authority}/***"))
    })
}
