//! Codes, passwords, tokens and keys stand in no table, no file of the database, no log, no span, no metric, no error, and
//! in no other answer than the one that reveals them. Everything is done that is done with them, well and badly, while all
//! is logged that can be; then each is looked for wherever something could be found.

mod accounts;
mod places;
mod secrets;

use std::net::SocketAddr;

use latchkey::mail_server::MailServer;
use latchkey::stack::Service;
use latchkey::stack::process::{ANY_PORT, claim};
use latchkey_proto::audit::v1::ListAuditEventsRequest;
use latchkey_proto::enrollment::v1::{
    ListNotificationsRequest, ListRedemptionsRequest, NotificationPlanSettings,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    AddOwnPoolKeysRequest, AddOwnSubscriptionKeysRequest, ExportFormat, ExportTrainingKeysRequest,
    ListTrainingKeysRequest, LookUpTrainingKeyRequest, SetEventKeyRequest,
};
use latchkey_service_kit::identity::Role;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use tonic::Status;

use self::secrets::Secrets;
use crate::export;
use crate::harness::cluster::TestCluster;
use crate::harness::collector::Collector;
use crate::harness::mail::{mail_server, mail_settings};
use crate::harness::refusals::reason_of;
use crate::harness::subscriptions::uses;
use crate::harness::world::telling::plan_settings;
use crate::harness::world::{check, come_in, generated, own_code, redeem};
use crate::harness::{
    ClassDraft, Options, Organization, PoolDraft, Stack, eventually, logs, new_id,
};
use crate::keyring::command::Keyring;
use crate::metrics::scrape;

const PASSWORD: &str = "canary-Pa55word-4711";
const GIVEN_PASSWORD: &str = "canary-g1ven-Pa55word";
const WRONG_PASSWORD: &str = "canary-wr0ng-Pa55word";
const OWN_CODE: &str = "canary-own-code-77";
const POOL_CODES: [&str; 2] = ["canary-pool-code-81", "canary-pool-code-82"];
const PROFILE_CODES: [&str; 2] = ["canary-profile-code-91", "canary-profile-code-92"];
const GUESS: &str = "canary-guess-4242";
const BAD_TOKEN: &str = "canary-bad-t0ken.that-nobody.ever-signed";

/// Texts that give a code away in any of the spellings a program could make of it, in capitals.
pub(crate) fn spellings(code: &str) -> Vec<String> {
    let bare: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let canonical = bare
        .to_uppercase()
        .replace('O', "0")
        .replace(['I', 'L'], "1");
    vec![code.to_uppercase(), bare.to_uppercase(), canonical]
}

/// What was done, and what came of it.
struct Play<'s> {
    stack: &'s Stack,
    organization: Organization<'s>,
    secrets: Secrets,
    /// Every refusal, with all that it carries, and answers about codes of one's own.
    refusals: Vec<u8>,
    /// What commands said.
    commands: Vec<u8>,
}

