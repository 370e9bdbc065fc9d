// SPDX-License-Identifier: GPL-3.0-or-later
// Hitachi HD44780U data sheet. Half-bytes are taken at the falling edge of E; what comes while the display is still
// busy with the last command is lost, as on the real one.
#include <stdio.h>
#include <string.h>
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "shown.h"
#include "twi.h"

#define BUSY_US 37.0
#define BUSY_CLEAR_US 1520.0
#define SETTLED_US 5000.0 // quiet for so long: the text is complete and worth an event

static struct {
    bool present, four_bits, half_taken, on, in_glyphs, backwards, light;
    struct pin *rs, *e, *data[4];
    int e_level;
    uint8_t high;
    uint8_t memory[0x80], address;
    uint64_t busy_until;
    unsigned long too_fast;
    char reported[2][64];
} lcd;

static void settled(void *arg) {
    (void)arg;
    for (unsigned row = 0; row < 2; row++) {
        char text[64];
        lcd_row(row, text);
        if (!strcmp(text, lcd.reported[row])) continue;
        strcpy(lcd.reported[row], text);
        event("lcd %u |%s|", row, text);
    }
}

static void advance(void) {
    if (lcd.backwards)
        lcd.address = lcd.address == 0 ? 0x67 : lcd.address == 0x40 ? 0x27 : lcd.address - 1;
    else
        lcd.address = lcd.address == 0x27 ? 0x40 : lcd.address == 0x67 ? 0 : lcd.address + 1;
}

static void clear(void) {
    memset(lcd.memory, ' ', sizeof lcd.memory);
    lcd.address = 0;
    lcd.in_glyphs = lcd.backwards = false;
}

static double command(uint8_t c) {
    if (c & 0x80) {
        lcd.address = c & 0x7F;
        lcd.in_glyphs = false;
    } else if (c & 0x40) {
        lcd.in_glyphs = true;
    } else if (c & 0x20) {
        lcd.four_bits = !(c & 0x10);
    } else if (c & 0x10) {
        if (!(c & 0x08)) { // cursor move; shifting the display is not played
            bool backwards = lcd.backwards;
            lcd.backwards = !(c & 0x04);
            advance();
            lcd.backwards = backwards;
        }
    } else if (c & 0x08) {
        lcd.on = c & 0x04;
    } else if (c & 0x04) {
        lcd.backwards = !(c & 0x02);
    } else if (c & 0x02) {
        lcd.address = 0;
        lcd.in_glyphs = false;
        return BUSY_CLEAR_US;
    } else if (c & 0x01) {
        clear();
        return BUSY_CLEAR_US;
    }
    return BUSY_US;
}

static void take(bool is_data, uint8_t byte) {
    double busy = BUSY_US;
    if (!is_data)
        busy = command(byte);
    else if (!lcd.in_glyphs) {
        lcd.memory[lcd.address & 0x7F] = byte;
        advance();
    }
    lcd.busy_until = avr->cycle + cycles_of_us(busy);
    agenda_cancel(settled, NULL);
    agenda_at(avr->cycle + cycles_of_us(SETTLED_US), settled, NULL);
}

static void latch(bool is_data, uint8_t half) {
    if (lcd.four_bits && lcd.half_taken) { // the second half of a byte needs no pause
        lcd.half_taken = false;
        take(is_data, lcd.high << 4 | half);
        return;
    }
    if (avr->cycle < lcd.busy_until) {
        if (lcd.too_fast++ == 0) event("lcd too fast: a command came while the display was busy");
        return;
    }
    if (lcd.four_bits) {
        lcd.high = half;
        lcd.half_taken = true;
    } else {
        take(is_data, half << 4);
    }
}

static void on_enable(struct pin *p, int level, void *arg) {
    (void)p, (void)arg;
    bool falling = lcd.e_level == 1 && level == 0;
    lcd.e_level = level;
    if (!falling) return;
    uint8_t half = 0;
    for (unsigned i = 0; i < 4; i++)
        if (pin_level(lcd.data[i]) == 1) half |= 1 << i;
    latch(pin_level(lcd.rs) == 1, half);
}

static void start(void) {
    lcd.present = true;
    clear();
    for (unsigned row = 0; row < 2; row++) lcd_row(row, lcd.reported[row]);
}

// The usual backpack: a PCF8574 with RS, RW, E and the light on P0 to P3, the data on P4 to P7.
static struct twi_device backpack;
static uint8_t backpack_port;

static void backpack_write(struct twi_device *d, uint8_t byte) {
    (void)d;
    if (backpack_port & 4 && !(byte & 4) && !(backpack_port & 2)) latch(backpack_port & 1, backpack_port >> 4);
    backpack_port = byte;
    if (lcd.light == !!(byte & 8)) return;
    lcd.light = byte & 8;
    event("lcd light %d", lcd.light);
}

static uint8_t backpack_read(struct twi_device *d) {
    (void)d;
    return backpack_port;
}

bool lcd_attach_i2c(uint8_t address) {
    if (lcd.present) return false;
    backpack = (struct twi_device){.address = address, .write = backpack_write, .read = backpack_read};
    backpack_port = 0xFF; // its outputs are high after power-on
    lcd.light = true;
    twi_attach(&backpack);
    start();
    return true;
}

bool lcd_attach(struct pin *const pins[6]) {
    if (lcd.present) return false;
    lcd.rs = pins[0];
    lcd.e = pins[1];
    memcpy(lcd.data, pins + 2, sizeof lcd.data);
    lcd.e_level = FLOATING;
    start();
    pin_listen(lcd.e, on_enable, NULL);
    return true;
}

bool lcd_row(unsigned row, char text[64]) {
    if (!lcd.present) return false;
    char *t = text;
    for (unsigned i = 0; i < 16; i++) {
        uint8_t c = lcd.on ? lcd.memory[row * 0x40 + i] : ' ';
        if (c < 0x20 || c > 0x7E || c == '%')
            t += sprintf(t, "%%%02X", c);
        else
            *t++ = (char)c;
    }
    *t = 0;
    return true;
}

bool lcd_state(bool *on, unsigned long *too_fast) {
    *on = lcd.on;
    *too_fast = lcd.too_fast;
    return lcd.present;
}
