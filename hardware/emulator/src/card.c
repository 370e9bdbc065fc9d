// SPDX-License-Identifier: GPL-3.0-or-later
#include "card.h"
#include <string.h>
#include "hex.h"

uint16_t card_crc(const uint8_t *bytes, unsigned n, uint16_t crc) {
    while (n--) {
        uint8_t b = *bytes++ ^ (uint8_t)crc;
        b ^= b << 4;
        crc = (crc >> 8) ^ (b << 8) ^ (b << 3) ^ (b >> 4);
    }
    return crc;
}

static unsigned with_crc(uint8_t *bytes, unsigned n) {
    uint16_t crc = card_crc(bytes, n, 0x6363);
    bytes[n] = (uint8_t)crc;
    bytes[n + 1] = crc >> 8;
    return n + 2;
}

static void fall_back(struct card *c) { c->state = c->halted ? CARD_HALT : CARD_IDLE; }

void card_leaves_field(struct card *c) {
    c->halted = false;
    c->state = CARD_IDLE;
}

bool card_parse_uid(const char *hex, struct card *c) {
    uint8_t uid[10];
    int n = parse_hex(hex, uid, sizeof uid);
    if (n != 4 && n != 7 && n != 10) return false;
    memcpy(c->uid, uid, n);
    c->uid_length = n;
    return true;
}

bool card_set_uri(struct card *c, const char *uri) {
    static const char *const PREFIX[] = {"", "http://www.", "https://www.", "http://", "https://"};
    unsigned code = 0;
    for (unsigned i = 1; i < 5 && !code; i++)
        if (!strncmp(uri, PREFIX[i], strlen(PREFIX[i]))) code = i;
    const char *rest = uri + strlen(PREFIX[code]);
    unsigned n = strlen(rest);
    if (n + 5 > 250) return false;
    uint8_t head[] = {0xD1, 0x01, n + 1, 'U', code}; // one short well-known record of type U
    memcpy(c->ndef, head, 5);
    memcpy(c->ndef + 5, rest, n);
    c->ndef_length = n + 5;
    return true;
}

// ---------------------------------------------------------------- selection

static unsigned levels(const struct card *c) { return c->uid_length == 4 ? 1 : c->uid_length == 7 ? 2 : 3; }

static uint8_t sak(const struct card *c) {
    return c->type == CARD_NTAG424 ? 0x20 : c->type == CARD_CLASSIC ? 0x08 : 0x00;
}

static unsigned wake(struct card *c, uint8_t command, uint8_t *answer) {
    if (c->state == CARD_PROTOCOL) return 0;
    if (c->state == CARD_READY || c->state == CARD_ACTIVE) { // not expected now: out of it, without a word
        fall_back(c);
        return 0;
    }
    bool asleep = c->state == CARD_HALT;
    if (command != 0x52 && (command != 0x26 || asleep)) return 0;
    c->halted = asleep;
    c->state = CARD_READY;
    c->level = 0;
    static const uint8_t SIZE_BITS[] = {0x00, 0x40, 0x80};
    answer[0] = 0x04 | SIZE_BITS[levels(c) - 1];
    answer[1] = c->type == CARD_NTAG424 ? 0x03 : 0x00;
    return 2;
}

static unsigned select_level(struct card *c, const uint8_t *frame, unsigned n, uint8_t *answer, bool *selected) {
    bool last = c->level == levels(c) - 1;
    uint8_t part[5];
    if (last)
        memcpy(part, c->uid + 3 * c->level, 4);
    else {
        part[0] = 0x88; // cascade tag
        memcpy(part + 1, c->uid + 3 * c->level, 3);
    }
    part[4] = part[0] ^ part[1] ^ part[2] ^ part[3];
    if (frame[1] == 0x20 && n == 2) {
        memcpy(answer, part, 5);
        return 5;
    }
    if (frame[1] == 0x70 && n == 9 && !memcmp(frame + 2, part, 5) && card_crc(frame, 9, 0x6363) == 0) {
        if (last) {
            c->state = CARD_ACTIVE;
            *selected = true;
            answer[0] = sak(c);
        } else {
            c->level++;
            answer[0] = 0x04; // UID not complete
        }
        return with_crc(answer, 1);
    }
    fall_back(c);
    return 0;
}

