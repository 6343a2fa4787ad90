//! The database of a stack: both schemas, one role for each service, and no more rights than each needs.
//!
//! Whoever provisions owns the schemas and what is in them. A service's role owns nothing: it may use its own schema
//! and has none of the other's, and it cannot change or delete an audit row.

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::Service;

/// Tables in which a role may do less than read, insert, update and delete.
const RESTRICTED: [(Service, &str, &str); 6] = [
    (Service::Keys, "audit_events", "SELECT, INSERT"),
    (Service::Enrollment, "audit_events", "SELECT, INSERT"),
    // What was closed stays as it is.
    (Service::Enrollment, "billing_closings", "SELECT, INSERT"),
    (Service::Enrollment, "billing_periods", "SELECT, INSERT"),
    (Service::Enrollment, "billing_lines", "SELECT, INSERT"),
    // A decision is never changed; refusals go when their retention has passed.
    (Service::Enrollment, "redemptions", "SELECT, INSERT, DELETE"),
];

/// The lock of whoever provisions: any number that nobody else has in this database.
const PROVISIONING: i64 = 0x6c61_7463_686b;

/// Where the database is and who may do what there.
#[derive(Debug, Clone)]
pub struct Provisioning {
    /// How to connect as a role that may create databases, roles and schemas.
    pub admin: PgConnectOptions,
    /// The name of the database.
    pub database: String,
    /// Whether the server is the stack's own. On another's server no existing role is given a new password.
    pub own_server: bool,
    /// Tells this stack's roles from those of another on the same server: letters and digits.
    pub stack_id: String,
    /// The password of each service's role: letters and digits.
    pub passwords: Passwords,
}

/// The password of each service's role.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Of the keys service.
    pub keys: SecretString,
    /// Of the enrollment service.
    pub enrollment: SecretString,
}

/// A database that both services can use.
#[derive(Debug, Clone)]
pub struct Provisioned {
    /// The URL of the keys service, with its role's password.
    pub keys_url: SecretString,
    /// The URL of the enrollment service, with its role's password.
    pub enrollment_url: SecretString,
    /// What had to be made, for people.
    pub made: Vec<String>,
}