impl<'s> Play<'s> {
    async fn new(stack: &'s Stack) -> Self {
        let mut play = Self {
            stack,
            organization: Organization::new(stack).await,
            secrets: Secrets::default(),
            refusals: Vec::new(),
            commands: Vec::new(),
        };
        play.organization.let_register(true).await;
        for password in [PASSWORD, GIVEN_PASSWORD, WRONG_PASSWORD] {
            play.secrets.text("a password", password);
        }
        let of_others = POOL_CODES.into_iter().chain(PROFILE_CODES);
        for code in of_others.chain([OWN_CODE, GUESS]) {
            play.secrets.code(code);
        }
        let site = stack.site();
        let token = stack.token(Role::PlatformService, "platform", None);
        for token in [token.as_str(), &site.service_token, BAD_TOKEN] {
            play.secrets.token(token);
        }
        let services = &site.database.services;
        for url in [&services.keys_url, &services.enrollment_url] {
            let url = url.expose_secret();
            let password = url
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('@'));
            let password = password.and_then(|(login, _)| login.split_once(':'));
            let password = password.expect("a password").1;
            play.secrets.text("a password of the database", password);
            assert!(url.parse::<PgConnectOptions>().is_ok());
        }
        play
    }

    /// Fails unless the call was refused for this reason; keeps what the refusal said.
    fn refused<T>(&mut self, answer: Result<T, Status>, reason: ErrorReason) {
        let refusal = answer.err().expect("a refusal");
        assert_eq!(reason_of(&refusal), reason, "{refusal:?}");
        self.refusals.extend(format!("{refusal:?}\n").bytes());
        self.refusals.extend(refusal.details());
    }

    /// Uses codes of every kind, well and badly.
    async fn use_codes(&mut self) {
        let class = self
            .organization
            .class(ClassDraft::new().with_event_key())
            .await;
        let class_id = class.class_id;
        let event_code = self.organization.event_code(&class_id).await;
        let codes = self.organization.generate(&class_id, 3).await;
        let codes: Vec<String> = codes.into_iter().map(|code| code.code).collect();
        codes
            .iter()
            .chain([&event_code])
            .for_each(|code| self.secrets.code(code));
        let students = self.organization.students(3).await;
        let stack = self.stack;
        come_in(stack, &students[0], &codes[0]).await;
        let spent = redeem(stack, &students[1], &codes[0]).await;
        self.refused(spent, ErrorReason::KeyAlreadyRedeemed);
        self.register(&event_code).await;
        self.organization
            .set_event_key(&class_id, own_code(OWN_CODE))
            .await;
        let replaced = redeem(stack, &students[2], &event_code).await;
        self.refused(replaced, ErrorReason::CodeReplaced);
        come_in(stack, &students[2], &OWN_CODE.to_uppercase()).await;
        self.look_at(&students[1], &codes[1]).await;
        self.export(&class_id, &codes).await;
        self.export_by_command(&class_id, &codes).await;
        self.create_with_password().await;
        self.fail_with_codes(&students[1], &codes[2]).await;
        self.organization
            .set_event_key(&class_id, generated())
            .await;
        let newest = self.organization.event_code(&class_id).await;
        self.secrets.code(&newest);
    }

    /// Adds codes of one's own to a pool, some of which are taken, and redeems one and a generated one.
    async fn use_a_pool(&mut self) {
        let pool = self.organization.pool(PoolDraft::new()).await;
        let generated = self.organization.pool_keys(&pool.pool_id, 1).await;
        self.secrets.code(&generated[0].code);
        let [good, other] = POOL_CODES.map(ToOwned::to_owned);
        let mut pools = self.organization.admin().key_pools();
        for codes in [vec![good.clone()], vec![good.to_uppercase(), other]] {
            let request = AddOwnPoolKeysRequest {
                request_id: new_id(),
                pool_id: pool.pool_id.clone(),
                codes,
                only_good: true,
            };
            let answer = pools.add_own_pool_keys(request).await.expect("an answer");
            let answer = answer.into_inner();
            assert_eq!(answer.added.len(), 1, "{answer:?}");
            self.refusals.extend(format!("{answer:?}\n").bytes());
        }
        let students = self.organization.students(2).await;
        for (student, code) in students.iter().zip([&good, &generated[0].code]) {
            let granted = redeem(self.stack, student, code).await.expect("assigned");
            let granted = format!("{:?}\n", granted.into_inner());
            self.refusals.extend(granted.bytes());
        }
        let spent = redeem(self.stack, &students[1], &good).await;
        self.refused(spent, ErrorReason::KeyAlreadyRedeemed);
    }

    /// Adds codes of one's own to a subscription profile, some of which are taken, and redeems one and a generated one.
    async fn use_a_profile(&mut self) {
        let profile_id = self.organization.profile().await.profile_id;
        let organization = &self.organization;
        let generated = organization
            .subscription_keys(&profile_id, 1, uses(1))
            .await;
        self.secrets.code(&generated[0].code);
        let [good, other] = PROFILE_CODES.map(ToOwned::to_owned);
        let mut keys = organization.admin().subscription_keys();
        for codes in [vec![good.clone()], vec![good.to_uppercase(), other]] {
            let request = AddOwnSubscriptionKeysRequest {
                request_id: new_id(),
                profile_id: profile_id.clone(),
                codes,
                only_good: true,
                terms: None,
            };
            let answer = keys.add_own_subscription_keys(request).await;
            let answer = answer.expect("an answer").into_inner();
            assert_eq!(answer.added.len(), 1, "{answer:?}");
            self.refusals.extend(format!("{answer:?}\n").bytes());
        }
        let students = self.organization.students(2).await;
        for (student, code) in students.iter().zip([&good, &generated[0].code]) {
            let granted = redeem(self.stack, student, code).await.expect("assigned");
            let granted = format!("{:?}\n", granted.into_inner());
            self.refusals.extend(granted.bytes());
        }
        let spent = redeem(self.stack, &students[1], &good).await;
        self.refused(spent, ErrorReason::KeyAlreadyRedeemed);
    }

    /// Has the code of an event key sent to a student, and to nobody whom the mail server does not take.
    async fn send_codes(&mut self, server: &MailServer) {
        server.refuse("nobody", "550 5.1.1 no such mailbox");
        let organization = Organization::new(self.stack).await;
        let plan = NotificationPlanSettings {
            subject: "Your key {{ event_key }}".to_owned(),
            text: "It is {{ event_key }}.".to_owned(),
            html: "<b>{{ event_key }}</b>".to_owned(),
            ..plan_settings()
        };
        organization.plan(plan).await;
        organization.write_to_people().await;
        let (_, code) = organization.event_class(ClassDraft::new()).await;
        self.secrets.code(&code);
        let student = organization.student().await;
        let nobody = organization.student_request("nobody@example.com");
        let mut students = self.stack.platform().students();
        let nobody = students.create_student(nobody).await.expect("made");
        let nobody = nobody.into_inner().student.expect("a student");
        for id in [&nobody.student_id, &student.student_id] {
            come_in(self.stack, id, &code).await;
        }
        eventually("a letter with the code, and a dead one", async || {
            let found = server.received_for(&student.email);
            let list = ListNotificationsRequest {
                organization_id: organization.id.clone(),
                ..ListNotificationsRequest::default()
            };
            let mut admin = organization.admin().notifications();
            let listed = admin.list_notifications(list).await.expect("letters");
            let listed = format!("{:?}", listed.into_inner());
            match found.first() {
                Some(letter) if letter.text.contains(&code) && listed.contains("REFUSED 550") => {
                    Ok(listed)
                }
                other => Err(format!("{other:?}, {listed}")),
            }
        })
        .await;
    }

    /// Checks, looks up and revokes a code.
    async fn look_at(&mut self, student_id: &str, code: &str) {
        check(self.stack, student_id, code).await.expect("good");
        let mut keys = self.organization.manager().training_keys();
        let code = code.to_lowercase();
        let found = keys.look_up_training_key(LookUpTrainingKeyRequest { code });
        let key = found.await.expect("found").into_inner().key.expect("a key");
        self.organization.revoke(&[&key.key_id]).await;
    }

    /// Exports the class, in which these codes are.
    async fn export(&self, class_id: &str, codes: &[String]) {
        let request = ExportTrainingKeysRequest {
            class_id: class_id.to_owned(),
            format: ExportFormat::Csv.into(),
            reason: "hand-out".to_owned(),
            ..ExportTrainingKeysRequest::default()
        };
        let mut keys = self.organization.manager().training_keys();
        let answer = keys.export_training_keys(request).await;
        let mut stream = answer.expect("it begins").into_inner();
        let mut text = Vec::new();
        while let Some(part) = stream.message().await.expect("it goes on") {
            text.extend_from_slice(&part.rows);
        }
        let text = String::from_utf8(text).expect("text");
        assert!(codes.iter().all(|code| text.contains(code)));
    }

    /// Has the command write the class, in which these codes are, into a file, and keeps what it said.
    async fn export_by_command(&mut self, class_id: &str, codes: &[String]) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("keys.csv");
        let output = file.to_str().expect("text");
        let wish = ["--class", class_id, "--format", "csv", "--output", output];
        let wish = [&wish[..], &["--reason", "hand-out"]].concat();
        let done = export::command::run(&self.organization, &wish).await;
        assert!(done.status.success(), "{done:?}");
        let text = std::fs::read_to_string(&file).expect("the file");
        assert!(codes.iter().all(|code| text.contains(code)));
        self.commands.extend([done.stdout, done.stderr].concat());
    }

    /// Codes that are unknown, mistyped, taken, or come with a bad token or from far away.
    async fn fail_with_codes(&mut self, student_id: &str, good: &str) {
        let stack = self.stack;
        let guessed = redeem(stack, student_id, GUESS).await;
        self.refused(guessed, ErrorReason::KeyNotFound);
        let mistyped = format!(
            "{}{}",
            &good[..good.len() - 1],
            if good.ends_with('7') { '8' } else { '7' }
        );
        self.secrets.code(&mistyped);
        let mistyped = redeem(stack, student_id, &mistyped).await;
        self.refused(mistyped, ErrorReason::KeyMalformed);
        let far = Organization::new(stack).await;
        let stranger = far.student().await;
        let stranger = redeem(stack, &stranger.student_id, good).await;
        self.refused(stranger, ErrorReason::OrganizationMismatch);
        let class = far.class(ClassDraft::new()).await;
        let taken = SetEventKeyRequest {
            request_id: new_id(),
            class_id: class.class_id,
            change: Some(own_code(OWN_CODE)),
            etag: String::new(),
        };
        let mut keys = far.admin().training_keys();
        self.refused(keys.set_event_key(taken).await, ErrorReason::CodeTaken);
        for code in [good.to_owned(), format!("{good}\u{7f}\n")] {
            let request = crate::harness::world::redemption(&new_id(), student_id, &code);
            let mut redemptions = stack.bearer(Some(BAD_TOKEN)).redemptions();
            let refused = redemptions.redeem_key(request).await;
            self.refused(refused, ErrorReason::TokenInvalid);
        }
        let look_up = LookUpTrainingKeyRequest {
            code: GUESS.to_owned(),
        };
        let mut keys = self.organization.manager().training_keys();
        let unknown = keys.look_up_training_key(look_up).await;
        self.refused(unknown, ErrorReason::KeyNotFound);
    }

    /// Everything that staff see of keys without revealing their codes.
    async fn shown(&self) -> Vec<u8> {
        let manager = self.organization.manager();
        let keys = ListTrainingKeysRequest::default();
        let keys = manager.training_keys().list_training_keys(keys).await;
        let events = ListAuditEventsRequest::default();
        let of_keys = manager.keys_audit().list_audit_events(events.clone()).await;
        let of_enrollment = manager.enrollment_audit().list_audit_events(events).await;
        let redemptions = ListRedemptionsRequest::default();
        let redemptions = manager.redemptions().list_redemptions(redemptions).await;
        let (keys, redemptions) = (keys.expect("keys"), redemptions.expect("redemptions"));
        let events = (of_keys.expect("events"), of_enrollment.expect("events"));
        format!("{keys:?} {events:?} {redemptions:?}").into_bytes()
    }
}