// ---------------------------------------------------------------- type 2

static uint8_t page_byte(const struct card *c, unsigned at) {
    const uint8_t *u = c->uid;
    uint8_t head[16] = {u[0], u[1], u[2], 0x88 ^ u[0] ^ u[1] ^ u[2], u[3], u[4], u[5], u[6],
                        u[3] ^ u[4] ^ u[5] ^ u[6], 0x48, 0, 0, 0xE1, 0x10, 0x12, 0x00};
    if (at < 16) return head[at];
    at -= 16; // the TLV that holds the message, then the terminator
    if (at == 0) return 0x03;
    if (at == 1) return c->ndef_length;
    if (at - 2 < c->ndef_length) return c->ndef[at - 2];
    return at - 2 == c->ndef_length ? 0xFE : 0;
}

static unsigned type2(struct card *c, const uint8_t *frame, unsigned n, uint8_t *answer) {
    const unsigned PAGES = 45;
    if (n == 4 && frame[0] == 0x30 && frame[1] < PAGES) {
        for (unsigned i = 0; i < 16; i++) answer[i] = page_byte(c, (frame[1] * 4 + i) % (PAGES * 4));
        return with_crc(answer, 16);
    }
    if (n == 5 && frame[0] == 0x3A && frame[1] <= frame[2] && frame[2] < PAGES) {
        unsigned bytes = (frame[2] - frame[1] + 1u) * 4;
        for (unsigned i = 0; i < bytes; i++) answer[i] = page_byte(c, frame[1] * 4 + i);
        return with_crc(answer, bytes);
    }
    if (n == 3 && frame[0] == 0x60) {
        static const uint8_t VERSION[] = {0x00, 0x04, 0x04, 0x02, 0x01, 0x00, 0x0F, 0x03};
        memcpy(answer, VERSION, 8);
        return with_crc(answer, 8);
    }
    return 0;
}

// ---------------------------------------------------------------- type 4

static unsigned status(struct card *c, unsigned at, unsigned code) {
    c->response[at] = code >> 8;
    c->response[at + 1] = (uint8_t)code;
    return at + 2;
}

// One APDU; the response is in c->response.
static unsigned apdu(struct card *c, const uint8_t *a, unsigned n) {
    static const uint8_t NDEF_APPLICATION[] = {0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01};
    static const uint8_t CAPABILITIES[] = {0x00, 0x17, 0x20, 0x01, 0x00, 0x00, 0xFF, 0x04, 0x06, 0xE1, 0x04, 0x01,
                                           0x00, 0x00, 0x00, 0x05, 0x06, 0xE1, 0x05, 0x00, 0x80, 0x82, 0x83};
    if (n < 4 || a[0] != 0x00) return status(c, 0, 0x6E00);
    if (a[1] == 0xA4) {
        if (n < 5 || n < 5u + a[4]) return status(c, 0, 0x6700);
        if (a[2] == 0x04) {
            bool ours = a[4] == sizeof NDEF_APPLICATION && !memcmp(a + 5, NDEF_APPLICATION, a[4]);
            c->file = ours ? 1 : 0;
            return status(c, 0, ours ? 0x9000 : 0x6A82);
        }
        unsigned id = a[4] == 2 ? a[5] << 8 | a[6] : 0;
        if (!c->file || (id != 0xE103 && id != 0xE104)) return status(c, 0, 0x6A82);
        c->file = id;
        return status(c, 0, 0x9000);
    }
    if (a[1] == 0xB0 && n == 5) {
        uint8_t file[262] = {0};
        unsigned size = 256, from = a[2] << 8 | a[3], want = a[4] ? a[4] : 256;
        if (c->file == 0xE103)
            memcpy(file, CAPABILITIES, size = sizeof CAPABILITIES);
        else if (c->file == 0xE104) {
            file[0] = c->ndef_length >> 8;
            file[1] = (uint8_t)c->ndef_length;
            memcpy(file + 2, c->ndef, c->ndef_length);
        } else
            return status(c, 0, 0x6A82);
        if (from >= size) return status(c, 0, 0x6A86);
        if (want > size - from) want = size - from;
        memcpy(c->response, file + from, want);
        return status(c, want, 0x9000);
    }
    return status(c, 0, 0x6D00);
}

