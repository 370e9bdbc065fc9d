// SPDX-License-Identifier: GPL-3.0-or-later
// Register numbers and reset values: NXP MFRC522 data sheet, rev. 3.9, chapter 9.
#include "rc522.h"
#include <stddef.h>
#include <string.h>
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "spi.h"

enum {
    COMMAND = 0x01, COM_IRQ = 0x04, DIV_IRQ, ERROR, STATUS1, STATUS2, FIFO_DATA, FIFO_LEVEL, WATER_LEVEL, CONTROL,
    BIT_FRAMING, COLL, MODE = 0x11, TX_MODE, RX_MODE, TX_CONTROL, CRC_HIGH = 0x21, CRC_LOW, TIMER_MODE = 0x2A,
    TIMER_PRESCALER, TIMER_RELOAD_HIGH, TIMER_RELOAD_LOW, VERSION = 0x37,
};
enum { CMD_IDLE = 0, CMD_CALC_CRC = 3, CMD_TRANSMIT = 4, CMD_TRANSCEIVE = 12, CMD_SOFT_RESET = 15 };
enum { IRQ_TIMER = 0x01, IRQ_ERROR = 0x02, IRQ_IDLE = 0x10, IRQ_RX = 0x20, IRQ_TX = 0x40, IRQ_CRC = 0x04 };

#define US_PER_BYTE 84.96 // 106 kbit/s: eight bits and parity
#define FRAME_DELAY_US 91.0
#define THINKING_US 3000.0
#define START_UP_US 200.0

struct rc522 {
    struct spi_chip chip; // first: the bus hands out a pointer to it
    unsigned index;
    struct pin *select, *reset;
    bool reset_low, addressed, reading;
    uint8_t address;
    uint8_t reg[64], fifo[64];
    unsigned fifo_used;
    uint64_t ready_at;
    enum rc522_fault fault;
    enum rc522_heals heals;
    struct card card;
    bool told;
    uint8_t answer[CARD_ANSWER_MAX];
    unsigned answer_length;
};

static struct rc522 readers[RC522_MAX];
static unsigned count;
static unsigned long selections;

// ---------------------------------------------------------------- what takes time

static void timer_ends(void *arg) {
    struct rc522 *r = arg;
    r->reg[COM_IRQ] |= IRQ_TIMER;
}

static void sent(void *arg) {
    struct rc522 *r = arg;
    r->reg[COM_IRQ] |= IRQ_TX;
    if ((r->reg[COMMAND] & 15) == CMD_TRANSMIT) {
        r->reg[COM_IRQ] |= IRQ_IDLE;
        r->reg[COMMAND] &= ~15;
    }
}

static void answered(void *arg) {
    struct rc522 *r = arg;
    unsigned n = r->answer_length;
    r->reg[ERROR] = 0;
    if (r->reg[RX_MODE] & 0x80) { // the chip checks the CRC and takes it off
        if (n >= 2 && card_crc(r->answer, n, 0x6363) == 0)
            n -= 2;
        else
            r->reg[ERROR] |= 0x04;
    }
    if (n > sizeof r->fifo) {
        n = sizeof r->fifo;
        r->reg[ERROR] |= 0x10;
    }
    memcpy(r->fifo, r->answer, n);
    r->fifo_used = n;
    r->reg[CONTROL] &= ~7;
    r->reg[COM_IRQ] |= IRQ_RX;
    if (r->reg[ERROR]) r->reg[COM_IRQ] |= IRQ_ERROR;
    agenda_cancel(timer_ends, r);
}

static void crc_done(void *arg) {
    struct rc522 *r = arg;
    static const uint16_t PRESET[] = {0x0000, 0x6363, 0xA671, 0xFFFF};
    uint16_t crc = card_crc(r->fifo, r->fifo_used, PRESET[r->reg[MODE] & 3]);
    r->fifo_used = 0;
    r->reg[CRC_LOW] = (uint8_t)crc;
    r->reg[CRC_HIGH] = crc >> 8;
    r->reg[DIV_IRQ] |= IRQ_CRC;
    r->reg[STATUS1] |= 0x20;
}

static void stop(struct rc522 *r) {
    agenda_cancel(timer_ends, r);
    agenda_cancel(sent, r);
    agenda_cancel(answered, r);
    agenda_cancel(crc_done, r);
}

