// SPDX-License-Identifier: GPL-3.0-or-later
#include "pins.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <avr_adc.h>
#include <avr_ioport.h>
#include <avr_timer.h>
#include <sim_io.h>
#include "agenda.h"
#include "board.h"
#include "report.h"

#define PLAYS_MAX 32 // per pin, waiting for their turn

struct listener {
    pin_listener fn;
    void *arg;
    struct listener *next;
};

struct play {
    struct edge *edges; // at absolute cycles
    unsigned count, done;
    void (*after)(void *);
    void *arg;
    struct play *next;
};

struct pin {
    char name[12];
    char port;
    uint8_t bit;
    avr_irq_t *irq;
    bool chip_level; // what the chip puts out, while it is an output
    int driven, pulled, level;
    bool watched, fought;
    struct listener *listeners;
    struct play *plays;
    struct pin_measure measure;
};

struct port {
    avr_ioport_t *io;
    uint8_t ddr, port; // as written by the firmware
    struct pin *pins[8];
};

// Where the boards' numbers are: one string of port letter and bit per pin, in order.
static const char UNO_PINS[] = "D0D1D2D3D4D5D6D7B0B1B2B3B4B5C0C1C2C3C4C5";
static const char MEGA_PINS[] = "E0E1E4E5G5E3H3H4H5H6B4B5B6B7J1J0H1H0D3D2D1D0A0A1A2A3A4A5A6A7C7C6C5C4C3C2C1C0D7G2G1G0"
                                "L7L6L5L4L3L2L1L0B3B2B1B0F0F1F2F3F4F5F6F7K0K1K2K3K4K5K6K7";
static unsigned first_analog; // D number of A0
static struct pin pins[70];
static unsigned pin_count;
static struct port ports['L' - 'A' + 1];

// ---------------------------------------------------------------- levels

static int level_of(const struct pin *p) {
    const struct port *port = &ports[p->port - 'A'];
    uint8_t mask = 1 << p->bit;
    if (port->ddr & mask) return p->chip_level;
    if (p->driven != FLOATING) return p->driven;
    if (port->port & mask) return 1; // the chip has a pull-up of its own; no board pulls the same pin down
    return p->pulled;
}

static void update(struct pin *p) {
    const struct port *port = &ports[p->port - 'A'];
    bool output = port->ddr & 1 << p->bit;
    if (output && p->driven != FLOATING && p->driven != p->chip_level) {
        if (!p->fought) event("short %s: driven %d from outside, %d by the chip", p->name, p->driven, p->chip_level);
        p->fought = true;
    } else {
        p->fought = false;
    }
    int level = level_of(p);
    if (level == p->level) return;
    uint64_t lasted = avr->cycle - p->measure.since;
    if (p->level == 1) p->measure.high = lasted;
    if (p->level == 0) p->measure.low = lasted;
    p->measure.since = avr->cycle;
    p->measure.edges++;
    p->level = level;
    if (p->watched) event("pin %s %c", p->name, pin_level_char(level));
    for (struct listener *l = p->listeners; l; l = l->next) l->fn(p, level, l->arg);
}

// Tells simavr what is outside. Its own notion is a mask of pins held by something external; a pin missing from it
// reads as high for a moment whenever the firmware writes to the same port.
static void tell_simavr(struct pin *p) {
    struct port *port = &ports[p->port - 'A'];
    avr_ioport_external_t external = {.name = p->port};
    for (unsigned b = 0; b < 8; b++) {
        const struct pin *q = port->pins[b];
        if (!q) continue;
        int held = q->driven != FLOATING ? q->driven : port->port & 1 << b ? FLOATING : q->pulled;
        if (held == FLOATING) continue;
        external.mask |= 1 << b;
        if (held) external.value |= 1 << b;
    }
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(p->port), &external);
    int level = level_of(p);
    if (!(port->ddr & 1 << p->bit) && level != FLOATING) avr_raise_irq(p->irq, level);
}

static void on_pin(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    struct pin *p = param;
    p->chip_level = value & 0xFF;
    update(p);
}

static void on_direction(avr_irq_t *irq, uint32_t ddr, void *param) {
    (void)irq;
    struct port *port = param;
    uint8_t new_outputs = ddr & ~port->ddr, new_inputs = port->ddr & ~ddr;
    port->ddr = ddr;
    for (unsigned b = 0; b < 8; b++) {
        struct pin *p = port->pins[b];
        if (!p) continue;
        if (new_outputs & 1 << b) p->chip_level = avr->data[port->io->r_port] >> b & 1;
        if (new_inputs & 1 << b) tell_simavr(p);
        update(p);
    }
}

