// SPDX-License-Identifier: GPL-3.0-or-later
#include "command.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "board.h"
#include "control.h"
#include "hex.h"
#include "inject.h"
#include "line.h"
#include "pins.h"
#include "rc522.h"
#include "report.h"
#include "shown.h"
#include "spi.h"
#include "twi.h"
#include "uart.h"

#define WORDS 40
bool command_quit, command_failed;
static char *word[WORDS];
static unsigned words;

// ---------------------------------------------------------------- arguments; each says what is wrong itself

static bool is(unsigned i, const char *text) { return i < words && !strcmp(word[i], text); }

static bool number(unsigned i, const char *what, double low, double high, double *value) {
    char *end = "";
    errno = 0;
    double v = i < words ? strtod(word[i], &end) : 0;
    if (i >= words) return answer_error("%s is missing", what), false;
    if (end == word[i] || *end || errno || !(v >= low && v <= high))
        return answer_error("%s must be a number from %.10g to %.10g, not '%s'", what, low, high, word[i]), false;
    *value = v;
    return true;
}

static bool whole(unsigned i, const char *what, double low, double high, unsigned long *value) {
    double v;
    if (!number(i, what, low, high, &v)) return false;
    if (v != floor(v)) return answer_error("%s must be a whole number, not '%s'", what, word[i]), false;
    *value = (unsigned long)v;
    return true;
}

static struct pin *pin(unsigned i) {
    if (i >= words) return answer_error("a pin is missing (7, D7, A0, PB5)"), NULL;
    struct pin *p = pin_named(word[i]);
    if (!p) answer_error("this board has no pin '%s'", word[i]);
    return p;
}

static bool level(unsigned i, int *value) {
    if (!is(i, "0") && !is(i, "1")) return answer_error("a level must be 0 or 1%s%s%s", i < words ? ", not '" : "",
                                                        i < words ? word[i] : "", i < words ? "'" : ""), false;
    *value = *word[i] - '0';
    return true;
}

static bool too_full(bool full) {
    if (full) answer_error("there is enough to play on that pin already; wait until it is through");
    return full;
}

static bool index_of(unsigned i, const char *what, unsigned count, unsigned *value) {
    unsigned long v;
    if (count == 0) return answer_error("no %s is wired; say 'wire %s ...' first", what, what), false;
    if (!whole(i, what, 0, count - 1, &v)) return false;
    *value = v;
    return true;
}

// ---------------------------------------------------------------- pins

static void do_watch(void) {
    char levels[512] = "";
    unsigned used = 0;
    for (unsigned i = 1; i < words; i++)
        if (!pin(i)) return;
    if (words < 2) return (void)pin(1);
    for (unsigned i = 1; i < words; i++) {
        struct pin *p = pin(i);
        pin_watch(p, is(0, "watch"));
        used += snprintf(levels + used, sizeof levels - used, " %s=%c", pin_name(p), pin_level_char(pin_level(p)));
    }
    answer_ok("%s%s", word[0], levels);
}

static void do_read(void) {
    struct pin *p = pin(1);
    if (p) answer_ok("read %s %c", pin_name(p), pin_level_char(pin_level(p)));
}

static void do_drive(void) {
    struct pin *p = pin(1);
    int v = FLOATING;
    if (!p || (is(0, "drive") && !level(2, &v))) return;
    answer_ok("%s %s %c", word[0], pin_name(p), pin_level_char(v));
    pin_drive(p, v);
}

static void do_pull(void) {
    struct pin *p = pin(1);
    if (!p) return;
    int v = is(2, "up") ? 1 : is(2, "down") ? 0 : FLOATING;
    if (v == FLOATING && !is(2, "none")) return answer_error("a pull is up, down or none");
    pin_pull(p, v);
    answer_ok("pull %s %s", pin_name(p), word[2]);
}

static void do_pulse(void) {
    struct pin *p = pin(1);
    int v;
    double us, period = 0;
    unsigned long count = 1;
    if (!p || !level(2, &v) || !number(3, "the length in us", 0.1, 1e7, &us)) return;
    if (words > 4 && (!whole(4, "the count", 1, 1000, &count) || !number(5, "the period in us", us + 0.1, 1e7, &period)))
        return;
    if (too_full(pin_is_full(p))) return;
    answer_ok("pulse %s %d %g x %lu", pin_name(p), v, us, count);
    inject_pulse(p, v, us, count, period);
}