static void reset_registers(struct rc522 *r) {
    static const struct {
        uint8_t at, value;
    } START[] = {{COMMAND, 0x20}, {0x02, 0x80}, {COM_IRQ, 0x14}, {STATUS1, 0x21}, {WATER_LEVEL, 8}, {CONTROL, 0x10},
                 {COLL, 0xA0}, {MODE, 0x3F}, {TX_CONTROL, 0x80}, {0x16, 0x10}, {0x17, 0x84}, {0x18, 0x84},
                 {0x19, 0x4D}, {0x1C, 0x62}, {0x1F, 0xEB}, {CRC_HIGH, 0xFF}, {CRC_LOW, 0xFF}, {0x24, 0x26},
                 {0x26, 0x48}, {0x27, 0x88}, {0x28, 0x20}, {0x29, 0x20}, {0x36, 0x40}, {VERSION, 0x92}};
    stop(r);
    memset(r->reg, 0, sizeof r->reg);
    for (unsigned i = 0; i < sizeof START / sizeof START[0]; i++) r->reg[START[i].at] = START[i].value;
    r->fifo_used = 0;
    card_leaves_field(&r->card); // no field, no supply for the card
}

static void heal(struct rc522 *r, bool by_pin) {
    if (r->fault == FAULT_NONE || r->heals == HEALS_NEVER || (r->heals == HEALS_PIN && !by_pin)) return;
    r->fault = FAULT_NONE;
    event("rc522 %u healed by %s", r->index, by_pin ? "its reset pin" : "a soft reset");
}

static void send(struct rc522 *r) {
    uint8_t frame[66];
    unsigned n = r->fifo_used, bits = r->reg[BIT_FRAMING] & 7;
    memcpy(frame, r->fifo, n);
    r->fifo_used = 0;
    if (r->fault == FAULT_STUCK) return;
    if (r->reg[TX_MODE] & 0x80 && bits == 0) {
        uint16_t crc = card_crc(frame, n, 0x6363);
        frame[n++] = (uint8_t)crc;
        frame[n++] = crc >> 8;
    }
    bool field = (r->reg[TX_CONTROL] & 3) == 3, slow = false, complete = false;
    r->answer_length = 0;
    if (field && r->fault == FAULT_NONE)
        r->answer_length = card_answer(&r->card, frame, n, bits ? bits : 8, r->answer, &slow, &complete);
    double air = n * US_PER_BYTE;
    agenda_at(avr->cycle + cycles_of_us(air), sent, r);
    if (r->reg[TIMER_MODE] & 0x80) { // starts by itself at the end of sending
        unsigned divider = ((r->reg[TIMER_MODE] & 15) << 8 | r->reg[TIMER_PRESCALER]) * 2 + 1;
        unsigned reload = r->reg[TIMER_RELOAD_HIGH] << 8 | r->reg[TIMER_RELOAD_LOW];
        agenda_at(avr->cycle + cycles_of_us(air + divider * (reload + 1.0) / 13.56), timer_ends, r);
    }
    if (r->answer_length) {
        double thinking = FRAME_DELAY_US + (slow ? THINKING_US : 0);
        agenda_at(avr->cycle + cycles_of_us(air + thinking + r->answer_length * US_PER_BYTE), answered, r);
    }
    if (complete) {
        selections++;
        if (r->told) return;
        r->told = true; // once per card laid on it; a reader selects it many times a second
        char hex[21];
        for (unsigned i = 0; i < r->card.uid_length; i++) {
            static const char DIGITS[] = "0123456789ABCDEF";
            hex[2 * i] = DIGITS[r->card.uid[i] >> 4];
            hex[2 * i + 1] = DIGITS[r->card.uid[i] & 15];
        }
        hex[2 * r->card.uid_length] = 0;
        event("rc522 %u selected %s", r->index, hex);
    }
}

// ---------------------------------------------------------------- registers

static void start_command(struct rc522 *r, uint8_t v) {
    r->reg[COMMAND] = v & 0x3F;
    stop(r);
    switch (v & 15) {
    case CMD_SOFT_RESET:
        heal(r, false);
        reset_registers(r);
        r->ready_at = avr->cycle + cycles_of_us(START_UP_US);
        break;
    case CMD_CALC_CRC:
        r->reg[STATUS1] &= ~0x20;
        if (r->fault != FAULT_STUCK) agenda_at(avr->cycle + cycles_of_us(1 + r->fifo_used * 0.6), crc_done, r);
        break;
    case CMD_TRANSMIT:
        send(r);
        break;
    default: // Transceive waits for StartSend; the others (memory, random number, authentication) are not played
        break;
    }
}

