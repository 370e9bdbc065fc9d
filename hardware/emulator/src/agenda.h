// SPDX-License-Identifier: GPL-3.0-or-later
// What is to happen at which processor cycle: edges on pins, bytes on the line, answers of chips.
//
// simavr has cycle timers of its own, but forgets them all at a reset and does not run them while the processor
// is held. The world around a board does not stop for its reset, so it lives in this agenda.
#pragma once
#include <stdint.h>
#include <sim_avr.h>

typedef void (*agenda_fn)(void *arg);

void agenda_start(avr_t *avr);
// Once, at `cycle`, or as soon as possible if that has passed. The time asked for is in `agenda_due` during the call,
// so that what repeats does not drift by the length of the instruction that ran late.
void agenda_at(uint64_t cycle, agenda_fn fn, void *arg);
void agenda_cancel(agenda_fn fn, void *arg);
extern uint64_t agenda_due;
// After simavr has thrown its timers away.
void agenda_rearm(void);
// For a processor that stands still: moves the cycle counter on to `until`, running what is due on the way.
void agenda_pass_time(uint64_t until);
