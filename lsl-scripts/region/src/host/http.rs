//! HTTP out and in.

use super::{HostFn, count, give, void};
use primrack_lsl::Value;

pub(super) const TABLE: &[(&str, HostFn)] = &[
    ("llHTTPRequest", |c, a| {
        let value = c.world.http_request(c.me, a.text(0)?, a.list(1)?, a.text(2)?);
        give(value)
    }),
    ("llRequestURL", |c, _| give(c.world.request_url(c.me, false))),
    ("llRequestSecureURL", |c, _| give(c.world.request_url(c.me, true))),
    ("llReleaseURL", |c, a| {
        c.world.release_url(c.me, a.text(0)?);
        void()
    }),
    ("llHTTPResponse", |c, a| {
        c.world.respond(c.me, a.text(0)?, a.int(1)?, a.text(2)?);
        void()
    }),
    ("llGetHTTPHeader", |c, a| give(Value::str(c.world.request_header(a.text(0)?, a.text(1)?)))),
    ("llSetContentType", |c, a| {
        c.world.set_content_type(a.text(0)?, a.int(1)?);
        void()
    }),
    ("llGetFreeURLs", |c, _| count(c.world.free_urls())),
    ("osSetContentType", |c, a| {
        let kind = match a.text(1)? {
            "application/json" => 5,
            "application/xml" => 2,
            _ => 0,
        };
        c.world.set_content_type(a.text(0)?, kind);
        void()
    }),
];