static void on_port(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    struct port *port = param;
    uint8_t changed = port->port ^ value;
    port->port = value;
    for (unsigned b = 0; b < 8; b++) {
        struct pin *p = port->pins[b];
        if (!p || !(changed & 1 << b) || port->ddr & 1 << b) continue;
        if (p->pulled != FLOATING) tell_simavr(p);
        update(p);
    }
}

void pins_after_reset(void) {
    for (unsigned i = 0; i < sizeof ports / sizeof ports[0]; i++) ports[i].ddr = ports[i].port = 0;
    for (unsigned i = 0; i < pin_count; i++) {
        // simavr passes on only what differs from the last value, and its register has just been cleared.
        avr_irq_set_flags(pins[i].irq, avr_irq_get_flags(pins[i].irq) | IRQ_FLAG_INIT);
        tell_simavr(&pins[i]);
        update(&pins[i]);
    }
}

void pin_drive(struct pin *p, int level) {
    p->driven = level;
    tell_simavr(p);
    update(p);
}

void pin_pull(struct pin *p, int level) {
    p->pulled = level;
    tell_simavr(p);
    update(p);
}

// ---------------------------------------------------------------- playing edges

static void play_edge(void *arg) {
    struct pin *p = arg;
    struct play *play = p->plays;
    pin_drive(p, play->edges[play->done].level);
    if (++play->done < play->count) {
        agenda_at(play->edges[play->done].cycle, play_edge, p);
        return;
    }
    p->plays = play->next;
    if (p->plays) agenda_at(p->plays->edges[0].cycle, play_edge, p);
    if (play->after) play->after(play->arg);
    free(play->edges);
    free(play);
}

uint64_t pin_free_at(const struct pin *p) {
    uint64_t free_at = avr->cycle;
    for (const struct play *q = p->plays; q; q = q->next)
        if (q->edges[q->count - 1].cycle > free_at) free_at = q->edges[q->count - 1].cycle;
    return free_at;
}

bool pin_is_full(const struct pin *p) {
    unsigned n = 0;
    for (const struct play *q = p->plays; q; q = q->next) n++;
    return n >= PLAYS_MAX;
}

void pin_play(struct pin *p, const struct edge *edges, unsigned count, void (*after)(void *), void *arg) {
    uint64_t start = pin_free_at(p);
    struct play *play = calloc(1, sizeof *play), **end = &p->plays;
    if (play) play->edges = malloc(count * sizeof *edges);
    if (!play || !play->edges) fatal("out of memory");
    for (unsigned i = 0; i < count; i++) play->edges[i] = (struct edge){start + edges[i].cycle, edges[i].level};
    play->count = count;
    play->after = after;
    play->arg = arg;
    while (*end) end = &(*end)->next;
    *end = play;
    if (p->plays == play) agenda_at(play->edges[0].cycle, play_edge, p);
}

// ---------------------------------------------------------------- reading

// What a timer does to the pin is read from its registers: simavr 1.6 does not play the phase-correct modes.
bool pin_pwm(const struct pin *p, double *duty, double *hertz) {
    const struct port *port = &ports[p->port - 'A'];
    for (avr_io_t *io = avr->io_port; io; io = io->next) {
        if (strcmp(io->kind, "timer")) continue;
        avr_timer_t *t = (avr_timer_t *)io;
        for (unsigned c = 0; c < AVR_TIMER_COMP_COUNT; c++) {
            avr_timer_comp_t *comp = &t->comp[c];
            if (comp->com_pin.reg != port->io->r_port || comp->com_pin.bit != p->bit) continue;
            unsigned com = avr_regbit_get(avr, comp->com), cs = avr_regbit_get_array(avr, t->cs, 4);
            unsigned mode = avr_regbit_get_array(avr, t->wgm, 4);
            if (com < 2 || cs == 0 || t->cs_div[cs] == AVR_TIMER_EXTCLK_CHOOSE) continue;
            unsigned ocra = avr->data[t->comp[0].r_ocr] | (t->comp[0].r_ocrh ? avr->data[t->comp[0].r_ocrh] << 8 : 0);
            unsigned icr = t->r_icr ? avr->data[t->r_icr] | (t->r_icrh ? avr->data[t->r_icrh] << 8 : 0) : 0;
            unsigned value = avr->data[comp->r_ocr] | (comp->r_ocrh ? avr->data[comp->r_ocrh] << 8 : 0);
            unsigned top;
            bool slow; // counts up and down
            if (comp->r_ocrh) {
                static const uint16_t TOP[] = {0xFFFF, 0xFF, 0x1FF, 0x3FF, 0, 0xFF, 0x1FF, 0x3FF, 1, 0, 1, 0, 1, 0, 1, 0};
                top = TOP[mode] == 0 ? ocra : TOP[mode] == 1 ? icr : TOP[mode];
                slow = (mode >= 1 && mode <= 3) || (mode >= 8 && mode <= 11);
            } else {
                top = mode == 2 || mode == 5 || mode == 7 ? ocra : 0xFF;
                slow = mode == 1 || mode == 5;
            }
            if (top == 0) continue;
            *duty = slow ? (double)value / top : (value + 1.0) / (top + 1.0);
            if (*duty > 1) *duty = 1;
            if (com == 3) *duty = 1 - *duty;
            *hertz = (double)avr->frequency / (1u << t->cs_div[cs]) / (slow ? 2.0 * top : top + 1.0);
            return true;
        }
    }
    return false;
}

