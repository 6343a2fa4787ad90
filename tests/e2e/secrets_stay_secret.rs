//! Codes, passwords and tokens stand in no table, no log and no other answer than the one that reveals them.

use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CheckKeyRequest, Credential, ListRedemptionsRequest, Password,
    RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{ListTrainingKeysRequest, LookUpTrainingKeyRequest};
use latchkey_service_kit::identity::Role;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use std::fmt::Write as _;

use crate::harness::world::{come_in, generated, own_code, redeem};
use crate::harness::{ClassDraft, Organization, Stack, logs, new_id, refused};

const PASSWORD: &str = "canary-Pa55word-ßé";
const OWN_CODE: &str = "canary-own-code-77";
const GUESS: &str = "canary-guess-4242";

/// The stack under test: it logs all it can, so that what it keeps to itself it always does.
const EVERYTHING: &str = "[log]\nfilter = \"trace\"";

/// Texts that give a code away in any of the spellings a program could make of it.
pub(crate) fn spellings(code: &str) -> Vec<String> {
    let bare: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let canonical = bare
        .to_uppercase()
        .replace('O', "0")
        .replace(['I', 'L'], "1");
    vec![code.to_uppercase(), bare.to_uppercase(), canonical]
}

/// Does everything there is to do with codes, and returns each secret that was in play.
async fn use_codes(stack: &Stack) -> Vec<String> {
    let organization = Organization::new(stack).await;
    organization.let_register(true).await;
    let (class, event_code) = organization.event_class(ClassDraft::new()).await;
    let class_id = class.class_id.as_str();
    let codes = organization.generate(class_id, 3).await;
    let codes: Vec<String> = codes.into_iter().map(|code| code.code).collect();
    let students = organization.students(3).await;
    come_in(stack, &students[0], &codes[0]).await;
    let taken = redeem(stack, &students[1], &codes[0]).await;
    refused(taken, ErrorReason::KeyAlreadyRedeemed);
    register(stack, &organization, &event_code).await;

    organization
        .set_event_key(class_id, own_code(OWN_CODE))
        .await;
    let replaced = redeem(stack, &students[2], &event_code).await;
    refused(replaced, ErrorReason::CodeReplaced);
    come_in(stack, &students[2], &OWN_CODE.to_uppercase()).await;
    look_at(&organization, &students[1], &codes[1]).await;
    let guessed = redeem(stack, &students[1], GUESS).await;
    refused(guessed, ErrorReason::KeyNotFound);
    organization.set_event_key(class_id, generated()).await;
    let newest = organization.event_code(class_id).await;
    let own = [event_code, newest, OWN_CODE.to_owned(), GUESS.to_owned()];
    codes.into_iter().chain(own).collect()
}

/// Checks, looks up and revokes a code, and lists all keys.
async fn look_at(organization: &Organization<'_>, student_id: &str, code: &str) {
    let check = CheckKeyRequest {
        code: code.to_owned(),
        student_id: student_id.to_owned(),
        organization_id: String::new(),
    };
    let mut redemptions = organization.stack.platform().redemptions();
    redemptions.check_key(check).await.expect("good");
    let mut keys = organization.manager().training_keys();
    let code = code.to_lowercase();
    let found = keys
        .look_up_training_key(LookUpTrainingKeyRequest { code })
        .await;
    let key = found.expect("found").into_inner().key.expect("a key");
    organization.revoke(&[&key.key_id]).await;
}

/// Everything that staff see of keys without revealing their codes.
async fn everything_shown(stack: &Stack) -> String {
    let organization = "SELECT organization_id::text FROM enrollment.organizations";
    let mut connection = stack.database().await;
    let id: String = sqlx::query_scalar(organization)
        .fetch_one(&mut connection)
        .await
        .expect("one");
    let manager = stack.caller(Role::OperationsManager, "mona-manager", Some(&id));
    let request = ListTrainingKeysRequest::default();
    let keys = manager
        .training_keys()
        .list_training_keys(request)
        .await
        .expect("keys");
    let request = ListAuditEventsRequest::default();
    let events = manager
        .keys_audit()
        .list_audit_events(request)
        .await
        .expect("events");
    let request = ListRedemptionsRequest::default();
    let redemptions = manager
        .redemptions()
        .list_redemptions(request)
        .await
        .expect("redemptions");
    format!("{keys:?} {events:?} {redemptions:?}")
}