static void do_button(void) {
    struct pin *p = pin(1);
    double bounce = 0;
    unsigned long edges = 4;
    if (!p) return;
    if (!is(2, "press") && !is(2, "release")) return answer_error("a button is to press or release");
    if (words > 3 && (!number(3, "the bounce in us", 0, 100000, &bounce) ||
                      (words > 4 && !whole(4, "the number of bounces", 0, 50, &edges))))
        return;
    if (too_full(pin_is_full(p))) return;
    answer_ok("button %s %s", pin_name(p), word[2]);
    inject_button(p, is(2, "press"), bounce, bounce > 0 ? edges : 0);
}

static void do_measure(void) {
    struct pin *p = pin(1);
    if (!p) return;
    const struct pin_measure *m = pin_measure(p);
    double us = 1e6 / avr->frequency, period = m->high && m->low ? (m->high + m->low) * us : 0;
    answer_ok("measure %s level=%c high_us=%.2f low_us=%.2f hz=%.2f duty=%.4f edges=%lu still_us=%.0f", pin_name(p),
              pin_level_char(pin_level(p)), m->high * us, m->low * us, period > 0 ? 1e6 / period : 0,
              period > 0 ? m->high * us / period : 0, m->edges, (avr->cycle - m->since) * us);
}

static void do_pwm(void) {
    struct pin *p = pin(1);
    double duty, hertz;
    if (!p) return;
    if (pin_pwm(p, &duty, &hertz))
        answer_ok("pwm %s duty=%.4f hz=%.1f", pin_name(p), duty, hertz);
    else
        answer_ok("pwm %s duty=%d.0000 hz=0", pin_name(p), pin_level(p) == 1);
}

static void do_analog(void) {
    double mv;
    if (words < 2) return answer_error("an analogue input is missing (A0)");
    if (!number(2, "the voltage in mV", 0, 5000, &mv)) return;
    if (pin_analog(word[1], (unsigned)mv))
        answer_ok("analog %s %.0f", word[1], mv);
    else
        answer_error("this board has no analogue input '%s'", word[1]);
}

static bool i2c_address(unsigned i, uint8_t *address) {
    char *end = "";
    unsigned long v = i < words ? strtoul(word[i], &end, 16) : 0;
    if (i >= words || end == word[i] || *end || v < 8 || v > 0x77)
        return answer_error("an I2C address is 08 to 77 in hex"), false;
    *address = v;
    return true;
}

static void do_i2c(void) {
    uint8_t address;
    if (is(1, "hang") || is(1, "free")) {
        twi_hangs = is(1, "hang");
        return answer_ok("i2c %s", word[1]);
    }
    if (!i2c_address(1, &address)) return;
    struct twi_device *d = twi_device_at(address);
    if (!d) return answer_error("nothing is wired to the I2C address %02x", address);
    if (!is(2, "away") && !is(2, "here")) return answer_error("it is away or here");
    d->away = is(2, "away");
    answer_ok("i2c %02x %s", address, word[2]);
}

// ---------------------------------------------------------------- wiring

static void do_wire(void) {
    struct pin *p[6] = {0};
    uint8_t address;
    if (is(1, "lcd-i2c")) {
        if (!i2c_address(2, &address)) return;
        if (!lcd_attach_i2c(address)) return answer_error("there is one lcd at most");
        return answer_ok("wire lcd-i2c 0");
    }
    static const struct {
        const char *kind;
        unsigned least, most;
    } KINDS[] = {{"rc522", 1, 2}, {"rdm6300", 1, 1}, {"wiegand", 2, 2}, {"pixels", 1, 1}, {"servo", 1, 1},
                 {"lcd", 6, 6},   {"buzzer", 1, 1},  {"button", 1, 1}};
    unsigned k = 0, kinds = sizeof KINDS / sizeof KINDS[0];
    while (k < kinds && !is(1, KINDS[k].kind)) k++;
    if (k == kinds) return answer_error("wire rc522, rdm6300, wiegand, pixels, servo, buzzer, lcd, lcd-i2c or button");
    if (words < 2 + KINDS[k].least || words > 2 + KINDS[k].most)
        return answer_error("'wire %s' wants %u%s pins", KINDS[k].kind, KINDS[k].most,
                            KINDS[k].least < KINDS[k].most ? " (or fewer)" : "");
    for (unsigned i = 2; i < words; i++)
        if (!(p[i - 2] = pin(i))) return;
    int index = 0;
    switch (k) {
    case 0: index = rc522_attach(p[0], p[1]); break;
    case 1: index = rdm_attach(p[0]); break;
    case 2: index = wiegand_attach(p[0], p[1]); break;
    case 3: index = pixels_attach(p[0]) - 1; break;
    case 4: index = servo_attach(p[0]) - 1; break;
    case 5: index = lcd_attach(p) - 1; break;
    case 6: index = buzzer_attach(p[0]) - 1; break;
    default: pin_drive(p[0], 1); break; // an open contact with its pull-up
    }
    if (index < 0) return answer_error("no room for another %s", word[1]);
    answer_ok("wire %s %d", word[1], index);
}

