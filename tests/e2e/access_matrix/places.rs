//! Where what a call acts on may stand, and who calls.

use latchkey_service_kit::identity::Role;
use prost_reflect::MethodDescriptor;

use super::matrix::Cell;
use crate::harness::world::come_in;
use crate::harness::{Caller, Organization, Scene, Stack};

/// Where an organization stands, seen from the callers' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    /// It is theirs.
    Own,
    /// It lies below theirs.
    Below,
    /// Theirs lies below it.
    Above,
    /// It is none of theirs.
    Foreign,
}

/// Whose student a place has, seen from the student who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller.
    Myself,
    /// Another, who is in a class of the caller's.
    Classmate,
    /// Another, with whom the caller shares no class.
    Stranger,
}

/// One combination of what access can depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) near: Near,
    /// Whether the class names the instructor who calls.
    pub(super) taught: bool,
    pub(super) student: Whose,
}

/// Every combination that there can be: a student belongs to one organization, and a classmate is in a class of theirs.
pub(super) const PLACES: [Place; 9] = [
    place(Near::Own, true, Whose::Myself),
    place(Near::Own, true, Whose::Classmate),
    place(Near::Own, false, Whose::Stranger),
    place(Near::Below, true, Whose::Stranger),
    place(Near::Below, false, Whose::Stranger),
    place(Near::Above, true, Whose::Stranger),
    place(Near::Above, false, Whose::Stranger),
    // Someone may teach for several organizations: classes name them, wherever they are.
    place(Near::Foreign, true, Whose::Stranger),
    place(Near::Foreign, false, Whose::Stranger),
];

const fn place(near: Near, taught: bool, student: Whose) -> Place {
    Place {
        near,
        taught,
        student,
    }
}

/// The methods that act on a class and not on one student.
const OF_CLASSES: [&str; 7] = [
    "GetClass",
    "ListClasses",
    "GetRoster",
    "ListEnrollments",
    "GetEventKey",
    "RevealEventKey",
    "RenderInvitation",
];

impl Place {
    /// Whether the organization is none of the callers'.
    pub(super) fn is_foreign(self) -> bool {
        self.near == Near::Foreign
    }

    /// Whether nothing of the organization is within reach of those who reach what their own organization, or their classes,
    /// are: then a list of what is there is as empty as one of what nobody made.
    pub(super) fn is_apart(self) -> bool {
        self.near != Near::Own
    }

    /// Whether `role` reaches what stands here with `method`, whose cell is `cell`.
    pub(super) fn is_reached(self, role: Role, cell: Cell, method: &MethodDescriptor) -> bool {
        match cell {
            Cell::No => false,
            Cell::Anything => true,
            Cell::Organization => matches!(self.near, Near::Own | Near::Below),
            Cell::Own if role == Role::Instructor => self.taught,
            Cell::Own if OF_CLASSES.contains(&method.name()) => self.student != Whose::Stranger,
            Cell::Own => self.student == Whose::Myself,
        }
    }
}

/// All places, and those who call.
pub(super) struct World<'s> {
    stack: &'s Stack,
    pub(super) scenes: Vec<(Place, Scene<'s>)>,
}

impl<'s> World<'s> {
    pub(super) async fn new(stack: &'s Stack) -> Self {
        // Each place has an organization of its own, but for those in the callers'; and what is right above that stands below
        // both that are above, so that a list of what these have is empty.
        let top = Organization::new(stack).await;
        let above = top.child().await;
        let own = above.child().await.child().await;
        let mut scenes: Vec<(Place, Scene<'s>)> = Vec::new();
        for place in PLACES {
            let instructor = if place.taught {
                "otto-instructor"
            } else {
                "bert-instructor"
            };
            let organization = match place.near {
                Near::Own => own.clone(),
                Near::Above if place.taught => above.clone(),
                Near::Above => top.clone(),
                Near::Below => own.child().await,
                Near::Foreign => Organization::new(stack).await,
            };
            let mut scene = Scene::within(organization, instructor).await;
            if place.student == Whose::Classmate {
                let (_, mine) = scenes.first().expect("the caller's own place is the first");
                scene.class = mine.class.clone();
                scene.event_code.clone_from(&mine.event_code);
                let student = &scene.student.student_id;
                scene.enrollment = come_in(stack, student, &scene.event_code).await;
            }
            letter_of(stack, &scene).await;
            scenes.push((place, scene));
        }
        Self { stack, scenes }
    }

    pub(super) fn own(&self) -> &Scene<'s> {
        &self.scenes[0].1
    }

    pub(super) fn caller(&self, role: Role) -> Caller {
        let organization = Some(self.own().organization.id.as_str());
        match role {
            Role::Operator => self.stack.operator(),
            Role::PlatformService => self.stack.platform(),
            Role::Instructor => self.stack.caller(role, "otto-instructor", organization),
            Role::Student => self
                .stack
                .caller(role, &self.own().student.student_id, organization),
            Role::EnrollmentService => self.stack.enrollment_service(),
            Role::Administrator | Role::OperationsManager => {
                self.stack.caller(role, "ada-admin", organization)
            }
        }
    }
}

/// A letter by the scene's plan, about its class, as if somebody had been written to.
async fn letter_of(stack: &Stack, scene: &Scene<'_>) {
    let statement = "INSERT INTO enrollment.letters (
            letter_id, plan_id, organization_id, class_id, occurred_at, recipient, state, next_attempt_at, finished_at
        )
        VALUES (gen_random_uuid(), $1::uuid, $2::uuid, $3::uuid, now(), 'operations_managers', 'sent', NULL, now())";
    let written = sqlx::query(statement)
        .bind(&scene.plan.plan_id)
        .bind(&scene.organization.id)
        .bind(&scene.class.class_id)
        .execute(&mut stack.database().await)
        .await;
    written.expect("written");
}
