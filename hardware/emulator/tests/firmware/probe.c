// SPDX-License-Identifier: GPL-3.0-or-later
// A firmware for testing the emulator: does one thing per command and says what it saw. 115200 baud, one command a line.
#include <avr/eeprom.h>
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/wdt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <util/delay.h>

#ifdef __AVR_ATmega2560__
#define MEGA 1
#define OUT_PORT PORTH // D7
#define OUT_DDR DDRH
#define OUT_BIT 4
#else
#define MEGA 0
#define OUT_PORT PORTD
#define OUT_DDR DDRD
#define OUT_BIT 7
#endif

// ---------------------------------------------------------------- serial line

static volatile uint8_t ring[128], ring_in, ring_out;
static volatile uint16_t taken, overruns, framing_errors;

#if MEGA
ISR(USART0_RX_vect)
#else
ISR(USART_RX_vect)
#endif
{
    uint8_t status = UCSR0A, byte = UDR0;
    taken++;
    if (status & _BV(DOR0)) overruns++;
    if (status & _BV(FE0)) framing_errors++;
    ring[ring_in] = byte;
    ring_in = (ring_in + 1) & 127;
}

static void put(char c) {
    while (!(UCSR0A & _BV(UDRE0))) {}
    UDR0 = c;
}
static void say(const char *s) { while (*s) put(*s++); }
static void say_number(uint32_t v) {
    char b[12];
    say(ultoa(v, b, 10));
}
static void say_field(const char *name, uint32_t v) {
    put(' ');
    say(name);
    put('=');
    say_number(v);
}

#if !MEGA
static void say_hex(uint8_t v) {
    put("0123456789ABCDEF"[v >> 4]);
    put("0123456789ABCDEF"[v & 15]);
}

// ---------------------------------------------------------------- MFRC522, register by register

