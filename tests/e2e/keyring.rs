//! New keys for the codes: while calls are served, with processes that have read the file and processes that have not,
//! with a rotation that dies at every place. No code is lost, none is given twice, and no key goes that is needed.

pub(crate) mod command;

use latchkey::stack::Service;
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{RevealTrainingKeysRequest, RevealedCode, SetEventKeyRequest};
use latchkey_service_kit::ids::os_random;
use secrecy::ExposeSecret;
use sqlx::Connection;
use tokio_util::sync::CancellationToken;

use self::command::Keyring;
use crate::harness::world::{come_in, generated, own_code, redemption};
use crate::harness::{ClassDraft, Options, Organization, Stack, eventually, logs, new_id, refused};

const OWN_CODE: &str = "Autumn-Surge-2031";

/// Two processes of each service.
async fn pair() -> Stack {
    let options = Options {
        replicas: 2,
        ..Options::default()
    };
    Stack::with(options).await
}

/// The codes of these keys, as they are shown now.
async fn shown(organization: &Organization<'_>, codes: &[RevealedCode]) -> Vec<String> {
    let request = RevealTrainingKeysRequest {
        key_ids: codes.iter().map(|code| code.key_id.clone()).collect(),
        purpose: "hand-out".to_owned(),
    };
    let mut keys = organization.manager().training_keys();
    let shown = keys.reveal_training_keys(request).await.expect("codes");
    let shown = shown.into_inner().codes;
    shown.into_iter().map(|code| code.code).collect()
}

fn texts(codes: &[RevealedCode]) -> Vec<String> {
    codes.iter().map(|code| code.code.clone()).collect()
}

fn take_text(class_id: &str, text: &str) -> SetEventKeyRequest {
    SetEventKeyRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        change: Some(own_code(text)),
        etag: String::new(),
    }
}

/// How many audit rows the keyring has, by action.
async fn audited(stack: &Stack, action: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM keys.audit_events WHERE action = $1")
        .bind(action)
        .fetch_one(&mut stack.database().await)
        .await
        .expect("a number")
}

#[tokio::test]
async fn a_rotation_that_dies_everywhere_comes_to_its_end_and_every_code_stays_good() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (class, codes) = organization
        .keyed_class(ClassDraft::new().maximum(60), 60)
        .await;
    let other = organization.class(ClassDraft::new()).await;
    organization
        .set_event_key(&class.class_id, own_code(OWN_CODE))
        .await;
    // A code that opens nothing any more is made anew too.
    organization
        .set_event_key(&other.class_id, own_code("Gone-By-2031"))
        .await;
    organization
        .set_event_key(&other.class_id, generated())
        .await;
    let keyring = Keyring::of(&stack);
    keyring.run(&["new-version"]).await.succeeded();
    let before = keyring.status().await;
    assert_eq!(before.state("seal", 2), "added");

    let mut deaths = 0;
    let ended = loop {
        let faults = format!("crash::any={deaths}*off->return");
        let ended = keyring.run_with(&["rotate", "--rows", "1"], &faults).await;
        // Whatever it has come to, both kinds of row are good.
        assert_eq!(shown(&organization, &codes).await, texts(&codes));
        let taken = organization
            .admin()
            .training_keys()
            .set_event_key(take_text(&other.class_id, OWN_CODE))
            .await;
        refused(taken, ErrorReason::CodeTaken);
        if deaths < codes.len() {
            let student = organization.student().await;
            come_in(&stack, &student.student_id, &codes[deaths].code).await;
        }
        if ended.is_success() {
            break ended;
        }
        deaths += 1;
        assert!(deaths < 60, "it never ends:\n{}", ended.text());
    };
    assert!(deaths >= 12, "only {deaths} places to die at");
    assert!(ended.text().contains("0 made anew"), "{}", ended.text());

    let after = keyring.status().await;
    for purpose in ["seal", "look_up"] {
        assert_eq!(
            (after.rows(purpose, 1), after.state(purpose, 1)),
            (0, "in use".to_owned())
        );
        assert_eq!(after.rows(purpose, 2), before.rows(purpose, 1));
        assert_eq!(after.state(purpose, 2), "current");
    }
    assert_eq!(audited(&stack, "keyring.make_current").await, 3);
    assert_eq!(audited(&stack, "keyring.complete_rotation").await, 2);
    old_keys_go(&stack, &keyring).await;
    assert_eq!(shown(&organization, &codes).await, texts(&codes));
    let student = organization.student().await;
    come_in(&stack, &student.student_id, &OWN_CODE.to_uppercase()).await;
    stack.finish().await;
}

