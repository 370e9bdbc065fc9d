//! Turning requests away while too many are being answered: before anything is read of them but the path,
//! since what is turned away must cost far less than what is done.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use futures::future::{Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

/// How many requests to one path may be in hand, and what the others are told at once.
#[derive(Clone)]
pub struct Gate {
    /// The path it stands before.
    pub path: &'static str,
    /// Places for requests in hand.
    pub places: Arc<Semaphore>,
    /// The status of those that find no place.
    pub status: StatusCode,
    /// What they are told, in plain text.
    pub words: Bytes,
    /// Called for each of them; must be quick.
    pub tell: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("path", &self.path).field("places", &self.places).finish_non_exhaustive()
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
    type Future = Either<Ready<Answer>, Pin<Box<dyn Future<Output = Answer> + Send>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let place = match &self.gate {
            Some(gate) if request.uri().path() == gate.path => {
                match Arc::clone(&gate.places).try_acquire_owned() {
                    Ok(place) => Some(place),
                    Err(_) => {
                        (gate.tell)();
                        return Either::Left(ready(Ok(gate.answer())));
                    }
                }
            }
            _ => None,
        };
        let answer = self.routes.call(request);
        Either::Right(Box::pin(async move {
            let answer = answer.await;
            drop(place);
            answer
        }))
    }
}

impl Gate {
    fn answer(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.words.clone()));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}
