// SPDX-License-Identifier: GPL-3.0-or-later
// Pins as seen from outside, under the names printed on the board (7, D7, A0) or the chip's (PB5).
//
// A pin has a level: 0, 1, or `z` when nobody drives it (an input without pull-up, every pin during reset).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FLOATING (-1)

struct pin;

void pins_start(void);
void pins_after_reset(void);
struct pin *pin_named(const char *name); // NULL: there is none
const char *pin_name(const struct pin *p);
int pin_level(const struct pin *p);
char pin_level_char(int level); // '0', '1', 'z'

// Called at each change of level, at the cycle of the change.
typedef void (*pin_listener)(struct pin *p, int level, void *arg);
void pin_listen(struct pin *p, pin_listener fn, void *arg);

void pin_drive(struct pin *p, int level); // FLOATING: lets go
void pin_pull(struct pin *p, int level);  // a resistor to 5 V or ground; FLOATING: none
void pin_watch(struct pin *p, bool on);

// Edges to come, driven on the pin at their cycles. Several plays of one pin queue up; `after` is called at the end.
struct edge {
    uint64_t cycle; // from the start of the play
    int level;
};
void pin_play(struct pin *p, const struct edge *edges, unsigned count, void (*after)(void *), void *arg);
// Cycle at which a play asked for now begins: later than now if the pin is still playing.
uint64_t pin_free_at(const struct pin *p);

// Has so much to play that no more is taken.
bool pin_is_full(const struct pin *p);

struct pin_measure {
    uint64_t high, low; // cycles that the last complete high and low lasted; 0: not seen yet
    uint64_t since;     // cycle of the last edge
    unsigned long edges;
};
const struct pin_measure *pin_measure(const struct pin *p);
// The timer that drives the pin: false if none does. Duty 0..1.
bool pin_pwm(const struct pin *p, double *duty, double *hertz);
// Millivolts at an analogue input; false: the pin has none.
bool pin_analog(const char *name, unsigned millivolts);
