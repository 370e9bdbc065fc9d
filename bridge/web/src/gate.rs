//! Turning regions' messages away while too many are being answered: nothing is looked at but what kind of
//! request it is.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use axum::response::IntoResponse as _;
use futures::future::{Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use primrack_world::{Told, WORLD_PATH, World};

/// What is told besides: in so many seconds it may be sent again.
pub(crate) const AGAIN_S: &str = "1";

/// Before the path of the regions' messages. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    pub(crate) world: Arc<World>,
    shut: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("shut", &self.is_shut()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Before this world's path; shut while it has more in hand than it can answer in time.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        let asked = Arc::clone(world);
        Self::shut_while(world, move || asked.is_busy())
    }
    pub(crate) fn shut_while(world: &Arc<World>, shut: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { world: Arc::clone(world), shut: Arc::new(shut) }
    }

    fn is_shut(&self) -> bool {
        (self.shut)()
    }
    /// What a message is told that is turned away, when it is.
    pub(crate) fn turn_away(&self) -> Option<Told> {
        self.is_shut().then(|| self.world.turn_away())
    }
}

/// The routes, with the gate before them.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) routes: TowerToHyperService<Router>,
    pub(crate) gate: Option<Gate>,
}

type Answer = Result<Response<Body>, Infallible>;

impl Service<Request<Incoming>> for Gated {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.uri().path() == WORLD_PATH
            && let Some(told) = self.gate.as_ref().and_then(Gate::turn_away)
        {
            let again = [(header::RETRY_AFTER, HeaderValue::from_static(AGAIN_S))];
            return Either::Left(ready(Ok((again, told).into_response())));
        }
        Either::Right(self.routes.call(request))
    }
}
