//! Role-based access control of SeaORM over a cached connection: each statement is checked, then goes the usual way.

use std::pin::Pin;

use async_trait::async_trait;
use sea_orm::rbac::entity::role::RoleId;
use sea_orm::rbac::{
    PermissionRequest, RbacEngine, RbacPermissionsByResources, RbacResourcesAndPermissions,
    RbacRoleHierarchyList, RbacRolesAndRanks, RbacUserId, RbacUserRolePermissions, ResourceRequest,
};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, IsolationLevel,
    QueryResult, RestrictedConnection, Statement, StatementBuilder, TransactionError,
    TransactionOptions, TransactionSession, TransactionTrait,
};

use crate::connection::CachedConn;
use crate::transaction::CachedTxn;

impl CachedConn {
    /// Reads roles and permissions from the database: see [`DatabaseConnection::load_rbac`].
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn load_rbac(&self) -> Result<(), DbErr> {
        self.inner().load_rbac().await
    }

    /// Reads them from another one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn load_rbac_from(&self, other: &DatabaseConnection) -> Result<(), DbErr> {
        self.inner().load_rbac_from(other).await
    }

    /// Takes these in their place.
    pub fn replace_rbac(&self, engine: RbacEngine) {
        self.inner().replace_rbac(engine);
    }

    /// The connection with the permissions of a user. What is written through it, the cache sees; it has no cached
    /// reads, since an entry does not know who may read it.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles were loaded.
    pub fn restricted_for(&self, user: RbacUserId) -> Result<CachedRestricted<Self>, DbErr> {
        Ok(CachedRestricted { rules: self.inner().restricted_for(user)?, db: self.clone() })
    }
}

/// A cached connection or transaction with the permissions of one user: SeaORM's [`RestrictedConnection`]. Statements of
/// raw SQL are refused, as there.
#[derive(Clone, Debug)]
pub struct CachedRestricted<D> {
    rules: RestrictedConnection,
    db: D,
}

impl<D> CachedRestricted<D> {
    /// SeaORM's connection with the permissions of the user. The cache does not see what is written through it.
    pub fn rules(&self) -> &RestrictedConnection {
        &self.rules
    }

    /// The user.
    pub fn user_id(&self) -> RbacUserId {
        self.rules.user_id()
    }

    /// Refuses a statement that the user must not run.
    ///
    /// # Errors
    ///
    /// [`DbErr::AccessDenied`], and [`DbErr::RbacError`] if no roles are loaded.
    pub fn user_can_run<S: StatementBuilder>(&self, stmt: &S) -> Result<(), DbErr> {
        self.rules.user_can_run(stmt)
    }

    /// Whether the user has a permission on a resource.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn user_can<P, R>(&self, permission: P, resource: R) -> Result<bool, DbErr>
    where
        P: Into<PermissionRequest>,
        R: Into<ResourceRequest>,
    {
        self.rules.user_can(permission, resource)
    }

    /// The user's role and its permissions, those of the roles below it included.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn current_user_role_permissions(&self) -> Result<RbacUserRolePermissions, DbErr> {
        self.rules.current_user_role_permissions()
    }

    /// All roles, each with one more than the number of roles below it.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn roles_and_ranks(&self) -> Result<RbacRolesAndRanks, DbErr> {
        self.rules.roles_and_ranks()
    }

    /// All resources and all permissions.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn resources_and_permissions(&self) -> Result<RbacResourcesAndPermissions, DbErr> {
        self.rules.resources_and_permissions()
    }

    /// The edges of the hierarchy below a role.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn role_hierarchy_edges(&self, role: RoleId) -> Result<RbacRoleHierarchyList, DbErr> {
        self.rules.role_hierarchy_edges(role)
    }

    /// The permissions of a role by resource, without those of the roles below it.
    ///
    /// # Errors
    ///
    /// [`DbErr::RbacError`] if no roles are loaded.
    pub fn role_permissions_by_resources(
        &self,
        role: RoleId,
    ) -> Result<RbacPermissionsByResources, DbErr> {
        self.rules.role_permissions_by_resources(role)
    }

    fn of<O>(&self, db: O) -> CachedRestricted<O> {
        CachedRestricted { rules: self.rules.clone(), db }
    }
}

