// SPDX-License-Identifier: GPL-3.0-or-later
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "shown.h"

#define BUZZERS 2
#define SILENT_US 80000 // longer than any period of a tone that can be heard
#define PERIODS 4       // a tone is named once it has lasted so long

struct buzzer {
    struct pin *pin;
    uint64_t first_rise;
    unsigned rises;
    double hertz;
};

static struct buzzer buzzers[BUZZERS];
static unsigned count;

static void falls_silent(void *arg) {
    struct buzzer *b = arg;
    b->rises = 0;
    if (b->hertz == 0) return;
    b->hertz = 0;
    event("tone %s 0", pin_name(b->pin));
}

static void on_edge(struct pin *p, int level, void *arg) {
    struct buzzer *b = arg;
    if (level != 1) return;
    agenda_cancel(falls_silent, b);
    agenda_at(avr->cycle + cycles_of_us(SILENT_US), falls_silent, b);
    if (b->rises++ == 0) {
        b->first_rise = avr->cycle;
        return;
    }
    if (b->rises <= PERIODS) return;
    double hertz = PERIODS * (double)avr->frequency / (avr->cycle - b->first_rise);
    b->first_rise = avr->cycle;
    b->rises = 1;
    if (hertz > b->hertz * 0.97 && hertz < b->hertz * 1.03) return;
    b->hertz = hertz;
    event("tone %s %.0f", pin_name(p), hertz);
}

bool buzzer_attach(struct pin *signal) {
    if (count == BUZZERS) return false;
    struct buzzer *b = &buzzers[count++];
    b->pin = signal;
    pin_listen(signal, on_edge, b);
    return true;
}
