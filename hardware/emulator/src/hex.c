// SPDX-License-Identifier: GPL-3.0-or-later
#include "hex.h"

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_hex(const char *text, uint8_t *bytes, unsigned room) {
    unsigned n = 0;
    for (; *text; text += 2) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0 || n == room) return -1;
        bytes[n++] = high << 4 | low;
    }
    return (int)n;
}
