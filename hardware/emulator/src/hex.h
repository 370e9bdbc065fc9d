// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once
#include <stdint.h>

// Digits in pairs; how many bytes, or -1 if it is anything else or longer than `room`.
int parse_hex(const char *text, uint8_t *bytes, unsigned room);
