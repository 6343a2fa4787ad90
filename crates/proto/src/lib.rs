//! The contract of Latchkey: messages, clients and servers generated from `proto/`, their field rules, and the
//! descriptor set for reflection. No logic lives here.
//!
//! Every item is documented in the `.proto` file it comes from.

mod redacted;

/// Why calls fail or succeed with a warning: `latchkey.errors`.
pub mod errors {
    /// Version 1.
    #[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("latchkey.errors.v1");
    }
}

/// The audit trail: `latchkey.audit`.
pub mod audit {
    /// Version 1.
    #[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("latchkey.audit.v1");
    }
}

/// The key-management service: `latchkey.keys`.
pub mod keys {
    /// Version 1.
    #[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("latchkey.keys.v1");
    }
}

/// The redemption and enrollment service: `latchkey.enrollment`.
pub mod enrollment {
    /// Version 1.
    #[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
    pub mod v1 {
        tonic::include_proto!("latchkey.enrollment.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of the whole contract with its imports and options, as reflection
/// serves it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
mod validation {
    // The generated paths begin with the proto package.
    use crate as latchkey;

    include!(concat!(env!("OUT_DIR"), "/validate_impl.rs"));
}