// ---------------------------------------------------------------- readers

static void do_card(void) {
    unsigned reader;
    struct card card = {0};
    double ms = 0;
    if (!index_of(1, "rc522", rc522_count(), &reader)) return;
    if (is(2, "none")) {
        rc522_put_card(reader, &card, 0);
        return answer_ok("card %u none", reader);
    }
    if (words < 3 || !card_parse_uid(word[2], &card))
        return answer_error("a UID is 4, 7 or 10 bytes in hex, or none");
    card.type = card.uid_length == 4 ? CARD_CLASSIC : CARD_PLAIN;
    for (unsigned i = 3; i < words; i++) {
        if (is(i, "plain"))
            card.type = CARD_PLAIN;
        else if (is(i, "classic"))
            card.type = CARD_CLASSIC;
        else if (is(i, "ntag213"))
            card.type = CARD_NTAG213;
        else if (is(i, "ntag424"))
            card.type = CARD_NTAG424;
        else if (is(i, "for")) {
            if (!number(++i, "the time in ms", 1, 1e7, &ms)) return;
        } else if (is(i, "uri")) {
            if (++i == words) return answer_error("an address is missing after uri");
            if (!card_set_uri(&card, word[i])) return answer_error("an address has at most 245 characters");
            if (card.type == CARD_NTAG213 && card.ndef_length > 140)
                return answer_error("an NTAG213 holds a message of at most 140 bytes");
        } else
            return answer_error("a card is plain, classic, ntag213 or ntag424, 'for MS', with 'uri ADDRESS'; not '%s'",
                                word[i]);
    }
    if ((card.type == CARD_NTAG213 || card.type == CARD_NTAG424) && card.uid_length != 7)
        return answer_error("an NTAG has a UID of 7 bytes");
    rc522_put_card(reader, &card, (uint64_t)(ms * 1000));
    answer_ok("card %u %s", reader, word[2]);
}

static void do_fault(void) {
    unsigned reader;
    if (!index_of(1, "rc522", rc522_count(), &reader)) return;
    static const char *const FAULTS[] = {"none", "deaf", "stuck", "mute"}, *const HEALS[] = {"never", "soft", "pin"};
    unsigned f = 0, h = 1;
    while (f < 4 && !is(2, FAULTS[f])) f++;
    if (f == 4) return answer_error("a fault is none, deaf, stuck or mute");
    if (words > 3) {
        for (h = 0; h < 3 && !(is(3, "heals") && is(4, HEALS[h]));) h++;
        if (h == 3) return answer_error("a fault heals never, soft or pin: 'heals soft'");
    }
    rc522_set_fault(reader, (enum rc522_fault)f, (enum rc522_heals)h);
    answer_ok("fault %u %s heals %s", reader, FAULTS[f], HEALS[h]);
}

static void do_glitch(void) {
    unsigned reader;
    if (!index_of(1, "rc522", rc522_count(), &reader)) return;
    rc522_forget(reader);
    answer_ok("glitch %u", reader);
}

static void do_rdm(void) {
    unsigned reader;
    uint8_t tag[5];
    if (!index_of(1, "rdm6300", rdm_count(), &reader)) return;
    if (words < 3 || parse_hex(word[2], tag, 5) != 5) return answer_error("a tag is five bytes in hex");
    bool id12 = false, bad = false;
    for (unsigned i = 3; i < words; i++) {
        if (is(i, "id12"))
            id12 = true;
        else if (is(i, "bad"))
            bad = true;
        else
            return answer_error("after the tag: id12, bad; not '%s'", word[i]);
    }
    if (too_full(rdm_is_full(reader))) return;
    answer_ok("rdm %u %s", reader, word[2]);
    rdm_send(reader, tag, id12, bad);
}

