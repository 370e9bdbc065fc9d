// SPDX-License-Identifier: GPL-3.0-or-later
// The MFRC522 reader chip on SPI, at register level, with at most one card in its field.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "card.h"
#include "pins.h"

enum rc522_fault {
    FAULT_NONE,
    FAULT_DEAF,  // the chip says nothing on the bus: every register reads FF
    FAULT_STUCK, // registers work, but no command ever comes to an end
    FAULT_MUTE,  // everything works but the field: no card is ever seen
};
enum rc522_heals { HEALS_NEVER, HEALS_SOFT, HEALS_PIN }; // by SoftReset or the reset pin; by the reset pin alone

#define RC522_MAX 4
unsigned rc522_count(void);
int rc522_attach(struct pin *select, struct pin *reset); // reset may be NULL; its index, -1: no more room
void rc522_put_card(unsigned reader, const struct card *card, uint64_t for_us); // 0: until taken away
void rc522_set_fault(unsigned reader, enum rc522_fault fault, enum rc522_heals heals);
void rc522_forget(unsigned reader); // all registers fall to their reset values, once: what a spike on the supply does
unsigned long rc522_selections(void); // completed by all readers since the start