static void write_register(struct rc522 *r, uint8_t a, uint8_t v) {
    switch (a) {
    case COMMAND:
        start_command(r, v);
        break;
    case COM_IRQ:
    case DIV_IRQ: // the top bit says whether the marked bits are set or cleared
        if (v & 0x80)
            r->reg[a] |= v & 0x7F;
        else
            r->reg[a] &= ~v;
        break;
    case FIFO_DATA:
        if (r->fifo_used < sizeof r->fifo)
            r->fifo[r->fifo_used++] = v;
        else
            r->reg[ERROR] |= 0x10;
        break;
    case FIFO_LEVEL:
        if (v & 0x80) {
            r->fifo_used = 0;
            r->reg[ERROR] &= ~0x10;
        }
        break;
    case BIT_FRAMING:
        r->reg[a] = v & 0x7F;
        if (v & 0x80 && (r->reg[COMMAND] & 15) == CMD_TRANSCEIVE) send(r);
        break;
    case TX_CONTROL:
        if ((v & 3) != 3) card_leaves_field(&r->card);
        r->reg[a] = v;
        break;
    case ERROR: case STATUS1: case CRC_HIGH: case CRC_LOW: case VERSION:
        break; // read only
    default:
        r->reg[a] = v;
    }
}

static uint8_t read_register(struct rc522 *r, uint8_t a) {
    switch (a) {
    case COMMAND:
        return r->reg[COMMAND] | (avr->cycle < r->ready_at ? 0x10 : 0);
    case FIFO_DATA: {
        if (!r->fifo_used) return 0;
        uint8_t v = r->fifo[0];
        memmove(r->fifo, r->fifo + 1, --r->fifo_used);
        return v;
    }
    case FIFO_LEVEL:
        return r->fifo_used;
    default:
        return r->reg[a];
    }
}

// ---------------------------------------------------------------- the bus

static bool selected(struct spi_chip *chip) {
    struct rc522 *r = (struct rc522 *)chip;
    return pin_level(r->select) == 0 && !r->reset_low;
}

static uint8_t exchange(struct spi_chip *chip, uint8_t mosi) {
    struct rc522 *r = (struct rc522 *)chip;
    if (!r->addressed) {
        r->addressed = true;
        r->reading = mosi & 0x80;
        r->address = mosi >> 1 & 0x3F;
        return r->fault == FAULT_DEAF ? 0xFF : 0;
    }
    if (r->fault == FAULT_DEAF) { // it may still hear the one command that mends it
        if (!r->reading && r->address == COMMAND && (mosi & 15) == CMD_SOFT_RESET) start_command(r, mosi);
        return 0xFF;
    }
    if (!r->reading) {
        write_register(r, r->address, mosi);
        return 0;
    }
    uint8_t v = read_register(r, r->address);
    r->address = mosi >> 1 & 0x3F; // each byte sent while reading is the next address
    return v;
}

static void on_select(struct pin *p, int level, void *arg) {
    (void)p;
    struct rc522 *r = arg;
    if (level == 0) r->addressed = false;
}

static void on_reset(struct pin *p, int level, void *arg) {
    (void)p;
    struct rc522 *r = arg;
    if (level == 0) {
        reset_registers(r);
        r->reset_low = true;
    } else if (r->reset_low) {
        r->reset_low = false;
        r->ready_at = avr->cycle + cycles_of_us(START_UP_US);
        heal(r, true);
    }
}

// ---------------------------------------------------------------- from outside

unsigned rc522_count(void) { return count; }

int rc522_attach(struct pin *select, struct pin *reset) {
    if (count == RC522_MAX) return -1;
    struct rc522 *r = &readers[count];
    r->chip.selected = selected;
    r->chip.exchange = exchange;
    r->index = count;
    r->select = select;
    r->reset = reset;
    reset_registers(r);
    spi_attach(&r->chip);
    pin_pull(select, 1); // modules carry these resistors, so a chip is quiet while its board is in reset
    pin_listen(select, on_select, r);
    if (reset) {
        pin_pull(reset, 1);
        pin_listen(reset, on_reset, r);
    }
    return (int)count++;
}

static void card_taken(void *arg) {
    struct rc522 *r = arg;
    r->card.uid_length = 0;
    event("rc522 %u card gone", r->index);
}

void rc522_put_card(unsigned reader, const struct card *card, uint64_t for_us) {
    struct rc522 *r = &readers[reader];
    agenda_cancel(card_taken, r);
    r->card = *card;
    r->told = false;
    card_leaves_field(&r->card);
    if (for_us) agenda_at(avr->cycle + cycles_of_us(for_us), card_taken, r);
}

unsigned long rc522_selections(void) { return selections; }
void rc522_forget(unsigned reader) { reset_registers(&readers[reader]); }

void rc522_set_fault(unsigned reader, enum rc522_fault fault, enum rc522_heals heals) {
    readers[reader].fault = fault;
    readers[reader].heals = heals;
}