impl Provisioning {
    /// Makes what is missing: the database, roles, schemas, tables (by the services' migrations), and sets the rights.
    /// Doing it again changes nothing.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn provision(&self) -> anyhow::Result<Provisioned> {
        let mut made = Vec::new();
        self.make_database(&mut made).await?;
        let mut connection = self.connect(&self.database).await?;
        // Held until the connection is closed: whoever provisions at the same time waits, and finds everything there.
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(PROVISIONING)
            .execute(&mut connection)
            .await?;
        let mut urls = Vec::new();
        for service in Service::ALL {
            let login = self.make_role(&mut connection, service, &mut made).await?;
            migrate(&mut connection, service, &mut made).await?;
            grant(&mut connection, service).await?;
            urls.push(self.url_of(&login, service));
        }
        if self.own_server {
            // Nobody but the two services has business here.
            let database = quoted(&self.database);
            execute(
                &mut connection,
                &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
            )
            .await?;
            execute(
                &mut connection,
                &format!(
                    "GRANT CONNECT ON DATABASE {database} TO latchkey_keys, latchkey_enrollment"
                ),
            )
            .await?;
        }
        connection.close().await?;
        let [keys_url, enrollment_url] = <[SecretString; 2]>::try_from(urls)
            .map_err(|_| anyhow::anyhow!("a service has no URL"))?;
        Ok(Provisioned {
            keys_url,
            enrollment_url,
            made,
        })
    }

    /// Makes the database `name` as a copy of this one, to which nobody may be connected meanwhile, for the same roles.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn copy(&self, name: &str) -> anyhow::Result<Provisioned> {
        let mut connection = self.connect(self.maintenance()).await?;
        let statement = format!(
            "CREATE DATABASE {} TEMPLATE {}",
            quoted(name),
            quoted(&self.database)
        );
        execute(&mut connection, &statement).await?;
        let copy = Self {
            database: name.to_owned(),
            ..self.clone()
        };
        Ok(Provisioned {
            keys_url: copy.url_of(Service::Keys.role(), Service::Keys),
            enrollment_url: copy.url_of(Service::Enrollment.role(), Service::Enrollment),
            made: vec![format!("database {name}")],
        })
    }

    /// Drops the database, and the roles that only this stack uses.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn drop_database(&self) -> anyhow::Result<()> {
        let mut connection = self.connect(self.maintenance()).await?;
        execute(
            &mut connection,
            &format!(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                quoted(&self.database)
            ),
        )
        .await?;
        for service in Service::ALL {
            execute(
                &mut connection,
                &format!("DROP ROLE IF EXISTS {}", quoted(&self.own_role(service))),
            )
            .await?;
        }
        Ok(())
    }

    async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        let options = self.admin.clone().database(database);
        PgConnection::connect_with(&options).await.with_context(|| {
            format!(
                "cannot connect to the database `{database}` at {}",
                self.place()
            )
        })
    }

    /// A database that is there although ours may not be: the one that the administrator named, else the server's own.
    fn maintenance(&self) -> &str {
        let named = self.admin.get_database();
        named
            .filter(|named| *named != self.database)
            .unwrap_or("postgres")
    }

    fn place(&self) -> String {
        format!("{}:{}", self.admin.get_host(), self.admin.get_port())
    }

    async fn make_database(&self, made: &mut Vec<String>) -> anyhow::Result<()> {
        let missing = match PgConnection::connect_with(&self.admin.clone().database(&self.database))
            .await
        {
            Ok(connection) => {
                connection.close().await?;
                false
            }
            // invalid_catalog_name
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("3D000") => true,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot connect to Postgres at {}", self.place()));
            }
        };
        if missing {
            let mut connection = self.connect(self.maintenance()).await?;
            let statement = format!("CREATE DATABASE {}", quoted(&self.database));
            let created = sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await;
            match created {
                Ok(_) => made.push(format!("database {}", self.database)),
                // duplicate_database, or its row: somebody else makes the same at this moment.
                Err(sqlx::Error::Database(error))
                    if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot make the database {}", self.database));
                }
            }
        }
        Ok(())
    }

    /// Makes the service's role; returns the role to log in as.
    async fn make_role(
        &self,
        connection: &mut PgConnection,
        service: Service,
        made: &mut Vec<String>,
    ) -> anyhow::Result<String> {
        let role = service.role().to_owned();
        let password = self.password(service);
        if !role_exists(connection, &role).await? {
            execute(
                connection,
                &format!("CREATE ROLE {} {}", quoted(&role), login(password)?),
            )
            .await?;
            made.push(format!("role {role}"));
            return Ok(role);
        }
        if self.own_server {
            execute(
                connection,
                &format!("ALTER ROLE {} {}", quoted(&role), login(password)?),
            )
            .await?;
            return Ok(role);
        }
        if self.can_log_in(&role, service).await {
            return Ok(role);
        }
        // Someone else's password is on that role: this stack logs in by a member of it.
        let member = self.own_role(service);
        if role_exists(connection, &member).await? {
            execute(
                connection,
                &format!("ALTER ROLE {} {}", quoted(&member), login(password)?),
            )
            .await?;
        } else {
            execute(
                connection,
                &format!("CREATE ROLE {} {}", quoted(&member), login(password)?),
            )
            .await?;
            made.push(format!(
                "role {member}, a member of {role}, whose password is another's"
            ));
        }
        execute(
            connection,
            &format!("GRANT {} TO {}", quoted(&role), quoted(&member)),
        )
        .await?;
        Ok(member)
    }

    async fn can_log_in(&self, role: &str, service: Service) -> bool {
        let options = self.options_of(role, service);
        match PgConnection::connect_with(&options).await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    fn own_role(&self, service: Service) -> String {
        format!("{}_{}", service.role(), self.stack_id)
    }

    fn password(&self, service: Service) -> &SecretString {
        match service {
            Service::Keys => &self.passwords.keys,
            Service::Enrollment => &self.passwords.enrollment,
        }
    }

    fn options_of(&self, role: &str, service: Service) -> PgConnectOptions {
        let password = self.password(service).expose_secret();
        self.admin
            .clone()
            .database(&self.database)
            .username(role)
            .password(password)
    }

    fn url_of(&self, role: &str, service: Service) -> SecretString {
        SecretString::from(self.options_of(role, service).to_url_lossy().to_string())
    }
}

async fn migrate(
    connection: &mut PgConnection,
    service: Service,
    made: &mut Vec<String>,
) -> anyhow::Result<()> {
    let migrator: &Migrator = service.migrator();
    let schema = service.schema();
    let exists: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    migrator
        .run(&mut *connection)
        .await
        .with_context(|| format!("cannot migrate the schema {schema}"))?;
    if !exists {
        made.push(format!("schema {schema}"));
    }
    Ok(())
}

async fn grant(connection: &mut PgConnection, service: Service) -> anyhow::Result<()> {
    let (schema, role) = (service.schema(), service.role());
    let mut transaction = connection.begin().await?;
    for statement in [
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"),
        format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
        format!("REVOKE INSERT, UPDATE, DELETE ON {schema}.schema_migrations FROM {role}"),
    ] {
        execute(&mut transaction, &statement).await?;
    }
    for (_, table, rights) in RESTRICTED.iter().filter(|(owner, ..)| *owner == service) {
        execute(
            &mut transaction,
            &format!("REVOKE ALL ON {schema}.{table} FROM {role}"),
        )
        .await?;
        execute(
            &mut transaction,
            &format!("GRANT {rights} ON {schema}.{table} TO {role}"),
        )
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn role_exists(connection: &mut PgConnection, role: &str) -> anyhow::Result<bool> {
    let exists =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)").bind(role);
    Ok(exists.fetch_one(connection).await?)
}

/// The attributes of a role that can log in and nothing else.
fn login(password: &SecretString) -> anyhow::Result<String> {
    let password = password.expose_secret();
    if !password.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("a role's password must be of letters and digits");
    }
    Ok(format!(
        "LOGIN NOCREATEDB NOCREATEROLE PASSWORD '{password}'"
    ))
}

/// Statements of this module are made of its own words and of quoted names.
async fn execute(connection: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .with_context(|| {
            format!(
                "Postgres refused `{}`",
                statement.split(" PASSWORD ").next().unwrap_or_default()
            )
        })?;
    Ok(())
}

/// A name as SQL takes it whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
