//! What is sent.

use latchkey_proto::enrollment::v1::{
    CheckKeyRequest, Credential, ExternalIdentity, RedeemKeyRequest, RegisterWithKeyRequest,
};
use prost::Message;
use prost::bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::super::supply::{Asker, Question, Supply, Ticket};
use super::wire::PREFIX;

/// How much room for messages is taken at once.
const ROOM: usize = 64 * 1024;

/// Who vouches for those who register.
const ISSUER: &str = "https://load.latchkey.localhost";

/// A method of the redemption service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Redeem,
    Register,
    Check,
}

impl Method {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Redeem, Self::Register, Self::Check];

    /// Where it is called.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Redeem => "/latchkey.enrollment.v1.RedemptionService/RedeemKey",
            Self::Register => "/latchkey.enrollment.v1.RedemptionService/RegisterWithKey",
            Self::Check => "/latchkey.enrollment.v1.RedemptionService/CheckKey",
        }
    }
}

/// What somebody wants: the content of a redemption, all but its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A student redeems the code of a ticket, whose own it may be or not.
    Redeem {
        /// Which code.
        ticket: Ticket,
        /// Who.
        student: Uuid,
    },
    /// Somebody registers with the code of a ticket. Who it is follows from the id of the redemption.
    Register {
        /// Which code.
        ticket: Ticket,
    },
}

impl Wish {
    /// Whose code it is.
    pub(super) fn ticket(&self) -> Ticket {
        match *self {
            Self::Redeem { ticket, .. } | Self::Register { ticket } => ticket,
        }
    }

    /// How it is called.
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Redeem { .. } => Method::Redeem,
            Self::Register { .. } => Method::Register,
        }
    }
}

/// Writes messages, each with its prefix.
#[derive(Debug, Default)]
pub(super) struct Writer(BytesMut);

impl Writer {
    /// The redemption of `wish` with this id.
    pub(super) fn redemption(&mut self, supply: &Supply, id: Uuid, wish: &Wish) -> Bytes {
        let code = supply.key(wish.ticket()).code.clone();
        match wish {
            Wish::Redeem { student, .. } => self.redeem(id, code, *student),
            Wish::Register { ticket } => {
                let organization = supply.organization(*ticket).id.unwrap_or_default();
                self.write(&RegisterWithKeyRequest {
                    redemption_id: id.to_string(),
                    code,
                    organization_id: organization.to_string(),
                    email: format!("load-{}@example.com", id.simple()),
                    given_name: "Nell".to_owned(),
                    family_name: "Newcomer".to_owned(),
                    credential: Some(Credential {
                        password: None,
                        external_identity: Some(ExternalIdentity {
                            issuer: ISSUER.to_owned(),
                            subject: id.to_string(),
                        }),
                    }),
                })
            }
        }
    }

    /// `student` redeems `code`.
    pub(super) fn redeem(&mut self, id: Uuid, code: String, student: Uuid) -> Bytes {
        self.write(&RedeemKeyRequest {
            redemption_id: id.to_string(),
            code,
            student_id: student.to_string(),
            ..RedeemKeyRequest::default()
        })
    }

    /// What would the code open for who asks?
    pub(super) fn check(&mut self, supply: &Supply, question: Question) -> Bytes {
        let (student_id, organization_id) = match question.asker {
            Asker::Student { student } => (student.to_string(), String::new()),
            Asker::Newcomer { organization } => (String::new(), organization.to_string()),
        };
        self.write(&CheckKeyRequest {
            code: supply.key(question.ticket).code.clone(),
            student_id,
            organization_id,
        })
    }

    fn write(&mut self, message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        let buffer = &mut self.0;
        if buffer.capacity() < PREFIX + length {
            // One allocation for some hundred messages.
            buffer.reserve(ROOM.max(PREFIX + length));
        }
        buffer.put_u8(0);
        buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        message.encode_raw(buffer);
        buffer.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::supply::{Class, Key, KeyNumber, Organization};
    use super::*;

    fn supply() -> Supply {
        let key = |number: u128| Key {
            id: Some(Uuid::from_u128(number)),
            code: format!("EK-{number}"),
        };
        Supply {
            organizations: vec![Organization {
                id: Some(Uuid::from_u128(1)),
                students: vec![Uuid::from_u128(2)],
                spares: Vec::new(),
            }],
            classes: vec![Class {
                keys: vec![key(3)],
                event_key: Some(key(4)),
                ..Class::default()
            }],
            ..Supply::default()
        }
    }

    fn read<M: Message + Default>(bytes: &Bytes) -> M {
        let length = u32::try_from(bytes.len() - PREFIX).expect("short");
        assert_eq!(bytes[..1], [0]);
        assert_eq!(bytes[1..PREFIX], length.to_be_bytes());
        M::decode(&bytes[PREFIX..]).expect("a message")
    }

    #[test]
    fn messages_say_who_redeems_which_code() {
        let supply = supply();
        let ticket = Ticket {
            class: 0,
            key: KeyNumber::Enrollment(0),
            student: 0,
        };
        let student = supply.student(ticket);
        let id = Uuid::from_u128(9);
        let mut writer = Writer::default();
        let wish = Wish::Redeem { ticket, student };
        let redeem: RedeemKeyRequest = read(&writer.redemption(&supply, id, &wish));
        assert_eq!(redeem.redemption_id, id.to_string());
        assert_eq!(redeem.student_id, student.to_string());
        assert_eq!(redeem.code, "EK-3");
        let event = Ticket {
            key: KeyNumber::Event,
            ..ticket
        };
        let organization = Uuid::from_u128(1);
        for (asker, by_student, by_organization) in [
            (
                Asker::Student { student },
                student.to_string(),
                String::new(),
            ),
            (
                Asker::Newcomer { organization },
                String::new(),
                organization.to_string(),
            ),
        ] {
            let question = Question {
                ticket: event,
                asker,
            };
            let check: CheckKeyRequest = read(&writer.check(&supply, question));
            assert_eq!(check.code, "EK-4");
            assert_eq!(check.student_id, by_student);
            assert_eq!(check.organization_id, by_organization);
        }
        let wish = Wish::Register { ticket };
        let register = writer.redemption(&supply, id, &wish);
        // A repetition is the same to the letter.
        assert_eq!(writer.redemption(&supply, id, &wish), register);
        let register: RegisterWithKeyRequest = read(&register);
        assert_eq!(register.organization_id, Uuid::from_u128(1).to_string());
        let other = writer.redemption(&supply, Uuid::from_u128(10), &wish);
        assert_ne!(read::<RegisterWithKeyRequest>(&other).email, register.email);
    }
}
