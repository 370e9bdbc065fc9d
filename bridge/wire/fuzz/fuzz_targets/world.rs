//! Bytes from outside through every decoder of the world protocol and the verifier.
//! `cargo +nightly fuzz run world` in `bridge/wire`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use primrack_wire::world::{Ack, Answer, Dir, Form, NonceField, PushBody, Sealing, Secret, Seq, SeqWindow, Unverified, UpBody, seal};

fuzz_target!(|bytes: &[u8]| {
    let secret = Secret::new("0123456789abcdef0123456789abcdef").unwrap();
    if let Ok(unverified) = Unverified::parse(bytes) {
        // Nobody makes a MAC by chance.
        assert!(unverified.verify(&secret).is_err());
    }
    // The same bytes as a body that is signed: the decoders behind the MAC.
    if let Ok(body) = std::str::from_utf8(bytes) {
        let nonce = primrack_wire::world::Nonce { boot: 1, random: 2 };
        let sealing = Sealing {
            dir: Dir::Up,
            object: "rack-1",
            key_id: "a",
            secret: &secret,
            form: Form::Hex,
            nonce: NonceField::Boot(nonce),
            seq: Seq(1),
            time: 1_800_000_000,
        };
        let message = seal(&sealing, body);
        if let Ok(unverified) = Unverified::parse(&message) {
            let signed = unverified.verify(&secret).expect("our own MAC holds");
            let admitted = signed.admit(1_800_000_000, nonce, &mut SeqWindow::default()).expect("in time, in order");
            if let Ok(read) = UpBody::parse(admitted) {
                // What is read can be written and reads the same.
                let again = serde_json_bytes(&read);
                assert_eq!(UpBody::parse(&again).unwrap(), read);
            }
        }
        let _ = (read::<Answer>(bytes), read::<PushBody>(bytes), read::<Ack>(bytes));
    }
});

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn serde_json_bytes(body: &UpBody) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data")
}
