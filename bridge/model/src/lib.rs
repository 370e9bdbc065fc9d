//! The words of Primrack: ids, targets, power, actors, intents, receipts, events; no I/O.
