// SPDX-License-Identifier: GPL-3.0-or-later
// Lines out: events to everyone who listens, answers to whoever asked. Each starts with two stamps:
//   SIMULATED_MICROSECONDS HOST_MONOTONIC_NANOSECONDS words...
#pragma once
#include <stdint.h>

#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))

// Something happened on the board.
void event(const char *format, ...) PRINTF_LIKE;
// The one answer to the command being carried out: `ok ...` or `error: ...`.
void answer_ok(const char *format, ...) PRINTF_LIKE;
void answer_error(const char *format, ...) PRINTF_LIKE;
// Lines before the answer, for whoever asked alone.
void answer_more(const char *format, ...) PRINTF_LIKE;
// Cannot go on: says why on the standard error, tidies up and ends with status 1.
_Noreturn void fatal(const char *format, ...) PRINTF_LIKE;
// The same for wrong arguments, with status 2.
_Noreturn void wrong_usage(const char *format, ...) PRINTF_LIKE;
// Where the answers of the next command go (an output of control.c, -1 for all) and its tag ("" for none).
void report_answers_to(int output, const char *tag);