async fn register(stack: &Stack, organization: &Organization<'_>, event_code: &str) {
    let email = format!("{}@example.com", new_id());
    let password = Some(Password {
        text: PASSWORD.to_owned(),
    });
    let request = RegisterWithKeyRequest {
        redemption_id: new_id(),
        code: event_code.to_owned(),
        organization_id: organization.id.clone(),
        email: email.clone(),
        given_name: "Nora".to_owned(),
        family_name: "New".to_owned(),
        credential: Some(Credential {
            password,
            ..Credential::default()
        }),
    };
    stack
        .platform()
        .redemptions()
        .register_with_key(request)
        .await
        .expect("registered");
    let mut request = AuthenticateRequest {
        organization_id: organization.id.clone(),
        email,
        password: PASSWORD.to_owned(),
    };
    stack
        .platform()
        .students()
        .authenticate(request.clone())
        .await
        .expect("signed in");
    "canary-wrong-password".clone_into(&mut request.password);
    refused(
        stack.platform().students().authenticate(request).await,
        ErrorReason::CredentialsInvalid,
    );
}

/// Every row of every table of both schemas, as text; bytes are shown in hexadecimal and as they are.
async fn everything_stored(connection: &mut PgConnection) -> String {
    let tables =
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
                  WHERE schemaname IN ('keys', 'enrollment')";
    let tables = sqlx::query(tables)
        .fetch_all(&mut *connection)
        .await
        .expect("tables");
    assert!(tables.len() > 10, "only {} tables", tables.len());
    let mut text = String::new();
    for table in tables {
        let name: String = table.get("name");
        let query = sqlx::AssertSqlSafe(format!("SELECT t::text AS row FROM {name} t"));
        for row in sqlx::query(query)
            .fetch_all(&mut *connection)
            .await
            .expect("rows")
        {
            text.push_str(&row.get::<String, _>("row"));
            text.push('\n');
        }
    }
    text
}

#[tokio::test]
async fn no_table_and_no_log_line_holds_a_code_a_password_or_a_token() {
    let options = crate::harness::Options {
        keys: EVERYTHING,
        enrollment: EVERYTHING,
        replicas: 1,
        ..crate::harness::Options::default()
    };
    let stack = Stack::with(options).await;
    let codes = use_codes(&stack).await;
    let stored = everything_stored(&mut stack.database().await)
        .await
        .to_uppercase();
    let logged = logs::all(stack.site());
    // The canary sings: what is stored and logged is really looked at.
    assert!(stored.contains("NORA"));
    assert!(logged.contains("RedeemKey"));

    let upper = logged.to_uppercase();
    let shown = everything_shown(&stack).await.to_uppercase();
    for code in &codes {
        for text in spellings(code) {
            assert!(!stored.contains(&text), "{code} is stored in clear");
            assert!(!upper.contains(&text), "{code} is logged");
            assert!(!shown.contains(&text), "{code} is shown by a list");
            let bytes = text.bytes().fold(String::new(), |mut bytes, byte| {
                write!(bytes, "{byte:02X}").expect("text");
                bytes
            });
            assert!(
                !stored.contains(&bytes),
                "{code} is stored as it is, in bytes"
            );
        }
    }
    for secret in [PASSWORD, "canary-wrong-password"] {
        assert!(
            !stored.contains(&secret.to_uppercase()),
            "a password is stored in clear"
        );
        assert!(!logged.contains(secret), "a password is logged");
    }
    let token = stack.token(Role::PlatformService, "platform", None);
    let header = token.split('.').next().expect("a token has parts");
    assert!(!logged.contains(header), "a token is logged");
    assert!(
        !stored.contains(&header.to_uppercase()),
        "a token is stored"
    );
    let service_header = stack
        .site()
        .service_token
        .split('.')
        .next()
        .expect("a token has parts")
        .to_owned();
    assert!(
        !logged.contains(&service_header),
        "the service's own token is logged"
    );
    stack.finish().await;
}