static uint8_t spi(uint8_t v) {
    SPDR = v;
    while (!(SPSR & _BV(SPIF))) {}
    return SPDR;
}
static void rc_write(uint8_t reg, uint8_t v) {
    PORTB &= ~_BV(2);
    spi(reg << 1);
    spi(v);
    PORTB |= _BV(2);
}
static uint8_t rc_read(uint8_t reg) {
    PORTB &= ~_BV(2);
    spi(0x80 | reg << 1);
    uint8_t v = spi(0);
    PORTB |= _BV(2);
    return v;
}
static void rc_start(void) {
    rc_write(0x01, 0x0F);
    _delay_ms(1);
    rc_write(0x2A, 0x80); // timer: starts by itself, 40 kHz, 25 ms
    rc_write(0x2B, 0xA9);
    rc_write(0x2C, 0x03);
    rc_write(0x2D, 0xE8);
    rc_write(0x15, 0x40);
    rc_write(0x11, 0x3D);
    rc_write(0x14, 0x83);
}
static uint8_t answer[64];
// Sends a frame and returns the length of the answer, -1 when the time is over, -2 when the chip never finishes.
static int8_t rc_exchange(const uint8_t *frame, uint8_t n, uint8_t last_bits) {
    rc_write(0x01, 0);
    rc_write(0x04, 0x7F);
    rc_write(0x0A, 0x80);
    for (uint8_t i = 0; i < n; i++) rc_write(0x09, frame[i]);
    rc_write(0x01, 0x0C);
    rc_write(0x0D, 0x80 | last_bits);
    for (uint16_t turns = 0; turns < 4000; turns++) {
        uint8_t irq = rc_read(0x04);
        if (irq & 0x20) {
            uint8_t got = rc_read(0x0A);
            if (got > sizeof answer) return -2; // a dead bus reads FF
            for (uint8_t i = 0; i < got; i++) answer[i] = rc_read(0x09);
            return got;
        }
        if (irq & 0x01) return -1;
    }
    return -2;
}
static uint8_t with_crc(uint8_t *frame, uint8_t n) {
    rc_write(0x01, 0);
    rc_write(0x05, 0x04);
    rc_write(0x0A, 0x80);
    for (uint8_t i = 0; i < n; i++) rc_write(0x09, frame[i]);
    rc_write(0x01, 0x03);
    for (uint8_t t = 0; t < 200 && !(rc_read(0x05) & 4); t++) {}
    frame[n] = rc_read(0x22);
    frame[n + 1] = rc_read(0x21);
    return n + 2;
}
static uint8_t uid[10], uid_length, sak;
static int8_t find_card(void) {
    uint8_t wupa = 0x52, f[9];
    int8_t n = rc_exchange(&wupa, 1, 7);
    if (n != 2) n = rc_exchange(&wupa, 1, 7); // it was awake and fell asleep
    if (n != 2) return n;
    uid_length = 0;
    for (uint8_t level = 0; level < 3; level++) {
        f[0] = 0x93 + 2 * level;
        f[1] = 0x20;
        if ((n = rc_exchange(f, 2, 0)) != 5) return n;
        f[1] = 0x70;
        memcpy(f + 2, answer, 5);
        if ((n = rc_exchange(f, with_crc(f, 7), 0)) != 3) return n;
        bool more = answer[0] & 4;
        sak = answer[0];
        memcpy(uid + uid_length, f + (more ? 3 : 2), more ? 3 : 4);
        uid_length += more ? 3 : 4;
        if (!more) return 1;
    }
    return -3;
}
static void do_card(void) {
    uint8_t version = rc_read(0x37);
    int8_t r = find_card();
    say("card version=");
    say_hex(version);
    if (r == 1) {
        say_field("sak", sak);
        say(" uid=");
        for (uint8_t i = 0; i < uid_length; i++) say_hex(uid[i]);
    } else {
        say(r == -2 ? " stuck" : " none");
    }
}
static void do_pages(void) { // type 2: pages 4 to 15
    say("pages ");
    for (uint8_t p = 4; p < 16; p += 4) {
        uint8_t f[4] = {0x30, p};
        if (rc_exchange(f, with_crc(f, 2), 0) != 18) {
            say("silence");
            return;
        }
        for (uint8_t i = 0; i < 16; i++) put(answer[i] >= 32 && answer[i] < 127 ? answer[i] : '.');
    }
}
static int8_t apdu(const uint8_t *a, uint8_t n, uint8_t block) {
    uint8_t f[24];
    f[0] = 2 | block;
    memcpy(f + 1, a, n);
    return rc_exchange(f, with_crc(f, n + 1), 0);
}
static void do_file(void) { // type 4: the NDEF file
    uint8_t rats[4] = {0xE0, 0x50};
    int8_t n = rc_exchange(rats, with_crc(rats, 2), 0);
    if (n < 0) {
        say("file silence");
        return;
    }
    static const uint8_t APPLICATION[] = {0, 0xA4, 4, 0, 7, 0xD2, 0x76, 0, 0, 0x85, 1, 1, 0};
    static const uint8_t FILE[] = {0, 0xA4, 0, 0x0C, 2, 0xE1, 4};
    apdu(APPLICATION, sizeof APPLICATION, 0);
    apdu(FILE, sizeof FILE, 1);
    say("file ");
    uint8_t block = 0, total = 0;
    for (uint8_t at = 0; at < 2 + total || at == 0; at += 48, block ^= 1) {
        uint8_t read[] = {0, 0xB0, 0, at, 48};
        n = apdu(read, 5, block);
        if (n < 53) break;
        if (at == 0) total = answer[2];
        for (uint8_t i = at ? 0 : 2; i < 48 && at + i < 2 + total; i++) {
            uint8_t c = answer[1 + i];
            put(c >= 32 && c < 127 ? c : '.');
        }
    }
}

// ---------------------------------------------------------------- edges: Wiegand on D2 and D3, serial on D8

static volatile uint8_t wiegand_bits;
static volatile uint64_t wiegand_value;
static volatile uint16_t wiegand_last, wiegand_shortest, wiegand_longest;

static void wiegand_bit(uint8_t bit) {
    uint16_t now = TCNT1, gap = now - wiegand_last;
    wiegand_last = now;
    if (wiegand_bits) {
        if (gap < wiegand_shortest) wiegand_shortest = gap;
        if (gap > wiegand_longest) wiegand_longest = gap;
    }
    wiegand_bits++;
    wiegand_value = wiegand_value << 1 | bit;
}
ISR(INT0_vect) { wiegand_bit(0); }
ISR(INT1_vect) { wiegand_bit(1); }

