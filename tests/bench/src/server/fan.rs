//! Bare hyper: posts ready-made pushes to every callback with hyper-util's client, 64 in flight. What any
//! delivery is measured against: it decides nothing, retries nothing, checks nothing.

use axum::body::Bytes;
use axum::http::Request;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use primrack_wire::world::{Dir, Nonce, NonceField};

use super::{Orders, ready};
use crate::report::say;
use crate::words::{FanSpec, callback, signed};

const IN_FLIGHT: usize = 64;

pub(super) async fn run(spec: FanSpec, mut orders: Orders) -> anyhow::Result<()> {
    let FanSpec { objects, sink } = spec;
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(hyper_util::rt::TokioExecutor::new()).build(http);
    let urls: Vec<String> = (0..objects).map(|object| callback(object, sink, "o")).collect();
    ready(0);
    let mut seq = 0;
    while let Some(order) = orders.recv().await {
        let words: Vec<&str> = order.split_whitespace().collect();
        match words.as_slice() {
            ["quit"] => break,
            // Signed beforehand, so that only posting is timed; the sink checks and answers them alike.
            ["prepare", state] => {
                seq += 1;
                let word = if *state == "on" { "On" } else { "Off" };
                let bodies: Vec<Bytes> = (0..objects)
                    .map(|object| {
                        let body = format!(
                            r#"{{"list":[{{"u":0,"s":"{state}","l":"Server {object}","w":"{word}","n":"shut down by itself","m":1}}]}}"#
                        );
                        let nonce = NonceField::Boot(Nonce { boot: 1, random: 1 });
                        Bytes::from(signed(Dir::Push, object, nonce, seq, &body))
                    })
                    .collect();
                say("prepared");
                if orders.recv().await.as_deref() != Some("post") {
                    break;
                }
                say("posting");
                let mut posts = futures::stream::iter(urls.iter().zip(bodies))
                    .map(|(url, body)| {
                        let client = &client;
                        async move {
                            let request = Request::post(url.as_str()).body(Full::new(body))?;
                            client.request(request).await?.into_body().collect().await?;
                            anyhow::Ok(())
                        }
                    })
                    .buffer_unordered(IN_FLIGHT);
                while let Some(done) = posts.next().await {
                    done?;
                }
            }
            other => anyhow::bail!("nobody knows the order {other:?}"),
        }
    }
    Ok(())
}
