//! One compact record per object, threaded into at most one list at a time.
//!
//! Lists are doubly linked through the records themselves, so queueing 100,000 objects allocates
//! nothing and taking one out of the middle costs the same as taking the first.

/// No record.
pub(super) const NIL: u32 = u32::MAX;
/// Never happened.
pub(super) const NEVER: u64 = u64::MAX;

/// Where an object is in its life.
///
/// ```text
/// Vacant ─▶ Idle ─wake─▶ Waiting ─due─▶ Ready ─pick─▶ InFlight ─▶ Idle | Waiting | Dead
///            ▲                                                          │
///            └───────────────────────── resume ◀────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Unknown or forgotten.
    Vacant,
    /// Nothing to send.
    Idle,
    /// In the wheel until `due`.
    Waiting(Wait),
    /// In its host's list; `suspect` says in which.
    Ready,
    /// A worker has it.
    InFlight,
    /// Its URL is dead until it is resumed.
    Dead,
}

/// What a waiting object waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Company, or its interval.
    Change,
    /// Its back-off: changes do not shorten it.
    Backoff,
    /// Its turn in its pace group, already paid for.
    Pace,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) prev: u32,
    pub(super) next: u32,
    pub(super) host: u32,
    /// Pace groups; [`NIL`] is none.
    pub(super) pace: [u32; 2],
    pub(super) due: u64,
    pub(super) last_push: u64,
    pub(super) last_wake: u64,
    pub(super) phase: Phase,
    /// 0 after quiet; each push that follows closely raises it and with it the interval.
    pub(super) stage: u8,
    pub(super) failures: u8,
    /// Parts sent in a row of one state that did not fit into one push.
    pub(super) run: u8,
    /// Silent or very slow the last time.
    pub(super) suspect: bool,
    /// Which of its host's lists it stands in while `Ready`.
    pub(super) in_suspects: bool,
    /// Changed while in flight.
    pub(super) woken: bool,
    /// Registered again while in flight: what comes back is about the old URL.
    pub(super) resumed: bool,
    /// Forgotten while in flight.
    pub(super) forgotten: bool,
}

impl Slot {
    pub(super) const VACANT: Self = Self {
        prev: NIL,
        next: NIL,
        host: NIL,
        pace: [NIL; 2],
        due: 0,
        last_push: NEVER,
        last_wake: 0,
        phase: Phase::Vacant,
        stage: 0,
        failures: 0,
        run: 0,
        suspect: false,
        in_suspects: false,
        woken: false,
        resumed: false,
        forgotten: false,
    };
}

/// A first-in first-out list through the records.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == NIL
    }

    pub(super) fn push_back(&mut self, slots: &mut [Slot], ix: u32) {
        let slot = &mut slots[ix as usize];
        slot.prev = self.tail;
        slot.next = NIL;
        if self.tail == NIL {
            self.head = ix;
        } else {
            slots[self.tail as usize].next = ix;
        }
        self.tail = ix;
        self.len += 1;
    }

    pub(super) fn pop_front(&mut self, slots: &mut [Slot]) -> Option<u32> {
        let ix = self.head;
        if ix == NIL {
            return None;
        }
        self.remove(slots, ix);
        Some(ix)
    }

    /// Takes out `ix`, which must be in this list.
    pub(super) fn remove(&mut self, slots: &mut [Slot], ix: u32) {
        let (prev, next) = (slots[ix as usize].prev, slots[ix as usize].next);
        match prev {
            NIL => self.head = next,
            prev => slots[prev as usize].next = next,
        }
        match next {
            NIL => self.tail = prev,
            next => slots[next as usize].prev = prev,
        }
        self.len -= 1;
        let slot = &mut slots[ix as usize];
        slot.prev = NIL;
        slot.next = NIL;
    }
}
