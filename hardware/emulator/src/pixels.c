// SPDX-License-Identifier: GPL-3.0-or-later
// WS2812B data sheets: a zero is 0.22 to 0.55 us high, a one 0.58 to 1.0 us; a low of more than 50 us (newer ones: 280 us)
// ends the picture.
#include <stdio.h>
#include <string.h>
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "shown.h"

#define STRIPS 2
#define PIXELS 64
#define LATCH_US 50

struct strip {
    struct pin *pin;
    uint64_t rise;
    uint8_t bytes[PIXELS * 3];
    unsigned bits;
    unsigned long bad_bits;
    char shown[PIXELS * 7 + 1];
};

static struct strip strips[STRIPS];
static unsigned count;

static void latch(void *arg) {
    struct strip *s = arg;
    char picture[sizeof s->shown] = "";
    unsigned used = 0;
    for (unsigned i = 0; i < s->bits / 24; i++) {
        const uint8_t *grb = s->bytes + 3 * i;
        used += snprintf(picture + used, sizeof picture - used, " %02x%02x%02x", grb[1], grb[0], grb[2]);
    }
    if (s->bits % 24) s->bad_bits++;
    s->bits = 0;
    memset(s->bytes, 0, sizeof s->bytes);
    if (!used || !strcmp(picture, s->shown)) return;
    strcpy(s->shown, picture);
    event("pixels %s%s", pin_name(s->pin), picture);
}

static void on_edge(struct pin *p, int level, void *arg) {
    (void)p;
    struct strip *s = arg;
    uint64_t now = avr->cycle;
    if (level == 1) {
        s->rise = now;
        return;
    }
    if (level != 0 || !s->rise) return;
    double high = (now - s->rise) * 1e6 / avr->frequency;
    s->rise = 0;
    // Between the two, and beyond them, each strip decides for itself: counted, and read as most would.
    bool one = high > 0.56;
    if (high < 0.2 || (high > 0.55 && high < 0.58) || high > 1.0) s->bad_bits++;
    if (s->bits < PIXELS * 24) {
        if (one) s->bytes[s->bits / 8] |= 0x80 >> s->bits % 8;
        s->bits++;
    }
    // Each bit moves the end on; cancelling and asking anew 24 times per pixel is cheap enough.
    agenda_cancel(latch, s);
    agenda_at(now + cycles_of_us(LATCH_US), latch, s);
}

bool pixels_attach(struct pin *data) {
    if (count == STRIPS) return false;
    struct strip *s = &strips[count++];
    s->pin = data;
    pin_listen(data, on_edge, s);
    return true;
}

const char *pixels_now(const struct pin *data, unsigned long *bad_bits) {
    for (unsigned i = 0; i < count; i++)
        if (strips[i].pin == data) {
            *bad_bits = strips[i].bad_bits;
            return strips[i].shown[0] ? strips[i].shown + 1 : "";
        }
    return NULL;
}
