// SPDX-License-Identifier: GPL-3.0-or-later
// ATmega328P data sheet, chapter 22: as soon as TWINT is written to one, what the other bits ask for is done, and TWINT
// rises again with a status in TWSR.
#include "twi.h"
#include <string.h>
#include <avr_twi.h>
#include "agenda.h"
#include "board.h"
#include "report.h"

enum { TWINT = 0x80, TWEA = 0x40, TWSTA = 0x20, TWSTO = 0x10, TWEN = 0x04 };
enum {
    START_SENT = 0x08, START_REPEATED = 0x10, WRITE_ACK = 0x18, WRITE_NACK = 0x20, BYTE_ACK = 0x28, BYTE_NACK = 0x30,
    READ_ACK = 0x40, READ_NACK = 0x48, GOT_ACK = 0x50, GOT_NACK = 0x58, NOTHING = 0xF8,
};

bool twi_hangs;
static avr_twi_t *dev;
static struct twi_device *devices, *addressed;
static enum { FREE, STARTED, WRITING, READING } state;
static uint8_t status_next;

static uint64_t bit_cycles(void) {
    unsigned prescaler = 1u << 2 * (avr->data[dev->twsr.reg] & 3);
    return 16 + 2 * avr->data[dev->r_twbr] * prescaler;
}

static void set_status(uint8_t status) { avr->data[dev->twsr.reg] = (avr->data[dev->twsr.reg] & 3) | status; }

static void done(void *arg) {
    (void)arg;
    set_status(status_next);
    avr_regbit_set(avr, dev->twi.raised);
    if (avr_regbit_get(avr, dev->twi.enable)) avr_raise_interrupt(avr, &dev->twi);
}

static void stopped(void *arg) {
    (void)arg;
    avr->data[dev->r_twcr] &= ~TWSTO;
}

static void end_with(uint8_t status, unsigned bits) {
    status_next = status;
    if (!twi_hangs) agenda_at(avr->cycle + bits * bit_cycles(), done, NULL);
}

struct twi_device *twi_device_at(uint8_t address) {
    for (struct twi_device *d = devices; d; d = d->next)
        if (d->address == address) return d;
    return NULL;
}

static void move_byte(bool acknowledge) {
    uint8_t *data = &avr->data[dev->r_twdr];
    switch (state) {
    case STARTED: {
        bool read = *data & 1;
        addressed = twi_device_at(*data >> 1);
        if (addressed && addressed->away) addressed = NULL;
        state = read ? READING : WRITING;
        end_with(read ? (addressed ? READ_ACK : READ_NACK) : (addressed ? WRITE_ACK : WRITE_NACK), 9);
        break;
    }
    case WRITING:
        if (addressed && addressed->away) addressed = NULL;
        if (addressed && !twi_hangs) addressed->write(addressed, *data);
        end_with(addressed ? BYTE_ACK : BYTE_NACK, 9);
        break;
    case READING:
        *data = addressed && addressed->read ? addressed->read(addressed) : 0xFF;
        end_with(acknowledge ? GOT_ACK : GOT_NACK, 9);
        break;
    case FREE:
        break;
    }
}

static void write_twcr(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)param;
    bool flag = a->data[addr] & TWINT;
    a->data[addr] = (v & ~TWINT) | (flag ? TWINT : 0);
    if (!(v & TWEN)) {
        twi_after_reset();
        a->data[addr] = v & ~(TWINT | TWSTO);
        return;
    }
    if (!(v & TWINT)) return;
    avr_clear_interrupt(avr, &dev->twi);
    a->data[addr] &= ~TWINT;
    agenda_cancel(done, NULL);
    if (v & TWSTO) {
        state = FREE;
        set_status(NOTHING);
        if (!twi_hangs) agenda_at(avr->cycle + bit_cycles(), stopped, NULL);
    }
    if (v & TWSTA) {
        bool repeated = state != FREE;
        state = STARTED;
        end_with(repeated ? START_REPEATED : START_SENT, 1 + (v & TWSTO ? 1 : 0));
    } else if (!(v & TWSTO)) {
        move_byte(v & TWEA);
    }
}

static uint8_t read_plain(avr_t *a, avr_io_addr_t addr, void *param) {
    (void)param;
    return a->data[addr];
}

static void write_plain(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)param;
    a->data[addr] = addr == dev->twsr.reg ? (a->data[addr] & 0xF8) | (v & 3) : v;
}

void twi_start(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "twi")) dev = (avr_twi_t *)io;
    if (!dev) fatal("this libsimavr has no TWI for this chip");
    struct {
        avr_io_addr_t addr;
        avr_io_write_t write;
    } registers[] = {{dev->r_twcr, write_twcr}, {dev->r_twdr, write_plain}, {dev->twsr.reg, write_plain}};
    for (unsigned i = 0; i < 3; i++) {
        avr_io_addr_t a = AVR_DATA_TO_IO(registers[i].addr);
        avr->io[a].r.c = read_plain;
        avr->io[a].w.c = registers[i].write;
        avr->io[a].r.param = avr->io[a].w.param = NULL;
    }
}

void twi_after_reset(void) {
    agenda_cancel(done, NULL);
    agenda_cancel(stopped, NULL);
    state = FREE;
    addressed = NULL;
    avr_clear_interrupt(avr, &dev->twi);
    avr_regbit_clear(avr, dev->twi.raised);
    set_status(NOTHING);
}

void twi_attach(struct twi_device *d) {
    d->next = devices;
    devices = d;
}
