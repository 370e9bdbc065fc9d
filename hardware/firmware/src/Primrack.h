// Primrack: badges, buttons, lamps and relays on a board, over a line that may fail. The sketch examples/gateway shows all of it.
// Choose another board file by defining PRIMRACK_BOARD before this line: #define PRIMRACK_BOARD "boards/mine.h"
#pragma once

#if defined(ARDUINO)
#include <Arduino.h>
#endif

#if defined(PRIMRACK_BOARD)
#include PRIMRACK_BOARD
#elif defined(ARDUINO_AVR_MEGA2560) || defined(ARDUINO_AVR_MEGA)
#include "boards/mega.h"
#elif defined(ARDUINO_AVR_NANO)
#include "boards/nano.h"
#else
#include "boards/uno.h"
#endif

#include "gateway.h"
#if defined(__AVR__)
#include "avr/machine.h"
#endif
