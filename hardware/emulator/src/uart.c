// SPDX-License-Identifier: GPL-3.0-or-later
#include "uart.h"
#include <string.h>
#include <avr_uart.h>
#include "agenda.h"
#include "board.h"
#include "line.h"
#include "report.h"

struct uart_stats uart_stats;

static avr_uart_t *dev;
static struct {
    uint8_t byte;
    bool framing_error, overrun;
} rx[3]; // the buffer's two, and the shift register when it holds a complete byte
static unsigned rx_count;
static bool overrun_next; // goes with the next byte that enters the buffer
static bool tx_busy, tx_buffered;
static uint8_t tx_shift, tx_buffer;

static uint64_t bit_cycles(void) {
    unsigned divisor = (avr_regbit_get(avr, dev->ubrrl) | avr_regbit_get(avr, dev->ubrrh) << 8) + 1;
    return divisor * (avr_regbit_get(avr, dev->u2x) ? 8 : 16);
}

static uint64_t byte_cycles(void) {
    unsigned size = avr_regbit_get(avr, dev->ucsz);
    unsigned c = avr->data[dev->r_ucsrc];
    return bit_cycles() * (1 + 5 + size + (c & 0x20 ? 1 : 0) + 1 + (c & 0x08 ? 1 : 0));
}

unsigned uart_baud(void) {
    if (!avr_regbit_get(avr, dev->rxen) && !avr_regbit_get(avr, dev->txen)) return 0;
    return avr->frequency / bit_cycles();
}

// A flag with its interrupt. simavr asks for interrupts by edge, the chip by level: whoever changes the flag or the
// enable bit, or takes one of several bytes, says so again.
static void set_flag(avr_int_vector_t *v) {
    avr_regbit_set(avr, v->raised);
    if (avr_regbit_get(avr, v->enable)) avr_raise_interrupt(avr, v);
}

static void clear_flag(avr_int_vector_t *v) {
    avr_clear_interrupt(avr, v);
    avr_regbit_clear(avr, v->raised);
}

static void show_receive_flags(void) {
    avr_regbit_setto(avr, dev->fe, rx_count > 0 && rx[0].framing_error);
    avr_regbit_setto(avr, dev->dor, rx_count > 0 && rx[0].overrun);
    if (rx_count > 0)
        set_flag(&dev->rxc);
    else
        clear_flag(&dev->rxc);
}

void uart_start_bit(void) {
    if (!avr_regbit_get(avr, dev->rxen) || rx_count < 3) return;
    rx_count = 2;
    overrun_next = true;
    uart_stats.overruns++;
}

void uart_receive(uint8_t byte, bool framing_error) {
    if (!avr_regbit_get(avr, dev->rxen)) {
        uart_stats.ignored++;
        return;
    }
    uart_stats.received++;
    if (rx_count == 3) uart_start_bit(); // the receiver was switched on in the middle of a byte
    rx[rx_count].byte = byte;
    rx[rx_count].framing_error = framing_error;
    rx[rx_count].overrun = overrun_next;
    overrun_next = false;
    rx_count++;
    show_receive_flags();
}

static uint8_t read_udr(avr_t *a, avr_io_addr_t addr, void *param) {
    (void)param;
    uint8_t byte = rx_count ? rx[0].byte : a->data[addr];
    if (rx_count) memmove(rx, rx + 1, --rx_count * sizeof rx[0]);
    show_receive_flags();
    return a->data[addr] = byte;
}

static void transmitted(void *arg);

static void shift_out(uint8_t byte) {
    tx_busy = true;
    tx_shift = byte;
    agenda_at(avr->cycle + byte_cycles(), transmitted, NULL);
}

static void transmitted(void *arg) {
    (void)arg;
    uart_stats.sent++;
    line_from_board(tx_shift);
    tx_busy = false;
    if (tx_buffered) {
        tx_buffered = false;
        shift_out(tx_buffer);
        set_flag(&dev->udrc);
    } else {
        set_flag(&dev->txc);
    }
}

static void write_udr(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)a, (void)addr, (void)param; // what is written can never be read back
    if (!avr_regbit_get(avr, dev->txen) || tx_buffered) return;
    if (tx_busy) {
        tx_buffered = true;
        tx_buffer = v;
        clear_flag(&dev->udrc);
    } else {
        shift_out(v);
        set_flag(&dev->udrc);
    }
}

static uint8_t read_status(avr_t *a, avr_io_addr_t addr, void *param) {
    (void)param;
    return a->data[addr];
}

static void write_ucsra(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)param;
    const uint8_t writable = 0x03; // U2X, MPCM
    a->data[addr] = (a->data[addr] & ~writable) | (v & writable);
    if (v & 0x40) clear_flag(&dev->txc);
}

static void write_ucsrb(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)param;
    bool was_receiving = avr_regbit_get(avr, dev->rxen);
    a->data[addr] = v;
    if (was_receiving && !avr_regbit_get(avr, dev->rxen)) {
        rx_count = 0;
        overrun_next = false;
        show_receive_flags();
    }
    avr_int_vector_t *all[] = {&dev->rxc, &dev->txc, &dev->udrc};
    for (unsigned i = 0; i < 3; i++)
        if (avr_regbit_get(avr, all[i]->raised) && avr_regbit_get(avr, all[i]->enable)) avr_raise_interrupt(avr, all[i]);
}

void uart_start(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next) {
        if (strcmp(io->kind, "uart")) continue;
        avr_uart_t *u = (avr_uart_t *)io;
        u->flags = 0; // no echo of lines on our output, no naps while the firmware polls
        if (u->name == '0') dev = u;
    }
    if (!dev) fatal("this libsimavr has no UART 0 for this chip");
    struct {
        avr_io_addr_t addr;
        avr_io_read_t read;
        avr_io_write_t write;
    } registers[] = {
        {dev->r_udr, read_udr, write_udr},
        {dev->rxc.raised.reg, read_status, write_ucsra},
        {dev->rxen.reg, NULL, write_ucsrb},
    };
    for (unsigned i = 0; i < 3; i++) {
        avr_io_addr_t a = AVR_DATA_TO_IO(registers[i].addr);
        avr->io[a].r.c = registers[i].read;
        avr->io[a].w.c = registers[i].write;
        avr->io[a].r.param = avr->io[a].w.param = NULL;
    }
}

void uart_after_reset(void) {
    agenda_cancel(transmitted, NULL);
    rx_count = 0;
    overrun_next = tx_busy = tx_buffered = false;
    avr_regbit_clear(avr, dev->txen); // simavr leaves it on for debugging
    avr_regbit_clear(avr, dev->rxc.raised);
    avr_regbit_clear(avr, dev->txc.raised);
    avr_regbit_set(avr, dev->udrc.raised);
}
