// SPDX-License-Identifier: GPL-3.0-or-later
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "shown.h"

#define SERVOS 4
#define SAME_US 6.0      // one step of a servo is about this
#define ABSENT_US 100000 // five missing pulses: the servo is limp

struct servo {
    struct pin *pin;
    uint64_t rise;
    double us;
};

static struct servo servos[SERVOS];
static unsigned count;

static void goes_limp(void *arg) {
    struct servo *s = arg;
    s->us = 0;
    event("servo %s 0", pin_name(s->pin));
}

static void on_edge(struct pin *p, int level, void *arg) {
    struct servo *s = arg;
    if (level == 1) {
        s->rise = avr->cycle;
        return;
    }
    if (level != 0 || !s->rise) return;
    double us = (avr->cycle - s->rise) * 1e6 / avr->frequency;
    s->rise = 0;
    if (us < 400 || us > 2600) return;
    agenda_cancel(goes_limp, s);
    agenda_at(avr->cycle + cycles_of_us(ABSENT_US), goes_limp, s);
    double change = us - s->us;
    if (change < SAME_US && change > -SAME_US) return;
    s->us = us;
    event("servo %s %.0f", pin_name(p), us);
}

bool servo_attach(struct pin *signal) {
    if (count == SERVOS) return false;
    struct servo *s = &servos[count++];
    s->pin = signal;
    pin_listen(signal, on_edge, s);
    return true;
}

bool servo_now(const struct pin *signal, double *us) {
    for (unsigned i = 0; i < count; i++)
        if (servos[i].pin == signal) return *us = servos[i].us, true;
    return false;
}
