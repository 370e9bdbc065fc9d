// What only the sketch on an AVR needs of the machine: its start, its reset cause, its watchdog.
#pragma once
#include "../identity.h"

namespace primrack {
namespace machine {

// The line, SPI, I2C, timers, watchdog (0.5 s). Call it first.
void begin();
// At the end of each pass: satisfies the watchdog (it bites after 0.5 s), then rests until the next interrupt: a byte, an edge on a reader's
// pin, or at the latest the clock's next millisecond.
void rest();
// Why the last reset was. `unk` if a bootloader has cleared it and the memory was not lost.
Cause reset_cause();

}  // namespace machine
}  // namespace primrack