static void do_serial(void) {
    struct pin *p = pin(1);
    unsigned long baud;
    uint8_t bytes[256];
    if (!p || !whole(2, "the speed in baud", 300, 115200, &baud)) return;
    int n = words > 3 ? parse_hex(word[3], bytes, sizeof bytes) : -1;
    if (n <= 0) return answer_error("1 to 256 bytes in hex are missing");
    if (too_full(pin_is_full(p))) return;
    answer_ok("serial %s %lu %d", pin_name(p), baud, n);
    char what[32];
    snprintf(what, sizeof what, "serial %s", pin_name(p));
    inject_serial(p, baud, bytes, n, what);
}

static void do_wiegand(void) {
    unsigned reader;
    unsigned long bits;
    double pulse = 50, period = 2000;
    if (!index_of(1, "wiegand", wiegand_count(), &reader) || !whole(2, "the number of bits", 1, 64, &bits)) return;
    char *end = "";
    uint64_t value = words > 3 ? strtoull(word[3], &end, 16) : 0;
    if (words < 4 || end == word[3] || *end) return answer_error("a value in hex is missing");
    bool raw = false, bad = false;
    for (unsigned i = 4; i < words; i++) {
        if (is(i, "raw"))
            raw = true;
        else if (is(i, "bad"))
            bad = true;
        else if (is(i, "pulse")) {
            if (!number(++i, "the pulse in us", 5, 1000, &pulse)) return;
        } else if (is(i, "period")) {
            if (!number(++i, "the period in us", 50, 20000, &period)) return;
        } else
            return answer_error("after the value: raw, bad, pulse US, period US; not '%s'", word[i]);
    }
    if (pulse >= period) return answer_error("the pulse must be shorter than the period");
    unsigned room = raw ? bits : bits - 2;
    if (!raw && bits != 26 && bits != 34) return answer_error("parity is known for 26 and 34 bits; for others say raw");
    if (room < 64 && value >> room) return answer_error("%s does not fit %u bits", word[3], room);
    if (!raw) value = wiegand_with_parity((uint32_t)value, bits);
    if (bad) value ^= 1;
    if (too_full(wiegand_is_full(reader))) return;
    answer_ok("wiegand %u %lu %llX", reader, bits, (unsigned long long)value);
    wiegand_send(reader, value, bits, pulse, period);
}

// ---------------------------------------------------------------- the line

static bool directions(unsigned i, bool d[2]) {
    d[IN] = is(i, "in") || is(i, "both");
    d[OUT] = is(i, "out") || is(i, "both");
    return d[IN] || d[OUT] || (answer_error("a direction is in (to the board), out or both"), false);
}

static void do_rate(void) {
    bool d[2];
    double p;
    if (!directions(1, d) || !number(2, "a rate per byte", 0, 1, &p)) return;
    for (unsigned i = 0; i < 2; i++)
        if (d[i]) *(is(0, "ber") ? &line_faults[i].flip : &line_faults[i].lose) = p;
    answer_ok("%s %s %g", word[0], word[1], p);
}

static void do_noise(void) {
    bool d[2];
    unsigned long n;
    if (!directions(1, d) || !whole(2, "a number of bytes", 0, 1e7, &n)) return;
    answer_ok("noise %s %lu", word[1], n);
    for (unsigned i = 0; i < 2; i++)
        if (d[i]) line_noise((enum direction)i, n);
}

static void do_plug(void) {
    bool in = is(0, "plug");
    answer_ok("%s", word[0]);
    if (in ? !line_plug() : !line_unplug()) event("already %s", in ? "plugged" : "unplugged");
}

static void do_baud(void) {
    if (!is(1, "check") || (!is(2, "on") && !is(2, "off"))) return answer_error("say 'baud check on' or 'baud check off'");
    line_checks_baud = is(2, "on");
    answer_ok("baud check %s board=%u", word[2], uart_baud());
}

// ---------------------------------------------------------------- the chip

static void do_reset(void) {
    enum cause cause = EXT;
    if (words > 1 && !board_parse_cause(word[1], &cause)) return answer_error("a reset is por, ext, bod or wdt");
    answer_ok("reset %s", words > 1 ? word[1] : "ext");
    board_reset(cause);
}

static void do_hold(void) {
    enum cause cause = EXT;
    if (words > 1 && !board_parse_cause(word[1], &cause)) return answer_error("hold por, ext or bod");
    answer_ok("hold");
    board_hold(cause, 0);
}

static void do_resume(void) {
    answer_ok("resume");
    board_release();
}

static void do_brownout(void) {
    double ms = 10;
    if (words > 1 && !number(1, "the time in ms", 0.1, 60000, &ms)) return;
    answer_ok("brownout %g", ms);
    board_hold(BOD, (uint64_t)(ms * 1000));
}

