// SPDX-License-Identifier: GPL-3.0-or-later
// The microcontroller: which one, its firmware, its clock against the host's, its resets, its EEPROM.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sim_avr.h>

extern avr_t *avr;
extern bool command_failed; // set by answer_error

enum kind { UNO, NANO, MEGA };
enum cause { POR, EXT, BOD, WDT };

struct board_options {
    enum kind kind;
    const char *firmware, *eeprom; // eeprom may be NULL: forgotten at the end
    double speed;                  // 1 = real time, 0 = as fast as possible
    unsigned bootloader_ms;        // time between a reset and the firmware's first instruction
};

void board_start(const struct board_options *options);
enum kind board_kind(void);
void board_speed(double speed);
bool board_in_real_time(void);

uint64_t board_us(void);
// The host's CLOCK_MONOTONIC at which the present cycle is due: the simulation runs in small batches just after the
// fact, and a stamp taken while running would carry the size of the batch. Without real time: the clock as it is.
uint64_t board_host_ns(void);
uint64_t clock_ns(void);
uint64_t cycles_of_us(double us);

// Runs up to the present time of the host. False when the processor stands still (held, crashed).
void board_catch_up(void);

// Asks for a reset; it happens between two instructions, before anything else is run.
void board_reset(enum cause cause);
// Holds the processor in reset, all pins floating, until released (or for `us`, if not 0); then starts with `cause`.
void board_hold(enum cause cause, uint64_t us);
void board_release(void);
bool board_parse_cause(const char *word, enum cause *cause);

void board_eeprom_keep(void); // writes what has changed to its file
uint8_t *board_eeprom(unsigned *size);

struct board_stats {
    unsigned resets, crashes;
    double slipped_ms; // real time that the simulation could not keep up with and gave up
};
extern struct board_stats board_stats;
void board_ram(unsigned *size, unsigned *fixed, unsigned *untouched);
