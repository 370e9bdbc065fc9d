//! The operator's side: health, metrics, API, live stream, page.
