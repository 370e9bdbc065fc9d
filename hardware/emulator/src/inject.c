// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agenda.h"
#include "board.h"
#include "report.h"

static void say_sent(void *arg) {
    event("sent %s", (char *)arg);
    free(arg);
}

static char *copy(const char *text) {
    char *c = strdup(text);
    if (!c) fatal("out of memory");
    return c;
}

void inject_pulse(struct pin *p, int level, double us, unsigned count, double period_us) {
    struct edge edges[2 * count];
    for (unsigned i = 0; i < count; i++) {
        edges[2 * i] = (struct edge){cycles_of_us(i * period_us), level};
        edges[2 * i + 1] = (struct edge){cycles_of_us(i * period_us + us), !level};
    }
    pin_play(p, edges, 2 * count, NULL, NULL);
}

void inject_button(struct pin *p, bool pressed, double bounce_us, unsigned extra) {
    int level = pressed ? 0 : 1;
    struct edge edges[2 * extra + 1];
    edges[0] = (struct edge){0, level};
    double at = 0;
    for (unsigned i = 1; i <= 2 * extra; i++) {
        // Uneven steps, always the same: five different lengths that add up.
        static const double PART[] = {0.6, 1.4, 0.3, 1.9, 0.8};
        at += bounce_us / (2 * extra) * PART[i % 5];
        if (at > bounce_us) at = bounce_us;
        edges[i] = (struct edge){cycles_of_us(at), i % 2 ? !level : level};
    }
    pin_play(p, edges, 2 * extra + 1, NULL, NULL);
}

void inject_serial(struct pin *p, unsigned baud, const uint8_t *bytes, unsigned count, const char *what) {
    struct edge edges[count * 10 + 1];
    double bit = (double)avr->frequency / baud;
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++)
        for (unsigned b = 0; b < 10; b++) {
            int level = b == 0 ? 0 : b == 9 ? 1 : bytes[i] >> (b - 1) & 1;
            edges[n] = (struct edge){(uint64_t)(n * bit + 0.5), level};
            n++;
        }
    edges[n] = (struct edge){(uint64_t)(n * bit + 0.5), 1}; // the last stop bit has its full length
    pin_play(p, edges, n + 1, say_sent, copy(what));
}

// ---------------------------------------------------------------- RDM6300, ID-12LA

static struct pin *rdm[INJECT_MAX];
static unsigned rdms;

unsigned rdm_count(void) { return rdms; }
bool rdm_is_full(unsigned reader) { return pin_is_full(rdm[reader]); }

int rdm_attach(struct pin *p) {
    if (rdms == INJECT_MAX) return -1;
    rdm[rdms] = p;
    pin_drive(p, 1);
    return (int)rdms++;
}

void rdm_send(unsigned reader, const uint8_t tag[5], bool id12, bool bad_checksum) {
    char frame[20] = "\x02", what[20];
    uint8_t sum = bad_checksum ? 0x55 : 0;
    for (unsigned i = 0; i < 5; i++) {
        sprintf(frame + 1 + 2 * i, "%02X", tag[i]);
        sum ^= tag[i];
    }
    sprintf(frame + 11, "%02X%s\x03", sum, id12 ? "\r\n" : "");
    sprintf(what, "rdm %u", reader);
    inject_serial(rdm[reader], 9600, (uint8_t *)frame, strlen(frame), what);
}

// ---------------------------------------------------------------- Wiegand

static struct {
    struct pin *d0, *d1;
} wiegand[INJECT_MAX];
static unsigned wiegands;

unsigned wiegand_count(void) { return wiegands; }
bool wiegand_is_full(unsigned reader) { return pin_is_full(wiegand[reader].d0) || pin_is_full(wiegand[reader].d1); }

int wiegand_attach(struct pin *d0, struct pin *d1) {
    if (wiegands == INJECT_MAX) return -1;
    wiegand[wiegands].d0 = d0;
    wiegand[wiegands].d1 = d1;
    pin_drive(d0, 1);
    pin_drive(d1, 1);
    return (int)wiegands++;
}

static bool odd(uint32_t v) { return __builtin_parity(v); }

uint64_t wiegand_with_parity(uint32_t payload, unsigned bits) {
    unsigned half = (bits - 2) / 2;
    uint32_t low = payload & ((1ull << half) - 1), high = payload >> half;
    return (uint64_t)odd(high) << (bits - 1) | (uint64_t)payload << 1 | !odd(low);
}

void wiegand_send(unsigned reader, uint64_t raw, unsigned bits, double pulse_us, double period_us) {
    struct pin *pins[2] = {wiegand[reader].d0, wiegand[reader].d1};
    uint64_t now = avr->cycle, start = now;
    for (unsigned i = 0; i < 2; i++)
        if (pin_free_at(pins[i]) > start) start = pin_free_at(pins[i]) + cycles_of_us(50000); // a card after a card
    struct edge edges[2][130];
    unsigned n[2] = {0, 0};
    for (unsigned i = 0; i < bits; i++) {
        unsigned line = raw >> (bits - 1 - i) & 1;
        double at = (start - now) * 1e6 / avr->frequency + i * period_us;
        edges[line][n[line]++] = (struct edge){cycles_of_us(at), 0};
        edges[line][n[line]++] = (struct edge){cycles_of_us(at + pulse_us), 1};
    }
    char what[20];
    sprintf(what, "wiegand %u", reader);
    unsigned last = raw & 1;
    for (unsigned line = 0; line < 2; line++) {
        if (!n[line]) continue;
        // A play starts where the pin's last one ends; these times count from now.
        uint64_t shift = pin_free_at(pins[line]) - now;
        for (unsigned i = 0; i < n[line]; i++) edges[line][i].cycle -= shift;
        bool ends = line == last;
        pin_play(pins[line], edges[line], n[line], ends ? say_sent : NULL, ends ? copy(what) : NULL);
    }
}
