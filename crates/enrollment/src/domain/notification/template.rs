//! Templates: texts with the names of fields in them.
//!
//! Deliberately small: a field's value, and a choice by whether a field has one. Whoever may write plans is no programmer
//! of this service: nothing loops, grows or calls.

use std::collections::BTreeSet;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::PlanSettings;
use super::fields::{EVENT_KEY, Facts};

/// The most steps that one template may take: many times what fits into one.
const FUEL: u64 = 100_000;

/// What is wrong with one of a plan's templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which: `subject`, `text` or `html`.
    pub field: &'static str,
    /// What, for people.
    pub description: String,
}

/// What was made of a plan's templates. May hold a code: not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, of one line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML; empty if there is none.
    pub html: String,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rendered([redacted])")
    }
}

/// Everything that is wrong with the templates of a plan.
pub fn faults(settings: &PlanSettings) -> Vec<Fault> {
    parts(settings)
        .into_iter()
        .filter_map(|(field, source)| {
            let description = fault(settings.trigger.fields(), field, source)?;
            Some(Fault { field, description })
        })
        .collect()
}

/// Whether the templates of a plan name the event key.
pub fn names_event_key(settings: &PlanSettings) -> bool {
    parts(settings)
        .into_iter()
        .any(|(field, source)| names(field, source).is_ok_and(|names| names.contains(EVENT_KEY)))
}

/// The letter of a plan about these facts.
///
/// # Errors
/// When a template is at fault, which it is not once [`faults`] has found nothing.
pub fn render(settings: &PlanSettings, facts: &Facts) -> Result<Rendered, Fault> {
    let [subject, text, html] = parts(settings).map(|(field, source)| {
        let made = render_one(settings.trigger.fields(), field, source, facts);
        made.map_err(|error| Fault {
            field,
            description: in_words(&error),
        })
    });
    Ok(Rendered {
        subject: subject?,
        text: text?,
        html: html?,
    })
}

fn parts(settings: &PlanSettings) -> [(&'static str, &str); 3] {
    [
        ("subject", &settings.subject),
        ("text", &settings.text),
        ("html", &settings.html),
    ]
}

fn environment<'s>() -> Environment<'s> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name {
        "html" => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    environment
}

fn render_one(
    fields: &[&'static str],
    field: &'static str,
    source: &str,
    facts: &Facts,
) -> Result<String, minijinja::Error> {
    let environment = environment();
    let template = environment.template_from_named_str(field, source)?;
    let values = fields.iter().map(|name| {
        let value = one_line(&facts.value(name));
        (*name, Value::from(value))
    });
    template.render(values.collect::<Value>())
}

/// A value without line breaks and other control characters: it is put into a line, of the headers even.
fn one_line(value: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    value.chars().map(plain).collect()
}

/// The names in a template.
fn names(field: &str, source: &str) -> Result<BTreeSet<String>, minijinja::Error> {
    let environment = environment();
    let template = environment.template_from_named_str(field, source)?;
    Ok(template.undeclared_variables(false).into_iter().collect())
}

fn fault(fields: &[&str], field: &'static str, source: &str) -> Option<String> {
    if field == "subject" && source.contains(['\n', '\r']) {
        return Some("must be one line".to_owned());
    }
    if let Err(found) = small(source) {
        return Some(format!(
            "must have only `{{{{ field }}}}` and `{{% if field %}}`, not `{found}`"
        ));
    }
    let names = match names(field, source) {
        Ok(names) => names,
        Err(error) => return Some(in_words(&error)),
    };
    let unknown: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !fields.contains(name))
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "names no fields: `{}`; the fields of this trigger are `{}`",
            unknown.join("`, `"),
            fields.join("`, `")
        )
    })
}

/// What an error of the library says, without where it was found in it.
fn in_words(error: &minijinja::Error) -> String {
    let line = error.line().unwrap_or(1);
    let detail = error.detail().unwrap_or("does not fit");
    format!("cannot be read, in line {line}: {detail}")
}

/// Fails with the first thing between braces that is more than a field or a choice.
fn small(source: &str) -> Result<(), &str> {
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        let tail = &rest[start..];
        let (end, is_good): (&str, fn(&[&str]) -> bool) = if tail.starts_with("{{") {
            ("}}", |words| matches!(words, [name] if is_name(name)))
        } else if tail.starts_with("{%") {
            ("%}", is_choice)
        } else if tail.starts_with("{#") {
            return Err("{#");
        } else {
            rest = &tail[1..];
            continue;
        };
        let length = tail[2..].find(end).ok_or("{")?;
        let inner = tail[2..2 + length].trim_matches(['-', '+']);
        let words: Vec<&str> = inner.split_whitespace().collect();
        if !is_good(&words) {
            return Err(&tail[..length + 4]);
        }
        rest = &tail[length + 4..];
    }
    Ok(())
}

fn is_choice(words: &[&str]) -> bool {
    match words {
        ["if" | "elif", name] | ["if" | "elif", "not", name] => is_name(name),
        ["else" | "endif"] => true,
        _ => false,
    }
}

