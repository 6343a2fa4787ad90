//! Locking rows for those who reach them, and for nobody else.

/// Makes `lock_within` of the table `enrollment.$table`, whose rows have the id `$column` and belong to an organization.
macro_rules! lock_within {
    ($table:literal, $column:literal) => {
        /// Locks the row with this id, if its organization stands within `scope`; false if not, or if there is none: who may not
        /// know of it does not wait for it either. Read it by the next statement: this one's snapshot is older than the lock.
        pub async fn lock_within(
            connection: &mut sqlx::PgConnection,
            id: uuid::Uuid,
            scope: &latchkey_service_kit::access::Scope,
        ) -> sqlx::Result<bool> {
            let locked = sqlx::query_scalar!(
                "SELECT x." + $column + " FROM enrollment." + $table + " x
             JOIN enrollment.organizations o ON o.organization_id = x.organization_id
             WHERE x." + $column + " = $1 AND ($2 OR o.organization_id = $3 OR o.ancestor_ids @> ARRAY[$3]::uuid[])
             FOR NO KEY UPDATE OF x",
                id,
                scope.everything,
                scope.organization as _,
            )
            .fetch_optional(connection)
            .await?;
            Ok(locked.is_some())
        }
    };
}
pub(super) use lock_within;