impl<D: TransactionTrait<Transaction = CachedTxn>> CachedRestricted<D>
where
    Self: Sync,
{
    /// Calls an async closure with a restricted transaction, which is committed if the closure succeeds.
    ///
    /// # Errors
    ///
    /// Those of the closure, and of begin, commit and rollback.
    pub async fn transaction_async<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> AsyncFnOnce(&'c CachedRestricted<CachedTxn>) -> Result<T, E> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin().await.map_err(TransactionError::Connection)?;
        let result = callback(&begun).await;
        begun.db.end(result).await
    }

    /// The same with an isolation level or access mode.
    ///
    /// # Errors
    ///
    /// As [`transaction_async`](Self::transaction_async).
    pub async fn transaction_with_config_async<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> AsyncFnOnce(&'c CachedRestricted<CachedTxn>) -> Result<T, E> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin_with_config(isolation_level, access_mode).await;
        let begun = begun.map_err(TransactionError::Connection)?;
        let result = callback(&begun).await;
        begun.db.end(result).await
    }
}

impl CachedRestricted<CachedTxn> {
    /// Commits the transaction, and invalidates what it has changed.
    ///
    /// # Errors
    ///
    /// As [`CachedTxn::commit`].
    pub async fn commit(self) -> Result<(), DbErr> {
        self.db.commit().await
    }

    /// Takes back what the transaction or savepoint has written.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.db.rollback().await
    }
}

fn raw<T>(sql: &impl std::fmt::Display) -> Result<T, DbErr> {
    Err(DbErr::RbacError(format!("Raw query is not supported: {sql}")))
}

#[async_trait]
impl<D: ConnectionTrait> ConnectionTrait for CachedRestricted<D> {
    fn get_database_backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        raw(&stmt)
    }

    async fn execute<S: StatementBuilder>(&self, stmt: &S) -> Result<ExecResult, DbErr> {
        self.rules.user_can_run(stmt)?;
        self.db.execute(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        raw(&sql)
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        raw(&stmt)
    }

    async fn query_one<S: StatementBuilder>(&self, stmt: &S) -> Result<Option<QueryResult>, DbErr> {
        self.rules.user_can_run(stmt)?;
        self.db.query_one(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        raw(&stmt)
    }

    async fn query_all<S: StatementBuilder>(&self, stmt: &S) -> Result<Vec<QueryResult>, DbErr> {
        self.rules.user_can_run(stmt)?;
        self.db.query_all(stmt).await
    }

    fn support_returning(&self) -> bool {
        self.db.support_returning()
    }
}

#[async_trait]
impl<D: TransactionTrait<Transaction = CachedTxn>> TransactionTrait for CachedRestricted<D>
where
    Self: Sync,
{
    type Transaction = CachedRestricted<CachedTxn>;

    async fn begin(&self) -> Result<Self::Transaction, DbErr> {
        Ok(self.of(self.db.begin().await?))
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<Self::Transaction, DbErr> {
        Ok(self.of(self.db.begin_with_config(isolation_level, access_mode).await?))
    }

    async fn begin_with_options(
        &self,
        options: TransactionOptions,
    ) -> Result<Self::Transaction, DbErr> {
        Ok(self.of(self.db.begin_with_options(options).await?))
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self::Transaction,
            ) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin().await.map_err(TransactionError::Connection)?;
        let result = callback(&begun).await;
        begun.db.end(result).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(
                &'c Self::Transaction,
            ) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
            + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let begun = self.begin_with_config(isolation_level, access_mode).await;
        let begun = begun.map_err(TransactionError::Connection)?;
        let result = callback(&begun).await;
        begun.db.end(result).await
    }
}

#[async_trait]
impl TransactionSession for CachedRestricted<CachedTxn> {
    async fn commit(self) -> Result<(), DbErr> {
        self.db.commit().await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.db.rollback().await
    }
}