static volatile uint16_t edge_at[150];
static volatile uint8_t edges;
ISR(PCINT0_vect) {
    if (edges < 150) edge_at[edges++] = TCNT1;
}
// Half microseconds between edges, starting with a falling one, back into bytes of 9600 baud.
static void do_serial(void) {
    const uint16_t BIT = 208;
    say("serial ");
    say_number(edges);
    put(' ');
    uint8_t i = 0;
    while (i + 1 < edges) {
        uint16_t start = edge_at[i];
        uint8_t byte = 0;
        bool level = false;
        uint8_t next = i + 1;
        for (uint8_t b = 0; b < 9; b++) {
            uint16_t middle = BIT + BIT / 2 + b * BIT;
            while (next < edges && (uint16_t)(edge_at[next] - start) < middle) {
                level = !level;
                next++;
            }
            if (b < 8 && level) byte |= 1 << b;
        }
        say_hex(byte);
        i = next;
    }
    edges = 0;
}
static void do_wiegand(void) {
    say("wiegand");
    say_field("bits", wiegand_bits);
    say_field("shortest", wiegand_shortest / 2);
    say_field("longest", wiegand_longest / 2);
    say(" value=");
    for (int8_t s = 56; s >= 0; s -= 8) say_hex(wiegand_value >> s);
    wiegand_bits = 0;
    wiegand_value = 0;
    wiegand_shortest = 0xFFFF;
    wiegand_longest = 0;
}

// ---------------------------------------------------------------- what people see

static void pixel_byte(uint8_t v) {
    for (uint8_t b = 0; b < 8; b++, v <<= 1) {
        if (v & 0x80)
            asm volatile("sbi %0, 5\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n cbi %0, 5"
                         ::"I"(_SFR_IO_ADDR(PORTD)));
        else
            asm volatile("sbi %0, 5\n nop\n nop\n nop\n nop\n cbi %0, 5" ::"I"(_SFR_IO_ADDR(PORTD)));
    }
}
static void do_pixels(uint32_t rgb) {
    cli();
    for (uint8_t i = 0; i < 3; i++) {
        pixel_byte(rgb >> 8);
        pixel_byte(rgb >> 16);
        pixel_byte(rgb);
    }
    sei();
}
static void lcd_half(bool rs, uint8_t half) { // RS A1, E A2, data A3 A4 A5 D4
    PORTC = (PORTC & ~0x3A) | (rs ? 2 : 0) | (half & 7) << 3;
    if (half & 8) PORTD |= _BV(4); else PORTD &= ~_BV(4);
    PORTC |= 4;
    _delay_us(1);
    PORTC &= ~4;
    _delay_us(1);
}
static void lcd(bool rs, uint8_t v) {
    lcd_half(rs, v >> 4);
    lcd_half(rs, v & 15);
    if (!rs && v < 4) _delay_ms(2); else _delay_us(45);
}
static void do_lcd(const char *text) {
    DDRC |= 0x3E;
    DDRD |= _BV(4);
    for (uint8_t i = 0; i < 3; i++) {
        lcd_half(false, 3);
        _delay_ms(5);
    }
    lcd_half(false, 2);
    _delay_us(100);
    lcd(false, 0x28);
    lcd(false, 0x0C);
    lcd(false, 0x01);
    lcd(false, 0x06);
    while (*text && *text != '/') lcd(true, *text++);
    if (*text) {
        lcd(false, 0xC0);
        while (*++text) lcd(true, *text);
    }
}
#endif

// ---------------------------------------------------------------- I2C: a display with a PCF8574 at 27, 400 kHz

static uint8_t twi(uint8_t control) { // returns the status, 0 when nothing ends
    TWCR = _BV(TWINT) | _BV(TWEN) | control;
    for (uint16_t t = 0; t < 2000; t++)
        if (TWCR & _BV(TWINT)) return TWSR & 0xF8;
    return 0;
}
static uint8_t twi_write(const uint8_t *bytes, uint8_t n) { // returns the last status
    uint8_t status = twi(_BV(TWSTA));
    for (uint8_t i = 0; i <= n && (i == 0 ? status == 0x08 : i == 1 ? status == 0x18 : status == 0x28); i++) {
        TWDR = i == 0 ? 0x27 << 1 : bytes[i - 1];
        status = twi(0);
    }
    TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO);
    for (uint16_t t = 0; t < 2000 && TWCR & _BV(TWSTO); t++) {}
    if (!status) TWCR = 0;
    return status;
}
static uint8_t backpack(bool rs, uint8_t half) {
    uint8_t low = half << 4 | 8 | rs, out[2] = {low | 4, low};
    return twi_write(out, 2);
}
static void do_backpack(const char *text) {
    static const uint8_t START[] = {0x28, 0x0C, 0x01, 0x06};
    TWBR = 12;
    uint8_t status = 0;
    for (uint8_t i = 0; i < 4; i++) {
        status = backpack(false, i < 3 ? 3 : 2);
        _delay_ms(5);
    }
    for (uint8_t i = 0; i < 4; i++) {
        backpack(false, START[i] >> 4);
        backpack(false, START[i] & 15);
        _delay_ms(2);
    }
    while (*text) {
        backpack(true, *text >> 4);
        backpack(true, *text++ & 15);
    }
    say("backpack status=");
    say_number(status);
}