static void do_eeprom(void) {
    unsigned size;
    uint8_t *bytes = board_eeprom(&size), given[256];
    unsigned long at, n;
    if (is(1, "erase")) {
        memset(bytes, 0xFF, size);
    } else if (is(1, "read")) {
        if (!whole(2, "an address", 0, size - 1, &at) || !whole(3, "a length", 1, size - at < 256 ? size - at : 256, &n))
            return;
        char hex[513];
        for (unsigned i = 0; i < n; i++) sprintf(hex + 2 * i, "%02X", bytes[at + i]);
        return answer_ok("eeprom %lu %s", at, hex);
    } else if (is(1, "write")) {
        if (!whole(2, "an address", 0, size - 1, &at)) return;
        int k = words > 3 ? parse_hex(word[3], given, sizeof given) : -1;
        if (k <= 0 || at + k > size) return answer_error("1 to 256 bytes in hex that fit the EEPROM are missing");
        memcpy(bytes + at, given, k);
    } else
        return answer_error("eeprom read ADDRESS LENGTH, write ADDRESS HEX or erase");
    board_eeprom_keep();
    answer_ok("eeprom %s", word[1]);
}

static void do_ram(void) {
    unsigned size, fixed, untouched;
    board_ram(&size, &fixed, &untouched);
    answer_ok("ram size=%u fixed=%u untouched=%u used=%u", size, fixed, untouched, size - untouched);
}

static void do_speed(void) {
    double v;
    if (!number(1, "a speed", 0, 100, &v)) return;
    board_speed(v);
    answer_ok("speed %g", v);
}

static void do_show(void) {
    struct pin *p;
    unsigned long bad;
    if (is(1, "lcd")) {
        char rows[2][64];
        bool on;
        if (!lcd_state(&on, &bad)) return answer_error("no lcd is wired");
        lcd_row(0, rows[0]);
        lcd_row(1, rows[1]);
        return answer_ok("lcd on=%d too_fast=%lu |%s|%s|", on, bad, rows[0], rows[1]);
    }
    if (!is(1, "pixels") && !is(1, "servo")) return answer_error("show lcd, pixels PIN or servo PIN");
    if (!(p = pin(2))) return;
    if (is(1, "pixels")) {
        const char *colours = pixels_now(p, &bad);
        if (!colours) return answer_error("no pixels are wired to %s", pin_name(p));
        return answer_ok("pixels %s bad_bits=%lu %s", pin_name(p), bad, colours);
    }
    double us;
    if (!servo_now(p, &us)) return answer_error("no servo is wired to %s", pin_name(p));
    answer_ok("servo %s %.0f", pin_name(p), us);
}

static void do_stats(void) {
    const struct line_stats *l = &line_stats;
    const struct uart_stats *u = &uart_stats;
    answer_ok("stats from_host=%lu to_host=%lu unheard=%lu flipped_in=%lu flipped_out=%lu lost_in=%lu lost_out=%lu "
              "noise_in=%lu noise_out=%lu garbled_in=%lu garbled_out=%lu opened=%u unplugged=%u received=%lu overruns=%lu "
              "ignored=%lu sent=%lu spi=%lu selections=%lu resets=%u crashes=%u slipped_ms=%.0f cycles=%llu",
              l->from_host, l->to_host, l->unheard, l->flipped[IN], l->flipped[OUT], l->lost[IN], l->lost[OUT],
              l->noise[IN], l->noise[OUT], l->garbled[IN], l->garbled[OUT], l->opened, l->unplugged, u->received,
              u->overruns, u->ignored, u->sent, spi_bytes, rc522_selections(), board_stats.resets, board_stats.crashes,
              board_stats.slipped_ms, (unsigned long long)avr->cycle);
}

static void do_quit(void) {
    answer_ok("quit");
    command_quit = true;
}

// ---------------------------------------------------------------- the list

static void do_help(void);

