//! Frozen examples, damaged: nothing that was changed is ever taken, and nothing panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use primrack_wire::world::{Fault, Nonce, NonceField, Secret, SeqWindow, Unverified, UpBody};
use proptest::prelude::*;

fn examples() -> (Secret, Vec<String>) {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/world-1.json")).unwrap();
    let secret = Secret::new(file["secret"].as_str().unwrap()).unwrap();
    let messages = file["vectors"].as_array().unwrap().iter().filter(|vector| vector["holds"] == true);
    (secret, messages.map(|vector| vector["message"].as_str().unwrap().to_owned()).collect())
}

fn take(message: &[u8], secret: &Secret) -> Result<(), Fault> {
    let unverified = Unverified::parse(message)?;
    let nonce = match unverified.header.nonce {
        NonceField::Boot(nonce) => nonce,
        NonceField::None => Nonce { boot: 0, random: 0 },
    };
    let time = unverified.header.time;
    let signed = unverified.verify(secret)?;
    match unverified.header.dir {
        primrack_wire::world::Dir::Up => {
            UpBody::parse(signed.admit(time, nonce, &mut SeqWindow::default())?).map(drop)
        }
        primrack_wire::world::Dir::Push => signed.push(time, None).map(drop),
        dir => signed.answers(dir, unverified.header.seq).map(drop),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_changed_byte_is_never_taken(which in 0_usize..1000, place in 0_usize..4000, change in 1_u8..=255) {
        let (secret, messages) = examples();
        let mut bytes = messages[which % messages.len()].clone().into_bytes();
        let place = place % bytes.len();
        bytes[place] ^= change;
        // Base64 and hex have one way to write a MAC here, so even there every change counts.
        prop_assert!(take(&bytes, &secret).is_err());
    }

    #[test]
    fn a_cut_message_is_never_taken(which in 0_usize..1000, keep in 0_usize..4000) {
        let (secret, messages) = examples();
        let bytes = messages[which % messages.len()].as_bytes();
        prop_assert!(take(&bytes[..keep % bytes.len()], &secret).is_err());
    }

    #[test]
    fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let (secret, _) = examples();
        let fault = take(&bytes, &secret).unwrap_err();
        prop_assert!(matches!(fault, Fault::Malformed | Fault::TooLong | Fault::Version));
        prop_assert!(UpBody::parse(&bytes).is_err());
    }
}
