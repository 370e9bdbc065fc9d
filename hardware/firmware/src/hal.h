// All that the library wants from a machine. `avr/hal_avr.cpp` answers it on a board, `tests/fake_hal.cpp` on a PC.
// Free functions instead of an interface: an AVR copies every vtable into RAM.
#pragma once
#include <stdint.h>

namespace primrack {

class Wiegand;
class EdgeUart;

namespace hal {

// Time in ms and us since some moment. Both wrap, after 65.5 s and 65.5 ms: only differences are ever used, and everything that measures a
// time looks at it in every pass of the loop, which the watchdog keeps below 0.5 s. What lasts longer (leases, ages) is counted pass by pass.
// So the clock wraps a thousand times a day, and no fault can wait 49 days.
uint16_t now_ms();
uint16_t now_us();

// Pins, numbered as Arduino does.
void pin_output(uint8_t pin, bool level);  // level first, then direction: no pulse on the way
void pin_input(uint8_t pin);               // with pull-up
void pin_write(uint8_t pin, bool level);
bool pin_read(uint8_t pin);
uint16_t analog_read(uint8_t pin);  // 0..1023

// The line to the host. uart_write may be called only as often as uart_room said.
int16_t uart_read();  // -1: nothing there
uint8_t uart_room();
void uart_write(uint8_t byte);

uint8_t spi(uint8_t out);
bool i2c_write(uint8_t address, const uint8_t* data, uint8_t len);  // false: nobody answered

bool eeprom_ready();
uint8_t eeprom_read(uint16_t at);
void eeprom_write(uint16_t at, uint8_t value);  // only when ready; does not wait

void servo(uint8_t pin, uint16_t pulse_us);  // one servo; 0 = no more pulses
void tone(uint8_t pin, uint16_t hz);         // one buzzer; 0 = quiet
void pixels(uint8_t pin, uint8_t count, uint32_t rgb);

// Interrupts: falling edges of D0 and D1 to this Wiegand receiver (one), edges of a pin to this receiver (one).
void watch_wiegand(uint8_t d0, uint8_t d1, Wiegand* receiver);
void watch_edges(uint8_t pin, EdgeUart* receiver);

uint16_t least_free_ram();  // bytes between heap and stack that were never touched

// Interrupts off for a few instructions: uint8_t held = hold(); ... release(held);
uint8_t hold();
void release(uint8_t held);

}  // namespace hal
}  // namespace primrack
