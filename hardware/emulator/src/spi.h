// SPDX-License-Identifier: GPL-3.0-or-later
// The SPI master with the time a byte takes at the clock that the firmware has set (simavr 1.6: always 100 us).
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct spi_chip {
    bool (*selected)(struct spi_chip *chip);
    uint8_t (*exchange)(struct spi_chip *chip, uint8_t mosi);
    struct spi_chip *next;
};

void spi_start(void);
void spi_after_reset(void);
void spi_attach(struct spi_chip *chip);
extern unsigned long spi_bytes;