/// The old keys can be removed, but for that of fingerprints, which stays as long as a request that it made.
async fn old_keys_go(stack: &Stack, keyring: &Keyring) {
    for purpose in ["seal", "look-up"] {
        let removed = keyring.remove(purpose, 1).await;
        assert!(removed.is_success(), "{}", removed.text());
    }
    let needed = keyring.remove("fingerprint", 1).await;
    assert!(!needed.is_success());
    assert!(
        needed.text().contains("rows were made with it"),
        "{}",
        needed.text()
    );
    let current = keyring.remove("seal", 2).await;
    assert!(
        current.text().contains("everything new is made with it"),
        "{}",
        current.text()
    );
    let status = keyring.status().await;
    assert!(!status.has("seal", 1) && !status.has("look_up", 1));
    assert_eq!(audited(stack, "keyring.take_out").await, 2);
    keyring.processes_have_read().await;
}

/// Every second: each commit takes so long that there are some.
#[tokio::test]
async fn who_rotates_is_told_how_far_it_is() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    organization.keyed_class(ClassDraft::new(), 5).await;
    let keyring = Keyring::of(&stack);
    keyring.run(&["new-version"]).await.succeeded();
    let slow = "crash::any=sleep(300)";
    let ended = keyring.run_with(&["rotate", "--rows", "1"], slow).await;
    let said = ended.text();
    ended.succeeded();
    let steps: Vec<&str> = (said.lines())
        .filter(|line| line.contains(" of 5 codes looked at, "))
        .collect();
    assert_eq!(steps[0], "1 of 5 codes looked at, 1 made anew …");
    assert!(steps.len() > 1, "{said}");
    let end = |line| line == "5 codes looked at, 5 made anew";
    assert!(said.lines().any(end), "{said}");
    stack.finish().await;
}

#[tokio::test]
async fn redemptions_reveals_and_new_codes_go_on_while_keys_are_rotated_three_times() {
    let stack = pair().await;
    let organization = Organization::new(&stack).await;
    let (class, first) = organization
        .keyed_class(ClassDraft::new().maximum(5000), 300)
        .await;
    let event = organization.class(ClassDraft::new()).await;
    let keyring = Keyring::of(&stack);
    let done = CancellationToken::new();
    let work = async {
        let mut made = first.clone();
        let mut used = 0;
        while !done.is_cancelled() {
            let more = organization.generate(&class.class_id, 2).await;
            assert_eq!(shown(&organization, &more).await, texts(&more));
            made.extend(more);
            for code in [&made[used].code, &made[made.len() - 1].code] {
                let student = organization.student().await;
                come_in(&stack, &student.student_id, code).await;
            }
            used += 1;
            made.pop();
            let text = format!("Surge-{used}-{}", new_id());
            organization
                .set_event_key(&event.class_id, own_code(&text))
                .await;
        }
        (made, used)
    };
    let rotate = async {
        for version in 2..5 {
            keyring.run(&["new-version"]).await.succeeded();
            keyring.run(&["rotate", "--rows", "20"]).await.succeeded();
            for purpose in ["seal", "look-up"] {
                let removed = keyring.remove(purpose, version - 1).await;
                assert!(removed.is_success(), "{}", removed.text());
            }
        }
        done.cancel();
    };
    let ((made, used), ()) = tokio::join!(work, rotate);
    assert!(used > 2, "nothing went on meanwhile");
    assert_eq!(
        shown(&organization, &made[used..]).await,
        texts(&made[used..])
    );
    let status = keyring.status().await;
    assert_eq!(status.state("look_up", 4), "current");
    assert!(status.rows("look_up", 4) > 300);
    stack.finish().await;
}

