//! Accounts with passwords, in the play.

use latchkey_proto::enrollment::v1::{
    AuthenticateRequest, CreateStudentRequest, RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;

use super::{GIVEN_PASSWORD, PASSWORD, Play, WRONG_PASSWORD};
use crate::harness::new_id;
use crate::registration::with_password;

impl Play<'_> {
    /// Registers a student, who then signs in, well and badly.
    pub(super) async fn register(&mut self, event_code: &str) {
        let email = format!("{}@example.com", new_id());
        let request = RegisterWithKeyRequest {
            redemption_id: new_id(),
            code: event_code.to_owned(),
            organization_id: self.organization.id.clone(),
            email: email.clone(),
            given_name: "Nora".to_owned(),
            family_name: "New".to_owned(),
            credential: Some(with_password(PASSWORD)),
        };
        let platform = self.stack.platform();
        let mut redemptions = platform.redemptions();
        redemptions
            .register_with_key(request.clone())
            .await
            .expect("registered");
        let other = RegisterWithKeyRequest {
            redemption_id: new_id(),
            ..request
        };
        let taken = redemptions.register_with_key(other).await;
        self.refused(taken, ErrorReason::EmailTaken);
        let right = AuthenticateRequest {
            organization_id: self.organization.id.clone(),
            email,
            password: PASSWORD.to_owned(),
        };
        let mut students = platform.students();
        students
            .authenticate(right.clone())
            .await
            .expect("signed in");
        let wrong = AuthenticateRequest {
            password: WRONG_PASSWORD.to_owned(),
            ..right
        };
        let refused = students.authenticate(wrong).await;
        self.refused(refused, ErrorReason::CredentialsInvalid);
    }

    /// Makes an account with a password by hand, and another that has its address already.
    pub(super) async fn create_with_password(&mut self) {
        let email = format!("{}@example.com", new_id());
        let request = || CreateStudentRequest {
            credential: Some(with_password(GIVEN_PASSWORD)),
            ..self.organization.student_request(&email)
        };
        let mut students = self.stack.platform().students();
        students.create_student(request()).await.expect("made");
        let taken = students.create_student(request()).await;
        self.refused(taken, ErrorReason::EmailTaken);
    }
}
