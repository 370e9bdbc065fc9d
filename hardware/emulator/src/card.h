// SPDX-License-Identifier: GPL-3.0-or-later
// A badge in the field: ISO/IEC 14443A up to selection, then what its kind can do.
//   classic   4-byte UID, SAK 08; nothing after selection (its authentication is not played)
//   ntag213   type 2 tag: READ, FAST_READ, GET_VERSION, with an NDEF message in its pages
//   ntag424   type 4 tag: RATS, ISO 7816 SELECT and READ BINARY of an NDEF file. Its text is what the test gives:
//             the cryptography that makes it differ each time (SUN) is not played
//   plain     any UID length, SAK without further abilities
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum card_type { CARD_PLAIN, CARD_CLASSIC, CARD_NTAG213, CARD_NTAG424 };

struct card {
    enum card_type type;
    uint8_t uid[10];
    unsigned uid_length; // 0: no card there
    uint8_t ndef[260];   // the message, without the wrapping of either tag type
    unsigned ndef_length;

    enum { CARD_IDLE, CARD_READY, CARD_ACTIVE, CARD_PROTOCOL, CARD_HALT } state;
    bool halted; // woken from HALT: falls back to it
    unsigned level;
    unsigned file, frame_size, block, rest_from, rest_to;
    uint8_t response[280], last[300];
    unsigned last_length;
};

#define CARD_ANSWER_MAX 300

// What the card sends back to a frame (`bits` of the last byte are valid, 8 usually), CRC included. 0: silence.
// `slow` is set when the card has to think about it. `selected` is set when this frame completed a selection.
unsigned card_answer(struct card *c, const uint8_t *frame, unsigned length, unsigned bits, uint8_t *answer, bool *slow,
                     bool *selected);
void card_leaves_field(struct card *c);
uint16_t card_crc(const uint8_t *bytes, unsigned n, uint16_t start);
// Reads UIDs as hex, 4, 7 or 10 bytes; false if it is none.
bool card_parse_uid(const char *hex, struct card *c);
// Sets the NDEF message to one URI record. False: too long.
bool card_set_uri(struct card *c, const char *uri);
