// SPDX-License-Identifier: GPL-3.0-or-later
// UART0 as the chip has it, in place of simavr's: two bytes of receive buffer and a shift register, a byte lost and
// DOR set when a fourth arrives, a transmit buffer of one, times of ten bits (simavr 1.6 has 64 bytes and eleven bits).
#pragma once
#include <stdbool.h>
#include <stdint.h>

void uart_start(void);
void uart_after_reset(void);
// The line: a start bit has been seen; the whole byte has arrived, perhaps with a bad stop bit.
void uart_start_bit(void);
void uart_receive(uint8_t byte, bool framing_error);
// Bits per second that the firmware has set; 0 while receiver and transmitter are off.
unsigned uart_baud(void);

struct uart_stats {
    unsigned long received, overruns, ignored, sent; // ignored: came while the receiver was off
};
extern struct uart_stats uart_stats;
