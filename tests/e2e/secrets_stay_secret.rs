//! Codes, passwords and tokens stand in no table, no log and no other answer than the one that reveals them.

use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CheckKeyRequest, Credential, Password, RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    ListTrainingKeysRequest, LookUpTrainingKeyRequest, RevokeTrainingKeysRequest,
};
use latchkey_service_kit::identity::Role;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::harness::world::{generated, own_code, redeem};
use crate::harness::{ClassDraft, Organization, Stack, logs, new_id, refused};

const PASSWORD: &str = "canary-Pa55word-ßé";
const OWN_CODE: &str = "canary-own-code-77";

/// The stack under test: it logs all it can, so that what it keeps to itself it always does.
const EVERYTHING: &str = "[log]\nfilter = \"trace\"";

/// Texts that give a code away in any of the spellings a program could make of it.
fn spellings(code: &str) -> Vec<String> {
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
    let codes = organization.generate(&class.class_id, 3).await;
    let student = organization.student().await.student_id;
    redeem(stack, &student, &codes[0].code).await.expect("in");
    let other = organization.student().await.student_id;
    refused(
        redeem(stack, &other, &codes[0].code).await,
        ErrorReason::KeyAlreadyRedeemed,
    );
    register(stack, &organization, &event_code).await;

    organization
        .set_event_key(&class.class_id, own_code(OWN_CODE))
        .await;
    let third = organization.student().await.student_id;
    refused(
        redeem(stack, &third, &event_code).await,
        ErrorReason::CodeReplaced,
    );
    redeem(stack, &third, &OWN_CODE.to_uppercase())
        .await
        .expect("in");
    let check = CheckKeyRequest {
        code: codes[1].code.clone(),
        student_id: other,
        organization_id: String::new(),
    };
    stack
        .platform()
        .redemptions()
        .check_key(check)
        .await
        .expect("good");
    let look_up = LookUpTrainingKeyRequest {
        code: codes[1].code.to_lowercase(),
    };
    organization
        .manager()
        .training_keys()
        .look_up_training_key(look_up)
        .await
        .expect("found");
    let revoke = RevokeTrainingKeysRequest {
        key_ids: vec![codes[1].key_id.clone()],
        reason: "lost".to_owned(),
    };
    organization
        .manager()
        .training_keys()
        .revoke_training_keys(revoke)
        .await
        .expect("revoked");
    refused(
        redeem(stack, &student, "canary-guess-4242").await,
        ErrorReason::KeyNotFound,
    );
    organization
        .set_event_key(&class.class_id, generated())
        .await;
    let newest = organization.event_code(&class.class_id).await;

    // Nor does a list show more than what tells keys apart.
    let list = organization
        .admin()
        .training_keys()
        .list_training_keys(ListTrainingKeysRequest::default())
        .await;
    let shown = format!("{:?}", list.expect("keys").into_inner()).to_uppercase();
    let all =
        codes
            .into_iter()
            .map(|code| code.code)
            .chain([event_code, newest, OWN_CODE.to_owned()]);
    let all: Vec<String> = all.collect();
    for text in all.iter().flat_map(|code| spellings(code)) {
        assert!(!shown.contains(&text), "a list shows a code");
    }
    all.into_iter()
        .chain(["canary-guess-4242".to_owned()])
        .collect()
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
    request.password = "canary-wrong-password".to_owned();
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
    for code in &codes {
        for text in spellings(code) {
            assert!(!stored.contains(&text), "{code} is stored in clear");
            assert!(!upper.contains(&text), "{code} is logged");
            let bytes: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
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