// simavr 1.6 knows inputs 8 to 15 of the Mega but has room for eight voltages: the other half is slipped under these
// when a conversion of it begins.
static avr_adc_t *adc;
static uint16_t voltages[16];

static void on_conversion(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    unsigned first = board_kind() == MEGA && avr_regbit_get(avr, adc->mux[5]) ? 8 : 0;
    memcpy(adc->adc_values, voltages + first, 8 * sizeof voltages[0]);
}

static void start_adc(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "adc")) adc = (avr_adc_t *)io;
    if (!adc) fatal("this libsimavr has no ADC for this chip");
    if (board_kind() == MEGA)
        for (unsigned i = 0; i < 8; i++) adc->muxmode[32 + i].src = i;
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), on_conversion, NULL);
}

bool pin_analog(const char *name, unsigned millivolts) {
    unsigned channels = board_kind() == MEGA ? 16 : 8; // the Nano has A6 and A7, and the chip on an Uno too
    char *end;
    if (name[0] != 'A' && name[0] != 'a') return false;
    unsigned long n = strtoul(name + 1, &end, 10);
    if (*end || end == name + 1 || n >= channels) return false;
    voltages[n] = millivolts;
    return true;
}

const char *pin_name(const struct pin *p) { return p->name; }
int pin_level(const struct pin *p) { return p->level; }
char pin_level_char(int level) { return level == FLOATING ? 'z' : level ? '1' : '0'; }
void pin_watch(struct pin *p, bool on) { p->watched = on; }
const struct pin_measure *pin_measure(const struct pin *p) { return &p->measure; }

void pin_listen(struct pin *p, pin_listener fn, void *arg) {
    struct listener *l = malloc(sizeof *l);
    if (!l) fatal("out of memory");
    *l = (struct listener){fn, arg, p->listeners};
    p->listeners = l;
}

struct pin *pin_named(const char *name) {
    char *end;
    if (strlen(name) == 3 && strncasecmp(name, "P", 1) == 0) {
        for (unsigned i = 0; i < pin_count; i++)
            if ((name[1] & ~0x20) == pins[i].port && name[2] - '0' == pins[i].bit) return &pins[i];
        return NULL;
    }
    bool analog = name[0] == 'A' || name[0] == 'a', digital = name[0] == 'D' || name[0] == 'd';
    const char *digits = name + (analog || digital);
    if (*digits < '0' || *digits > '9') return NULL;
    unsigned long n = strtoul(digits, &end, 10) + (analog ? first_analog : 0);
    return *end || n >= pin_count ? NULL : &pins[n];
}

// ---------------------------------------------------------------- start

void pins_start(void) {
    start_adc();
    bool mega = board_kind() == MEGA;
    const char *map = mega ? MEGA_PINS : UNO_PINS;
    first_analog = mega ? 54 : 14;
    pin_count = strlen(map) / 2;
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "port")) {
            struct port *port = &ports[((avr_ioport_t *)io)->name - 'A'];
            port->io = (avr_ioport_t *)io;
            avr_irq_t *irqs = io->irq;
            for (unsigned i = IOPORT_IRQ_DIRECTION_ALL; i <= IOPORT_IRQ_REG_PORT; i++)
                avr_irq_set_flags(irqs + i, avr_irq_get_flags(irqs + i) & ~IRQ_FLAG_FILTERED);
            avr_irq_register_notify(irqs + IOPORT_IRQ_DIRECTION_ALL, on_direction, port);
            avr_irq_register_notify(irqs + IOPORT_IRQ_REG_PORT, on_port, port);
        }
    for (unsigned i = 0; i < pin_count; i++) {
        struct pin *p = &pins[i];
        p->port = map[2 * i];
        p->bit = map[2 * i + 1] - '0';
        if (i >= first_analog)
            snprintf(p->name, sizeof p->name, "A%u", i - first_analog);
        else
            snprintf(p->name, sizeof p->name, "D%u", i);
        struct port *port = &ports[p->port - 'A'];
        if (!port->io) fatal("this libsimavr has no port %c for this chip", p->port);
        port->pins[p->bit] = p;
        p->irq = port->io->io.irq + p->bit;
        p->driven = p->pulled = p->level = FLOATING;
        avr_irq_register_notify(p->irq, on_pin, p);
    }
}
