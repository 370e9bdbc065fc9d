// SPDX-License-Identifier: GPL-3.0-or-later
// The serial line between host and board: a pty under a name that stays, what an unreliable cable does to bytes, and
// a plug that can be pulled.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum direction { IN, OUT }; // as the board sees it

void line_start(const char *link_path, bool reset_on_open, uint64_t seed);
void line_close(void);
bool line_plug(void);   // false: it was plugged in
bool line_unplug(void); // false: it was not
void line_from_board(uint8_t byte);
// To be called after each batch: sends what the board sent, notices opening and closing, takes what the host wrote.
void line_exchange(void);
// What to wait for: the pty while somebody has it open, -1 otherwise.
int line_poll_fd(void);

struct fault_rates {
    double flip, lose; // per byte: one bit turned over, the byte gone
};
extern struct fault_rates line_faults[2];
extern bool line_checks_baud;
void line_noise(enum direction d, unsigned long bytes);

struct line_stats {
    unsigned long from_host, to_host, unheard; // unheard: sent while nobody had the port open, or nobody read
    unsigned long flipped[2], lost[2], noise[2], garbled[2];
    unsigned opened, unplugged;
};
extern struct line_stats line_stats;
