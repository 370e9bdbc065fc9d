//! The published schemas are those of the code. `PRIMRACK_WRITE_SCHEMAS=1` writes them anew.

use std::fs;
use std::path::Path;

use primrack_wire::mqtt::{Asked, EndedMessage, ReceiptMessage, StateMessage, TagMessage};
use schemars::{Schema, schema_for};

#[test]
fn the_published_schemas_are_those_of_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let all: [(&str, Schema); 5] = [
        ("command", schema_for!(Asked)),
        ("receipt", schema_for!(ReceiptMessage)),
        ("ended", schema_for!(EndedMessage)),
        ("state", schema_for!(StateMessage)),
        ("tag", schema_for!(TagMessage)),
    ];
    for (name, schema) in all {
        let file = folder.join(format!("{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("PRIMRACK_WRITE_SCHEMAS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let published = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(published, text, "{}: write it anew with PRIMRACK_WRITE_SCHEMAS=1", file.display());
    }
}
