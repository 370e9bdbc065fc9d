// SPDX-License-Identifier: GPL-3.0-or-later
#include "spi.h"
#include <string.h>
#include <avr_spi.h>
#include "agenda.h"
#include "board.h"
#include "report.h"

#define NOBODY_ANSWERS 0xFF

unsigned long spi_bytes;
static avr_spi_t *dev;
static struct spi_chip *chips;
static uint8_t received;

static void shifted(void *arg) {
    (void)arg;
    spi_bytes++;
    uint8_t mosi = avr->data[dev->r_spdr];
    received = NOBODY_ANSWERS;
    for (struct spi_chip *c = chips; c; c = c->next)
        if (c->selected(c)) received &= c->exchange(c, mosi); // two at once pull each other down
    avr_raise_interrupt(avr, &dev->spi);
}

static void write_spdr(avr_t *a, avr_io_addr_t addr, uint8_t v, void *param) {
    (void)param;
    a->data[addr] = v;
    avr_regbit_clear(a, dev->spi.raised);
    if (!avr_regbit_get(a, dev->spe) || !avr_regbit_get(a, dev->mstr)) return;
    static const uint8_t DIVISOR[] = {4, 16, 64, 128};
    unsigned divisor = DIVISOR[a->data[dev->r_spcr] & 3];
    if (a->data[dev->r_spsr] & 1) divisor /= 2;
    agenda_cancel(shifted, NULL);
    agenda_at(a->cycle + 8 * divisor, shifted, NULL);
}

static uint8_t read_spdr(avr_t *a, avr_io_addr_t addr, void *param) {
    (void)addr, (void)param;
    avr_regbit_clear(a, dev->spi.raised);
    return received;
}

void spi_start(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "spi")) dev = (avr_spi_t *)io;
    if (!dev) fatal("this libsimavr has no SPI for this chip");
    avr_io_addr_t a = AVR_DATA_TO_IO(dev->r_spdr);
    avr->io[a].r.c = read_spdr;
    avr->io[a].w.c = write_spdr;
    avr->io[a].r.param = avr->io[a].w.param = NULL;
}

void spi_after_reset(void) {
    agenda_cancel(shifted, NULL);
    received = 0;
}

void spi_attach(struct spi_chip *chip) {
    chip->next = chips;
    chips = chip;
}
