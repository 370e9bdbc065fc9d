// SPDX-License-Identifier: GPL-3.0-or-later
// What a person would see or hear of the board: colours of a NeoPixel strip, the angle of a servo, the text of an LCD,
// the tone of a buzzer.
#pragma once
#include <stdbool.h>
#include "pins.h"

// WS2812 on a pin. An event for each new picture; the colours as rrggbb.
bool pixels_attach(struct pin *data);
const char *pixels_now(const struct pin *data, unsigned long *bad_bits); // NULL: no strip on that pin

// Reports the width of pulses between 0.4 and 2.6 ms when it changes.
bool servo_attach(struct pin *signal);
bool servo_now(const struct pin *signal, double *us); // false: no servo there; 0: no pulses

// Reports the tone at a pin in Hz; 0 when it falls silent.
bool buzzer_attach(struct pin *signal);

// HD44780, two rows of sixteen, four data lines; one per board. Pins: RS, E, D4..D7.
bool lcd_attach(struct pin *const pins[6]);
bool lcd_attach_i2c(uint8_t address); // through a PCF8574 backpack
bool lcd_row(unsigned row, char text[64]); // false: there is no display. Printable ASCII, the rest and % as %XX
bool lcd_state(bool *on, unsigned long *too_fast);
