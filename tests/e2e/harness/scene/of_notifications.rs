//! Good requests for the methods that tell people.

use latchkey_proto::enrollment::v1 as enrollment;
use prost::Message;

use super::Scene;

impl Scene<'_> {
    pub(super) fn of_notifications(&self, method: &str) -> Vec<u8> {
        match method {
            "RenderInvitation" => enrollment::RenderInvitationRequest {
                class_id: self.class.class_id.clone(),
                ..enrollment::RenderInvitationRequest::default()
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }
}
