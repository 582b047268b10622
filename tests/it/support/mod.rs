//! What the integration tests share: real servers, the key store's schema and accounts on them, and the program itself
//! in front of them.
#![allow(clippy::expect_used, reason = "test support")]
#![allow(clippy::print_stderr, reason = "a test says which server it ran against")]
#![allow(dead_code, reason = "not every test needs everything")]

pub(crate) mod data_plane;
pub(crate) mod gate;
pub(crate) mod key_store;
#[cfg(feature = "aws-kms")]
pub(crate) mod keys;
#[cfg(feature = "aws-kms")]
pub(crate) mod office;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod server;
pub(crate) mod shop;
pub(crate) mod tls;

/// Runs an asynchronous test.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// Makes one test per server kind from each asynchronous function that takes a [`server::Kind`].
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => {
        mod mysql {
            $(#[test] fn $test() {
                crate::support::block_on(super::$test(crate::support::server::Kind::MySql));
            })+
        }
        mod mariadb {
            $(#[test] fn $test() {
                crate::support::block_on(super::$test(crate::support::server::Kind::MariaDb));
            })+
        }
    };
}
pub(crate) use on_each_server;