#[tokio::test]
async fn a_key_is_not_current_before_every_process_has_it_and_who_lacks_it_says_so() {
    let mut stack = pair().await;
    let shared = Keyring::of(&stack);
    // The second process has a file of its own, which nobody brings up to date.
    let straggler = stack.replica(Service::Keys, 1);
    let own_file = straggler.config.with_extension("keyring.toml");
    std::fs::copy(&shared.file, &own_file).expect("copied");
    straggler.stop().await;
    let config = std::fs::read_to_string(&straggler.config).expect("its configuration");
    let (from, to) = (
        shared.file.to_str().expect("text"),
        own_file.to_str().expect("text"),
    );
    assert!(config.contains(from));
    std::fs::write(&straggler.config, config.replace(from, to)).expect("written");
    straggler.run().await;
    let address = straggler.address.to_string();

    let organization = Organization::new(&stack).await;
    let (class, old) = organization.keyed_class(ClassDraft::new(), 2).await;
    shared.run(&["new-version"]).await.succeeded();
    let waiting = shared.run(&["rotate", "--replicas-within", "4"]).await;
    assert!(!waiting.is_success());
    for part in [
        "nothing was changed",
        &address,
        "does not have the version 2",
    ] {
        assert!(
            waiting.text().contains(part),
            "{part} in {}",
            waiting.text()
        );
    }
    assert_eq!(shared.status().await.state("look_up", 1), "current");

    // It was stopped for so long that nobody counts on it.
    eventually("without the other process it goes on", async || {
        forget(&stack, &address).await;
        let rotated = shared.run(&["rotate", "--replicas-within", "0"]).await;
        rotated.is_success().then_some(()).ok_or(rotated.text())
    })
    .await;
    let new = organization.generate(&class.class_id, 1).await;
    who_lacks_a_key_does_not_guess(&stack, &organization, &class.class_id, &old, &new).await;

    eventually("it says again that it runs", async || {
        let known = shared.status().await.knows(&address);
        known.then_some(()).ok_or("not yet".to_owned())
    })
    .await;
    let refused = shared.remove("look-up", 1).await;
    assert!(!refused.is_success());
    assert!(refused.text().contains(&address), "{}", refused.text());
    std::fs::copy(&shared.file, &own_file).expect("copied");
    eventually("it can go when the process has read its file", async || {
        let removed = shared.remove("look-up", 1).await;
        removed.is_success().then_some(()).ok_or(removed.text())
    })
    .await;
    let student = organization.student().await;
    let request = redemption(&new_id(), &student.student_id, &new[0].code);
    let mut redemptions = stack.platform().on(1).redemptions();
    let redeemed = redemptions.redeem_key(request).await;
    redeemed.expect("in by the process that has read it now");
    stack.finish().await;
}

/// The second process answers that it cannot tell, where another would know.
async fn who_lacks_a_key_does_not_guess(
    stack: &Stack,
    organization: &Organization<'_>,
    class_id: &str,
    old: &[RevealedCode],
    new: &[RevealedCode],
) {
    let reveal = RevealTrainingKeysRequest {
        key_ids: vec![old[0].key_id.clone()],
        purpose: "hand-out".to_owned(),
    };
    let mut keys = organization.manager().on(1).training_keys();
    let unknown = ErrorReason::DependencyUnavailable;
    refused(keys.reveal_training_keys(reveal).await, unknown);
    let mut keys = organization.admin().on(1).training_keys();
    refused(
        keys.set_event_key(take_text(class_id, OWN_CODE)).await,
        unknown,
    );
    for code in [&new[0].code, &old[1].code] {
        let student = organization.student().await;
        let request = redemption(&new_id(), &student.student_id, code);
        let mut redemptions = stack.platform().on(1).redemptions();
        refused(redemptions.redeem_key(request).await, unknown);
    }
    let student = organization.student().await;
    come_in(stack, &student.student_id, &old[1].code).await;
}