/// A stack on a server of its own, with everything logged, traced and measured; and where the metrics are.
async fn observed(endpoint: &str, server: &MailServer) -> (Stack, [SocketAddr; 2]) {
    let address = |service| claim(service, ANY_PORT).expect("a free port");
    let addresses = [address(Service::Keys), address(Service::Enrollment)];
    let settings = |address: SocketAddr, more: &str| -> &'static str {
        let text = format!(
            "[log]\nfilter = \"trace\"\n[metrics]\naddress = \"{address}\"\n[traces]\notlp_endpoint = \"{endpoint}\"\n{more}"
        );
        Box::leak(text.into_boxed_str())
    };
    let options = Options {
        keys: settings(addresses[0], ""),
        enrollment: settings(addresses[1], mail_settings(server)),
        cluster: Some(TestCluster::to_be_crashed(None).await),
        ..Options::default()
    };
    (Stack::with(options).await, addresses)
}

#[tokio::test]
async fn nothing_that_is_stored_logged_traced_measured_or_answered_gives_a_secret_away() {
    let (collector, endpoint) = Collector::start().await;
    let server = mail_server().await;
    let (stack, metrics) = observed(&endpoint, &server).await;
    let keyring = Keyring::of(&stack);
    let mut play = Play::new(&stack).await;
    play.use_codes().await;
    play.use_a_pool().await;
    play.use_a_profile().await;
    play.send_codes(&server).await;
    keyring.run(&["new-version"]).await.succeeded();
    let rotated = keyring.run(&["rotate"]).await;
    play.secrets.keyring(&keyring.file);

    let mut database = stack.database().await;
    let mut found = places::tables(&mut database).await;
    found.extend(places::server(&mut database).await);
    found.extend([
        ("a refusal".to_owned(), play.refusals.clone()),
        ("a list".to_owned(), play.shown().await),
        (
            "what the commands say".to_owned(),
            [&play.commands[..], rotated.text().as_bytes()].concat(),
        ),
        ("a log".to_owned(), logs::all(stack.site()).into_bytes()),
    ]);
    rotated.succeeded();
    for address in metrics {
        found.push(("the metrics".to_owned(), scrape(address).await.into_bytes()));
    }
    eventually("the last spans have come", async || {
        let last = collector.find("latchkey-keys", SpanKind::Server, "/ListAuditEvents");
        last.map(drop)
    })
    .await;
    found.push((
        "a span".to_owned(),
        format!("{:?}", collector.spans()).into_bytes(),
    ));
    sings(&found);
    play.secrets.are_not_in(&found);
    stack.finish().await;
}

/// The canary sings: what may stand there is found, so each place was really looked at.
fn sings(found: &[places::Place]) {
    let contains = |place: &str, text: &str| {
        let mut there = found.iter().filter(|(name, _)| name.contains(place));
        there.any(|(_, content)| {
            let mut windows = content.windows(text.len());
            windows.any(|window| window == text.as_bytes())
        })
    };
    for (place, text) in [
        ("the table enrollment.students", "Nora"),
        ("the table enrollment.letters", "REFUSED 550"),
        ("/base/", "Nora"),
        ("/pg_wal/", "Nora"),
        ("pg_waldump", "INSERT"),
        ("a log", "RedeemKey"),
        ("a log", "DEBUG"),
        // Of each service, at its lowest level.
        ("a log", "resolving codes"),
        ("a log", "deciding redemptions"),
        ("a span", "RedeemKey"),
        ("the metrics", "RedeemKey"),
        ("the metrics", "latchkey_letters_total"),
        ("a span", "RevealCode"),
        ("a refusal", "KEY_NOT_FOUND"),
        ("a list", "event_key.set"),
        ("what the commands say", "made anew"),
        ("what the commands say", "keys are in"),
    ] {
        assert!(contains(place, text), "{text} is not in {place}");
    }
}
