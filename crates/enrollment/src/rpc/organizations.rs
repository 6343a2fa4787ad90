//! `OrganizationService`.

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::organization_service_server::OrganizationService;
use latchkey_service_kit::etag;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::{call, errors, messages};
use crate::app::Services;
use crate::app::create_organization::{NewOrganization, create_organization};
use crate::app::read_organizations::{get_organization, list_organizations};
use crate::app::update_organization::{OrganizationChange, update_organization};
use crate::domain::organization::Organization;

/// The fields of an organization that an update can change.
const FIELDS: &[&str] = &["display_name"];

/// The service.
#[derive(Debug, Clone)]
pub struct Organizations {
    services: Arc<Services>,
}

impl Organizations {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl OrganizationService for Organizations {
    async fn create_organization(
        &self,
        request: Request<proto::CreateOrganizationRequest>,
    ) -> Result<Response<proto::CreateOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = NewOrganization {
            request_id: violations.uuid("request_id", &message.request_id),
            parent_id: violations.optional_uuid("parent_id", &message.parent_id),
            display_name: messages::name(&mut violations, "display_name", &message.display_name),
        };
        violations.finish()?;
        let made = create_organization(&self.services, &call, wish)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::CreateOrganizationResponse {
            organization: Some(organization(made)),
        }))
    }

    async fn get_organization(
        &self,
        request: Request<proto::GetOrganizationRequest>,
    ) -> Result<Response<proto::GetOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        violations.finish()?;
        let found = get_organization(&self.services, &call, id)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::GetOrganizationResponse {
            organization: Some(organization(found)),
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<proto::ListOrganizationsRequest>,
    ) -> Result<Response<proto::ListOrganizationsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let parent = violations.optional_uuid("parent_id", &message.parent_id);
        let parent_text = messages::optional_id(parent);
        let query = ["ListOrganizations", parent_text.as_str()];
        let page = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_organizations(&self.services, &call, parent, &page, &query)
            .await
            .map_err(errors::status)?
            .map(organization);
        Ok(Response::new(proto::ListOrganizationsResponse {
            organizations: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn update_organization(
        &self,
        request: Request<proto::UpdateOrganizationRequest>,
    ) -> Result<Response<proto::UpdateOrganizationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        let mask = messages::mask(&mut violations, message.update_mask.as_ref(), FIELDS);
        let mut change = OrganizationChange::default();
        if mask.has("display_name") {
            let name = messages::name(&mut violations, "display_name", &message.display_name);
            change.display_name = Some(name);
        }
        violations.finish()?;
        let etag = messages::optional_text(&message.etag);
        let changed = update_organization(&self.services, &call, id, change, etag)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::UpdateOrganizationResponse {
            organization: Some(organization(changed)),
        }))
    }

    async fn set_self_registration(
        &self,
        request: Request<proto::SetSelfRegistrationRequest>,
    ) -> Result<Response<proto::SetSelfRegistrationResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        violations.finish()?;
        let change = OrganizationChange {
            self_registration: Some(message.enabled),
            ..OrganizationChange::default()
        };
        let changed = update_organization(&self.services, &call, id, change, None)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(proto::SetSelfRegistrationResponse {
            organization: Some(organization(changed)),
        }))
    }
}

fn organization(organization: Organization) -> proto::Organization {
    proto::Organization {
        organization_id: organization.id.to_string(),
        parent_id: messages::optional_id(organization.parent_id),
        etag: etag::format(organization.id, organization.version),
        display_name: organization.display_name,
        self_registration_enabled: organization.self_registration,
        create_time: Some(messages::stamp(organization.created_at)),
    }
}
