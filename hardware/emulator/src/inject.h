// SPDX-License-Identifier: GPL-3.0-or-later
// What people and readers do to pins: pressed buttons that bounce, serial readers, Wiegand readers.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "pins.h"

void inject_pulse(struct pin *p, int level, double us, unsigned count, double period_us);
// Active low. `edges` extra pairs of contact and no contact, spread irregularly over `bounce_us`.
void inject_button(struct pin *p, bool pressed, double bounce_us, unsigned edges);
// Bytes as 8N1 on a pin; an event `sent WHAT` at the end.
void inject_serial(struct pin *p, unsigned baud, const uint8_t *bytes, unsigned count, const char *what);

enum { INJECT_MAX = 4 };
int rdm_attach(struct pin *p);
int wiegand_attach(struct pin *d0, struct pin *d1);
unsigned rdm_count(void);
unsigned wiegand_count(void);
// Still busy with what it was given before; takes no more for now.
bool rdm_is_full(unsigned reader);
bool wiegand_is_full(unsigned reader);
// Five bytes in the frame of an RDM6300, or with CR LF before the end as an ID-12LA does.
void rdm_send(unsigned reader, const uint8_t tag[5], bool id12, bool bad_checksum);
// `bits` as they go over the line, parity included, the first one highest.
void wiegand_send(unsigned reader, uint64_t raw, unsigned bits, double pulse_us, double period_us);
// Payload of 24 or 32 bits with its parities: even over the first half, odd over the second.
uint64_t wiegand_with_parity(uint32_t payload, unsigned bits);
