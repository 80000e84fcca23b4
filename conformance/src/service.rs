//! The suite in a test of the implementation itself: any [`tower_service::Service`], no socket.
//!
//! ```
//! # async fn test<S, B>(router: S)
//! # where
//! #     S: tower_service::Service<http::Request<hyper::body::Incoming>, Response = http::Response<B>>
//! #         + Clone + Send + 'static,
//! #     S::Future: Send,
//! #     S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
//! #     B: hyper::body::Body + Send + 'static,
//! #     B::Data: Send,
//! #     B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
//! # {
//! use nanshe_conformance::check_service;
//!
//! // In a `#[tokio::test]`: the cases that wait for nothing.
//! check_service(router.clone()).await.assert_valid();
//!
//! // In a `#[tokio::test(start_paused = true)]`, if the implementation takes its time from
//! // `tokio::time` as well: all of them, in no time.
//! check_service(router).with_waits().await.assert_valid();
//! # }
//! ```
//!
//! `examples/toy_broker` is a small broker that is tested so.

use std::error::Error;
use std::future::IntoFuture;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::environment::{BoxFuture, InProcess, TokioEnvironment, World};
use crate::report::Report;
use crate::suite::{Capability, Options, Profile, Selection, run};
use crate::target::{Description, Endpoint, KnownFailures};

/// The longest wait of a case unless [`Check::with_waits`] says otherwise, in seconds.
const WAIT_SECS_MAX: u64 = 1;

/// Runs the suite against `service`, once it is awaited. Needs a tokio runtime with its clock, unless
/// [`Check::in_world`] names another world.
pub fn check_service<S, B>(service: S) -> Check
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let endpoint = Endpoint::parse("http://in-process").expect("the URL is valid");
    Check {
        serve: Box::new(|world| Arc::new(InProcess::new(world, service))),
        world: None,
        target: Description::of_endpoint("service".to_owned(), endpoint.clone()),
        endpoint,
        selection: Selection {
            wait_secs_max: Some(WAIT_SECS_MAX),
            ..Selection::default()
        },
    }
}

/// A run of the suite that has not begun: it does when it is awaited.
#[must_use = "nothing runs until it is awaited"]
pub struct Check {
    serve: Box<dyn FnOnce(World) -> World + Send>,
    world: Option<World>,
    target: Description,
    endpoint: Endpoint,
    selection: Selection,
}

impl Check {
    /// In another world than tokio's: that of a node in the simulator.
    pub fn in_world(mut self, world: World) -> Self {
        self.world = Some(world);
        self
    }

    /// Also the cases that wait, for minutes and days: for time that passes at once.
    pub fn with_waits(mut self) -> Self {
        self.selection.wait_secs_max = None;
        self
    }

    /// What is expected beside the core.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.target.profile = profile;
        self
    }

    /// It offers these as well.
    pub fn offers(mut self, capabilities: &[Capability]) -> Self {
        self.target.offers.extend(capabilities);
        self
    }

    /// It does not offer these, whatever its profile says.
    pub fn lacks(mut self, capabilities: &[Capability]) -> Self {
        self.target.lacks.extend(capabilities);
        self
    }

    /// Only these cases or chapters.
    pub fn only(mut self, paths: &[&str]) -> Self {
        self.selection.only = paths.iter().map(|&path| path.to_owned()).collect();
        self
    }

    /// Not these cases or chapters.
    pub fn skip(mut self, paths: &[&str]) -> Self {
        self.selection.skip = paths.iter().map(|&path| path.to_owned()).collect();
        self
    }

    /// The set of cases as an earlier version of the suite had it.
    pub fn suite_version(mut self, version: u32) -> Self {
        self.selection.suite_version = Some(version);
        self
    }

    /// What it is known to fail.
    pub fn known_failures(mut self, known: KnownFailures) -> Self {
        self.target.known_failures = known;
        self
    }
}

impl IntoFuture for Check {
    type Output = Report;
    type IntoFuture = BoxFuture<Report>;

    /// # Panics
    ///
    /// If what was selected does not exist: a test that names no case is a mistake in the test.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let selected = match self.selection.select() {
                Ok(selected) => selected,
                Err(error) => panic!("{error}"),
            };
            let options = Options {
                command: "nanshe conform URL".to_owned(),
                // The service ends with the test.
                keep: true,
                ..Options::default()
            };
            let world = self
                .world
                .unwrap_or_else(|| Arc::new(TokioEnvironment::new()));
            let world = (self.serve)(world);
            let reached = (&self.target, self.endpoint);
            run(world, reached, &selected, &options, |_| {}).await
        })
    }
}