// ---------------------------------------------------------------- commands

static void run(char *line) {
    uint32_t v = strtoul(line + 1, NULL, 0);
    switch (line[0]) {
    case 'e':
        say("echo ");
        say(line + 1);
        break;
    case 'p':
        if (v) OUT_PORT |= _BV(OUT_BIT); else OUT_PORT &= ~_BV(OUT_BIT);
        say("pin ");
        say_number(v);
        break;
    case 'a':
        ADMUX = _BV(REFS0) | (v & 7);
#ifdef MUX5
        ADCSRB = v > 7 ? _BV(MUX5) : 0;
#endif
        ADCSRA = _BV(ADEN) | _BV(ADSC) | 7;
        while (ADCSRA & _BV(ADSC)) {}
        say("adc ");
        say_number(ADC);
        break;
    case 'o':
        say("line");
        say_field("taken", taken);
        say_field("overruns", overruns);
        say_field("framing", framing_errors);
        break;
    case 'L': do_backpack(line + 1); break;
    case 'z': // deaf for so many ms
        cli();
        while (v--) _delay_ms(1);
        sei();
        say("awake");
        break;
    case 'd':
        wdt_enable(WDTO_15MS);
        for (;;) {}
#if !MEGA
    case 'i': // D2 and D4 as inputs with pull-up
        say("inputs");
        DDRD &= ~_BV(4);
        PORTD |= _BV(4);
        _delay_us(5);
        say_field("d2", PIND >> 2 & 1);
        say_field("d4", PIND >> 4 & 1);
        break;
    case 'k': rc_start(); say("reader started"); break;
    case 'c': do_card(); break;
    case 'C': do_pages(); break;
    case 'F': do_file(); break;
    case 'w': do_wiegand(); break;
    case 's': do_serial(); break;
    case 'x': do_pixels(v); say("pixels"); break;
    case 'l': do_lcd(line + 1); say("lcd"); break;
    case 'v': // a servo pulse on D6
        PORTD |= _BV(6);
        for (uint16_t t = TCNT1; (uint16_t)(TCNT1 - t) < 2 * v;) {}
        PORTD &= ~_BV(6);
        say("servo");
        break;
    case 'b': // a tone on D6, 20 periods
        for (uint8_t i = 0; i < 40; i++) {
            PIND = _BV(6);
            for (uint16_t t = TCNT1; (uint16_t)(TCNT1 - t) < 1000000UL / v;) {}
        }
        say("tone");
        break;
    case 'm': // fast PWM on D6
        OCR0A = v;
        TCCR0A = _BV(COM0A1) | 3;
        TCCR0B = 3;
        say("pwm");
        break;
#endif
    default: say("what?");
    }
    put('\n');
}

int main(void) {
    uint8_t cause = MCUSR;
    MCUSR = 0;
    wdt_disable();
    uint16_t boots = eeprom_read_word((uint16_t *)4) + 1;
    eeprom_write_word((uint16_t *)4, boots);
    UBRR0 = 16;
    UCSR0A = _BV(U2X0);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
    OUT_DDR |= _BV(OUT_BIT);
#if !MEGA
    DDRD |= _BV(5) | _BV(6);
    DDRB |= _BV(1) | _BV(2) | _BV(3) | _BV(5);
    PORTB |= _BV(1) | _BV(2) | _BV(0); // RST and SS high, pull-up on D8
    PORTD |= _BV(2) | _BV(3);
    SPCR = _BV(SPE) | _BV(MSTR);
    TCCR1B = 2; // half microseconds
    EICRA = _BV(ISC01) | _BV(ISC11);
    EIMSK = _BV(INT0) | _BV(INT1);
    PCMSK0 = _BV(PCINT0);
    PCICR = _BV(PCIE0);
    wiegand_shortest = 0xFFFF;
#endif
    sei();
    say("boot");
    say_field("cause", cause);
    say_field("count", boots);
    put('\n');
    static char line[100];
    uint8_t n = 0;
    bool noise = false; // no command has such bytes
    for (;;) {
        if (ring_in == ring_out) continue;
        char c = ring[ring_out];
        ring_out = (ring_out + 1) & 127;
        if (c != '\n') {
            if (c < ' ' || c > '~') noise = true;
            if (n < sizeof line - 1) line[n++] = c;
            continue;
        }
        line[noise ? 0 : n] = 0;
        n = 0;
        noise = false;
        run(line);
    }
}