async fn forget(stack: &Stack, address: &str) {
    sqlx::query("DELETE FROM keys.keyring_holders WHERE address = $1")
        .bind(address)
        .execute(&mut stack.database().await)
        .await
        .expect("forgotten");
}

#[tokio::test]
async fn no_process_gives_up_a_key_that_is_in_use_whatever_becomes_of_its_file() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let keyring = Keyring::of(&stack);
    let good = std::fs::read_to_string(&keyring.file).expect("the keyring");
    for bad in [
        the_keyring_of_another_deployment(),
        good.replace("version = 1", "version = 2"),
        "no keyring".to_owned(),
    ] {
        let asked = said(&stack, "the keyring needs a look");
        std::fs::write(&keyring.file, bad).expect("written");
        says_more(&stack, "the keyring needs a look", asked).await;
        assert_eq!(shown(&organization, &codes).await, texts(&codes));
        let well = said(&stack, "the keyring is as it should be again");
        std::fs::write(&keyring.file, &good).expect("written");
        says_more(&stack, "the keyring is as it should be again", well).await;
    }
    let student = organization.student().await;
    come_in(&stack, &student.student_id, &codes[0].code).await;
    stack.finish().await;
}

/// How often the processes have said this.
fn said(stack: &Stack, what: &str) -> usize {
    logs::all(stack.site()).matches(what).count()
}

/// Returns when they have said it more often than that.
async fn says_more(stack: &Stack, what: &str, before: usize) {
    eventually(what, async || {
        let more = said(stack, what) > before;
        more.then_some(()).ok_or("not yet".to_owned())
    })
    .await;
}

/// A keyring with the same versions of other keys.
fn the_keyring_of_another_deployment() -> String {
    let other = latchkey_keys::Keyring::generate(&mut os_random());
    other.to_toml().expose_secret().to_owned()
}

#[tokio::test]
async fn what_is_sealed_for_one_row_does_not_open_in_another() {
    let stack = Stack::own().await;
    let organization = Organization::new(&stack).await;
    let (_, codes) = organization.keyed_class(ClassDraft::new(), 2).await;
    let mut database = stack.database().await;
    let mut transaction = database.begin().await.expect("begun");
    let moved = sqlx::query(
        "UPDATE keys.codes c SET sealed_code = o.sealed_code FROM keys.codes o
         WHERE c.key_id = $1::uuid AND o.key_id = $2::uuid",
    );
    let moved = moved.bind(&codes[0].key_id).bind(&codes[1].key_id);
    let moved = moved.execute(&mut *transaction).await.expect("moved");
    assert_eq!(moved.rows_affected(), 1);
    transaction.commit().await.expect("moved");
    let request = RevealTrainingKeysRequest {
        key_ids: vec![codes[0].key_id.clone()],
        purpose: "hand-out".to_owned(),
    };
    let mut keys = organization.manager().training_keys();
    let refusal = refused(
        keys.reveal_training_keys(request).await,
        ErrorReason::Internal,
    );
    assert!(!format!("{refusal:?}").contains(&codes[1].code));
    // A rotation does not carry it over either: it ends, naming the row.
    let keyring = Keyring::of(&stack);
    keyring.run(&["new-version"]).await.succeeded();
    let rotated = keyring.run(&["rotate"]).await;
    assert!(!rotated.is_success());
    assert!(
        rotated.text().contains(&codes[0].key_id),
        "{}",
        rotated.text()
    );
    stack.finish_after_faults(1).await;
}