static const struct {
    const char *name, *arguments, *meaning;
    void (*run)(void);
} COMMANDS[] = {
    {"watch", "PIN...", "report every change; answers with the levels now (0, 1, z = nobody drives it)", do_watch},
    {"unwatch", "PIN...", "no longer", do_watch},
    {"read", "PIN", "level now", do_read},
    {"drive", "PIN 0|1", "hold a pin from outside", do_drive},
    {"release", "PIN", "let it go", do_drive},
    {"pull", "PIN up|down|none", "a resistor on the board", do_pull},
    {"pulse", "PIN 0|1 US [COUNT PERIOD_US]", "exact pulses; the pin is held at the other level afterwards", do_pulse},
    {"button", "PIN press|release [BOUNCE_US [BOUNCES]]", "a contact to ground", do_button},
    {"measure", "PIN", "last high and low time, frequency, duty, count of edges", do_measure},
    {"pwm", "PIN", "duty and frequency that the timer's registers say", do_pwm},
    {"analog", "An MV", "voltage at an analogue input, 0 to 5000", do_analog},
    {"wire", "KIND PIN...", "rc522 SS [RST], rdm6300 RX, wiegand D0 D1, button P, pixels P, servo P, buzzer P, lcd RS E D4 D5 D6 D7, lcd-i2c ADDRESS; "
     "answers with its number among its kind", do_wire},
    {"card", "R UID|none [plain|classic|ntag213|ntag424] [uri ADDRESS] [for MS]", "what lies on RC522 number R", do_card},
    {"fault", "R none|deaf|stuck|mute [heals never|soft|pin]", "break RC522 number R (heals soft by default)", do_fault},
    {"glitch", "R", "RC522 number R loses its settings, once", do_glitch},
    {"rdm", "R TAGHEX [id12] [bad]", "RDM6300 number R sends a tag (five bytes); bad: wrong checksum", do_rdm},
    {"wiegand", "R 26|34 HEX [bad] [raw] [pulse US] [period US]", "Wiegand reader R sends a payload; raw: bits as given", do_wiegand},
    {"serial", "PIN BAUD HEX", "bytes 8N1 on a pin", do_serial},
    {"i2c", "ADDRESS away|here, or hang|free", "a device that does not answer; a bus that hangs", do_i2c},
    {"show", "lcd | pixels PIN | servo PIN", "what is to be seen now", do_show},
    {"ber", "in|out|both P", "one bit of a byte turned over, with this probability per byte", do_rate},
    {"loss", "in|out|both P", "bytes gone, with this probability", do_rate},
    {"noise", "in|out|both N", "N random bytes at line speed", do_noise},
    {"unplug", "", "the port vanishes: link gone, end of file for who has it open", do_plug},
    {"plug", "", "it is there again", do_plug},
    {"baud", "check on|off", "whether a host at another speed sees garbage (on at the start)", do_baud},
    {"reset", "[por|ext|bod|wdt]", "with this cause in MCUSR (ext by default)", do_reset},
    {"hold", "[por|ext|bod]", "keep the chip in reset, pins floating", do_hold},
    {"resume", "", "let it start", do_resume},
    {"brownout", "[MS]", "supply too low for MS (10 by default), then a start with BORF", do_brownout},
    {"eeprom", "read ADDRESS LENGTH | write ADDRESS HEX | erase", "the EEPROM", do_eeprom},
    {"ram", "", "size, variables, bytes never touched since power-on", do_ram},
    {"speed", "X", "1 = real time, 0 = as fast as possible", do_speed},
    {"stats", "", "counters", do_stats},
    {"help", "", "this list", do_help},
    {"quit", "", "end", do_quit},
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

static void do_help(void) {
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        answer_more("help %s %s: %s", COMMANDS[i].name, COMMANDS[i].arguments, COMMANDS[i].meaning);
    answer_ok("help");
}

void command_list(void) {
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        printf("  %s %s\n      %s\n", COMMANDS[i].name, COMMANDS[i].arguments, COMMANDS[i].meaning);
}

void command_run(char *line) {
    char *rest = line;
    words = 0;
    command_failed = false;
    for (char *w; (w = strtok_r(rest, " \t", &rest));) {
        if (words == WORDS) return answer_error("a command has at most %d words", WORDS);
        word[words++] = w;
    }
    if (!words) return;
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        if (is(0, COMMANDS[i].name)) return COMMANDS[i].run();
    answer_error("unknown command '%s'; 'help' lists them", word[0]);
}

void command_run_file(const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) fatal("cannot read %s: %m", path);
    char line[1024];
    for (unsigned number = 1; fgets(line, sizeof line, f); number++) {
        line[strcspn(line, "\r\n")] = 0;
        char *start = line + strspn(line, " \t"), *comment = strchr(start, '#');
        if (comment) *comment = 0;
        if (!*start) continue;
        command_run(start);
        if (command_failed) {
            fatal("%s, line %u: that command failed, see above", path, number);
        }
    }
    fclose(f);
}