static unsigned send_block(struct card *c, uint8_t *answer) {
    unsigned room = c->frame_size - 3, n = c->rest_to - c->rest_from;
    bool more = n > room;
    if (more) n = room;
    answer[0] = 0x02 | (more ? 0x10 : 0) | c->block;
    memcpy(answer + 1, c->response + c->rest_from, n);
    c->rest_from += n;
    c->last_length = with_crc(answer, n + 1);
    memcpy(c->last, answer, c->last_length);
    return c->last_length;
}

static unsigned type4(struct card *c, const uint8_t *frame, unsigned n, uint8_t *answer, bool *slow) {
    if (c->state == CARD_ACTIVE) {
        if (n != 4 || frame[0] != 0xE0) return 0;
        static const uint16_t FRAME_SIZES[] = {16, 24, 32, 40, 48, 64, 96, 128, 256};
        unsigned index = frame[1] >> 4;
        c->frame_size = FRAME_SIZES[index > 8 ? 8 : index];
        c->state = CARD_PROTOCOL;
        c->block = 1; // the first block of the reader has number 0 and toggles this
        c->file = c->rest_from = c->rest_to = c->last_length = 0;
        static const uint8_t ANSWER_TO_SELECT[] = {0x06, 0x77, 0x77, 0x71, 0x02, 0x80};
        memcpy(answer, ANSWER_TO_SELECT, 6);
        return with_crc(answer, 6);
    }
    uint8_t pcb = frame[0];
    if ((pcb & 0xF7) == 0xC2) { // DESELECT
        c->state = CARD_HALT;
        c->halted = true;
        answer[0] = 0xC2;
        return with_crc(answer, 1);
    }
    if ((pcb & 0xE6) == 0xA2) { // R-block: acknowledgement of a chained block, or repeat the last one
        if ((pcb & 1) == c->block) {
            memcpy(answer, c->last, c->last_length);
            return c->last_length;
        }
        if (pcb & 0x10 || c->rest_from == c->rest_to) return 0;
        c->block ^= 1;
        return send_block(c, answer);
    }
    if ((pcb & 0xFE) == 0x02 && n >= 3) { // I-block, the reader never chains: its commands are short
        c->block ^= 1;
        c->rest_from = 0;
        c->rest_to = apdu(c, frame + 1, n - 3);
        *slow = true;
        return send_block(c, answer);
    }
    return 0;
}

unsigned card_answer(struct card *c, const uint8_t *frame, unsigned n, unsigned bits, uint8_t *answer, bool *slow,
                     bool *selected) {
    if (!c->uid_length || n == 0) return 0;
    if (n == 1 && bits == 7) return wake(c, frame[0], answer);
    if (bits != 8) return 0;
    if (c->state == CARD_READY) {
        if (n >= 2 && frame[0] == 0x93 + 2 * c->level) return select_level(c, frame, n, answer, selected);
        fall_back(c);
        return 0;
    }
    if (c->state != CARD_ACTIVE && c->state != CARD_PROTOCOL) return 0;
    if (n < 3 || card_crc(frame, n, 0x6363) != 0) {
        if (c->state == CARD_ACTIVE) fall_back(c);
        return 0;
    }
    if (c->state == CARD_ACTIVE && n == 4 && frame[0] == 0x50) { // HLTA
        c->state = CARD_HALT;
        c->halted = true;
        return 0;
    }
    if (c->type == CARD_NTAG424) return type4(c, frame, n, answer, slow);
    unsigned length = c->type == CARD_NTAG213 ? type2(c, frame, n, answer) : 0;
    if (!length) fall_back(c);
    return length;
}
