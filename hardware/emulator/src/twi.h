// SPDX-License-Identifier: GPL-3.0-or-later
// The I2C master in place of simavr's, which takes one microsecond per bit at any clock and answers an address with the
// status of a data byte.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct twi_device {
    uint8_t address; // seven bits
    bool away;       // does not answer
    void (*write)(struct twi_device *d, uint8_t byte);
    uint8_t (*read)(struct twi_device *d);
    struct twi_device *next;
};

void twi_start(void);
void twi_after_reset(void);
void twi_attach(struct twi_device *d);
struct twi_device *twi_device_at(uint8_t address); // NULL: none
extern bool twi_hangs; // somebody holds the data line low: nothing on the bus ever ends
