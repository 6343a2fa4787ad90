//! Answers that enrolled nobody are kept for a while, and given again as they were; then they are forgotten.

use latchkey::stack::Service;
use latchkey_enrollment::app::delivery::sweep::sweep_once;
use latchkey_proto::enrollment::v1::{GetRedemptionRequest, RedemptionOutcome, UpdateClassRequest};
use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::world::{redeem_as, redemption};
use crate::harness::{Caller, ClassDraft, Organization, Stack, eventually, new_id, refused};

/// Makes a decision look as if it had been made so many days ago.
async fn age(stack: &Stack, redemption_id: &str, days: i32) {
    let statement =
        "UPDATE enrollment.redemptions SET decided_at = decided_at - make_interval(days => $2)
        WHERE redemption_id = $1::uuid";
    let aged = sqlx::query(statement).bind(redemption_id).bind(days);
    let aged = aged.execute(&mut stack.database().await).await;
    assert_eq!(aged.expect("aged").rows_affected(), 1);
}

/// Whether a decision is remembered no more.
async fn forgotten(admin: &Caller, redemption_id: &str) -> Result<(), String> {
    let redemption_id = redemption_id.to_owned();
    let request = GetRedemptionRequest { redemption_id };
    match admin.redemptions().get_redemption(request).await {
        Ok(_) => Err("it is remembered".to_owned()),
        refusal => {
            refused(refusal, ErrorReason::RedemptionNotFound);
            Ok(())
        }
    }
}

/// Records so many refusals that are past their retention.
async fn refuse_long_ago(stack: &Stack, count: i64) {
    let statement = "INSERT INTO enrollment.redemptions (redemption_id, registration, outcome, reason, fingerprint,
            organization_id, caller, peer, request_id, decided_at)
        SELECT gen_random_uuid(), false, 'refused', 'KEY_NOT_FOUND', '', gen_random_uuid(), '', '', '', now() - interval '40 days'
        FROM generate_series(1, $1)";
    let refused = sqlx::query(statement).bind(count);
    refused
        .execute(&mut stack.database().await)
        .await
        .expect("refused");
}

#[tokio::test]
async fn a_sweep_ends_however_much_there_is_to_forget_and_the_next_goes_on() {
    const MOST: u64 = 50_000;
    let mut stack = Stack::own().await;
    // Nobody else sweeps meanwhile.
    stack.replica(Service::Enrollment, 0).stop().await;
    refuse_long_ago(&stack, 51_000).await;
    let file = stack.site().enrollment[0].config_file();
    let config = latchkey_enrollment::Config::load(Some(file)).expect("a configuration");
    let (_, services, _) = latchkey_enrollment::assemble(&config).expect("the service");

    let first = sweep_once(&services).await.expect("swept");
    let second = sweep_once(&services).await.expect("swept");

    assert_eq!((first.purged, first.purgeable), (MOST, true));
    assert_eq!((second.purged, second.purgeable), (1_000, false));
    services.pool.close().await;
    stack.replica(Service::Enrollment, 0).run().await;
    stack.finish().await;
}

#[tokio::test]
async fn old_refusals_are_forgotten_and_nothing_else_is() {
    let mut stack = Stack::own().await;
    let ids: Vec<String> = (0..4).map(|_| new_id()).collect();
    let [young, old, in_already, enrolled] = ids.as_slice() else {
        panic!("four ids")
    };
    let (platform, admin, request) = {
        let organization = Organization::new(&stack).await;
        let (class, code) = organization.event_class(ClassDraft::new().maximum(1)).await;
        let students = organization.students(3).await;
        redeem_as(&stack, enrolled, &students[0], &code)
            .await
            .expect("in");
        redeem_as(&stack, in_already, &students[0], &code)
            .await
            .expect("in already");
        for (id, student) in [(young, &students[1]), (old, &students[2])] {
            refused(
                redeem_as(&stack, id, student, &code).await,
                ErrorReason::ClassFull,
            );
        }
        // From now on there is room: who asks anew is let in.
        let change = UpdateClassRequest {
            maximum_students: 10,
            ..UpdateClassRequest::default()
        };
        let paths = ["maximum_students"];
        organization
            .update_class(&class.class_id, &paths, change)
            .await;
        for (id, days) in [(young, 29), (old, 31), (in_already, 31), (enrolled, 4_000)] {
            age(&stack, id, days).await;
        }
        let request = |id: &str, student: &str| redemption(id, student, &code);
        let requests = [
            request(young, &students[1]),
            request(old, &students[2]),
            request(enrolled, &students[0]),
        ];
        (stack.platform(), organization.admin(), requests)
    };
    // Everything is swept when a process starts.
    stack.replica(Service::Enrollment, 0).stop().await;
    stack.replica(Service::Enrollment, 0).run().await;

    for id in [old, in_already] {
        eventually("forgotten", async || forgotten(&admin, id).await).await;
    }
    let [of_young, of_old, of_enrolled] = request;
    let again = platform.redemptions().redeem_key(of_young).await;
    refused(again, ErrorReason::ClassFull);
    let anew = platform.redemptions().redeem_key(of_old).await;
    let anew = anew.expect("its id is new").into_inner();
    assert_eq!(
        (anew.outcome(), anew.replayed),
        (RedemptionOutcome::Enrolled, false)
    );
    let again = platform.redemptions().redeem_key(of_enrolled).await;
    assert!(again.expect("kept for ever").into_inner().replayed);
    stack.finish().await;
}