/// Whether `word` could be the name of a field.
fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::super::Trigger;
    use super::super::tests::settings;
    use super::*;
    use crate::domain::class::tests::class;

    fn facts() -> Facts {
        let (trigger, now) = (settings().trigger, DateTime::default());
        let mut facts = Facts::sample(trigger, Some(class()), "Acme".into(), None, now);
        facts.student = Some((
            "<Ann> & \"Co\"\r\nBcc: eve@example.com".into(),
            "Ärger".into(),
        ));
        facts
    }

    fn with(text: &str) -> PlanSettings {
        PlanSettings {
            text: text.to_owned(),
            ..settings()
        }
    }

    #[test]
    fn values_stand_in_the_place_of_names_and_absent_ones_choose() {
        let source = "Hi {{ student_family_name }},{% if login_page %} {{ login_page }}{% else %} no page{% endif %}";
        let made = render(&with(source), &facts()).unwrap();
        assert_eq!(made.text, "Hi Ärger, no page");
        assert_eq!(made.subject, "Welcome to Clusters in June");
        assert!(!format!("{made:?}").contains("Clusters"));
    }

    #[test]
    fn values_are_no_markup_and_no_lines() {
        let settings = PlanSettings {
            subject: "{{ student_given_name }}".into(),
            html: "<b>{{ student_given_name }}</b>".into(),
            ..settings()
        };
        let made = render(&settings, &facts()).unwrap();
        assert_eq!(made.subject, "<Ann> & \"Co\"  Bcc: eve@example.com");
        assert!(
            made.html.starts_with("<b>&lt;Ann&gt; &amp; &quot;Co&quot;"),
            "{}",
            made.html
        );
        assert!(!made.html.contains('\n'));
    }

    #[test]
    fn every_name_that_is_no_field_is_told() {
        let settings = PlanSettings {
            subject: "{{ nobody }}\n".into(),
            html: "{{ other }} {% if another %}{{ class_name }}{% endif %}".into(),
            ..with("{{ first }} {{ event_key }} {{ second }}")
        };
        let faults = faults(&settings);
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["subject", "text", "html"]);
        for (place, names) in [(1, ["`first`", "`second`"]), (2, ["`another`", "`other`"])] {
            for name in names {
                assert!(faults[place].description.contains(name), "{faults:?}");
            }
        }
    }

    #[test]
    fn what_needs_a_class_is_no_field_of_a_plan_about_assignments() {
        let about_assignments = |text: &str| PlanSettings {
            trigger: Trigger::AssignmentExpiring,
            subject: "{{ course_name }} until {{ access_until }}".into(),
            ..with(text)
        };
        let faults_of = |text: &str| faults(&about_assignments(text));
        assert_eq!(faults_of("{{ student_given_name }}: {{ login_page }}"), []);
        let names = [
            "class_name",
            "class_start",
            "enrollment_status",
            "event_key",
        ];
        for name in names {
            let found = faults_of(&format!("{{{{ {name} }}}}"));
            assert_eq!(found.len(), 1, "{name}");
            assert!(found[0].description.contains(name), "{found:?}");
        }
    }

    #[test]
    fn whatever_loops_grows_or_calls_is_refused() {
        for bad in [
            "{% for x in range(10) %}{% endfor %}",
            "{% set x = 'a' %}",
            "{{ 'a' * 1000000 }}",
            "{{ class_name ~ class_name }}",
            "{{ class_name|upper }}",
            "{{ self.x() }}",
            "{# nothing #}",
            "{% raw %}",
            "{% if class_name == 'x' %}{% endif %}",
            "{{ class_name",
            "{{ }}",
            "{% if class_name %}",
            "{% endif %}",
        ] {
            assert_eq!(faults(&with(bad)).len(), 1, "{bad}");
        }
        for good in [
            "{",
            "{ {",
            "}} 100 %}",
            "{{class_name}}",
            "{{- class_name -}}",
            "{%if class_name%}{%endif%}",
        ] {
            assert_eq!(faults(&with(good)), [], "{good}");
        }
    }

    #[test]
    fn a_plan_that_names_the_event_key_is_known() {
        assert!(!names_event_key(&settings()));
        assert!(names_event_key(&with(
            "{% if event_key %}{{ event_key }}{% endif %}"
        )));
    }

    proptest! {
        /// What has no faults can be rendered.
        #[test]
        fn what_is_accepted_can_be_written(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{{ class_name }}", "{% if event_key %}", "{% elif login_page %}", "{% else %}", "{% endif %}",
                    "{{", "}}", "{%", "%}", "{", "}", " x ", "\n", "-", "{{ nothing }}",
                ]),
                0..12,
            )
        ) {
            let settings = with(&pieces.concat());
            if faults(&settings).is_empty() {
                prop_assert!(render(&settings, &facts()).is_ok(), "{}", settings.text);
            }
        }
    }
}
