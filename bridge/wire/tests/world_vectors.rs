//! The frozen examples of world protocol 1. If a test here fails, do not change the example.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use primrack_wire::world::{
    Ack, Answer, Dir, Fault, NonceField, PushBody, Sealing, Secret, Unverified, UpBody, WIRE_LIMIT, seal,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    secret: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    message: String,
    holds: bool,
    reason: Option<String>,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../../tests/vectors/world-1.json")).unwrap()
}

/// Opens a message as far as its bytes alone decide.
fn open<'a>(message: &'a str, secret: &Secret) -> Result<(Unverified<'a>, &'a [u8]), Fault> {
    let unverified = Unverified::parse(message.as_bytes())?;
    let signed = unverified.verify(secret)?;
    let (header, time) = (unverified.header, unverified.header.time);
    let body = match (header.dir, header.nonce) {
        (Dir::Up, NonceField::Boot(nonce)) => signed.admit(time, nonce, &mut Default::default())?,
        (Dir::Up, NonceField::None) => message.split_once('\n').unwrap().1.as_bytes(),
        (Dir::Push, _) => signed.push(time, None)?,
        (dir, _) => signed.answers(dir, header.seq)?,
    };
    Ok((unverified, body))
}

#[test]
fn every_example_is_taken_or_refused_for_its_reason() {
    let File { secret, vectors } = file();
    let secret = Secret::new(&secret).unwrap();
    for Vector { name, message, holds, reason } in &vectors {
        let fault = open(message, &secret).err();
        assert_eq!(fault.is_none(), *holds, "{name}: {fault:?}");
        assert_eq!(fault.map(Fault::token), reason.as_deref(), "{name}");
    }
    assert!(vectors.len() >= 38);
}

#[test]
fn sealing_again_gives_the_same_bytes() {
    let File { secret, vectors } = file();
    let secret = Secret::new(&secret).unwrap();
    for Vector { name, message, .. } in vectors.iter().filter(|vector| vector.holds) {
        let header = Unverified::parse(message.as_bytes()).unwrap().header;
        let sealing = Sealing {
            dir: header.dir,
            object: header.object,
            key_id: header.key_id,
            secret: &secret,
            form: header.form,
            nonce: header.nonce,
            seq: header.seq,
            time: header.time,
        };
        let body = message.split_once('\n').unwrap().1;
        assert_eq!(String::from_utf8(seal(&sealing, body)).unwrap(), *message, "{name}");
    }
}

#[test]
fn bodies_read_and_what_we_write_keeps_to_the_grids() {
    let File { secret, vectors } = file();
    let secret = Secret::new(&secret).unwrap();
    for Vector { name, message, .. } in vectors.iter().filter(|vector| vector.holds) {
        let (unverified, body) = open(message, &secret).unwrap();
        let text = std::str::from_utf8(body).unwrap();
        let again = match unverified.header.dir {
            Dir::Up => {
                UpBody::parse(body).unwrap_or_else(|fault| panic!("{name}: {fault}"));
                continue;
            }
            Dir::Answer => serde_json::to_string(&serde_json::from_str::<Answer>(text).unwrap()),
            Dir::Push => serde_json::to_string(&serde_json::from_str::<PushBody>(text).unwrap()),
            Dir::Ack => serde_json::to_string(&serde_json::from_str::<Ack>(text).unwrap()),
        }
        .unwrap();
        assert_eq!(again, text, "{name}: written another way");
        assert!(!again.contains("\\u") && message.len() <= WIRE_LIMIT, "{name}");
    }
}
