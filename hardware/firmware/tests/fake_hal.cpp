#include "fake_hal.h"

#include <stdio.h>
#include <stdlib.h>

#include "hal.h"

namespace fake {
static Machine the;
Machine& machine() { return the; }
void reset() { the = Machine(); }

static void logged(const char* format, unsigned a, unsigned b, unsigned c = 0) {
  char line[64];
  snprintf(line, sizeof line, format, a, b, c);
  the.log.push_back(line);
}
}  // namespace fake

namespace primrack {
namespace hal {

using fake::the;

uint16_t now_ms() { return the.ms; }
uint16_t now_us() { return the.us; }

void pin_write(uint8_t pin, bool level) {
  const bool known = the.pin.count(pin) != 0;
  if (known && the.pin[pin] == level) return;
  the.pin[pin] = level;
  if (the.pin_changed) the.pin_changed(pin, level);
  if (the.output[pin]) fake::logged("pin %u %u", pin, level);
}
void pin_output(uint8_t pin, bool level) {
  pin_write(pin, level);
  the.output[pin] = true;
}
void pin_input(uint8_t pin) {
  if (the.pin.count(pin) == 0) the.pin[pin] = true;
}
bool pin_read(uint8_t pin) { return the.pin.count(pin) == 0 || the.pin[pin]; }
uint16_t analog_read(uint8_t pin) { return the.analog[pin]; }

int16_t uart_read() {
  if (the.rx.empty()) return -1;
  const uint8_t b = static_cast<uint8_t>(the.rx[0]);
  the.rx.erase(0, 1);
  return b;
}
static size_t waiting = 0;
uint8_t uart_room() {
  if (!the.tx_blocked) waiting = 0;
  return static_cast<uint8_t>(the.tx_size - waiting);
}
void uart_write(uint8_t byte) {
  if (waiting == the.tx_size) {
    fprintf(stderr, "uart_write without room\n");
    abort();
  }
  ++waiting;
  the.tx += static_cast<char>(byte);
}

uint8_t spi(uint8_t out) { return the.spi ? the.spi(out) : 0xFF; }
bool i2c_write(uint8_t address, const uint8_t* data, uint8_t len) { return the.i2c && the.i2c(address, data, len); }

bool eeprom_ready() { return !the.eeprom_busy; }
uint8_t eeprom_read(uint16_t at) { return the.eeprom.at(at); }
void eeprom_write(uint16_t at, uint8_t value) {
  if (the.eeprom_busy) abort();
  the.eeprom.at(at) = value;
  ++the.eeprom_writes;
}

void servo(uint8_t pin, uint16_t us) { fake::logged("servo %u %u", pin, us); }
void tone(uint8_t pin, uint16_t hz) { fake::logged("tone %u %u", pin, hz); }
void pixels(uint8_t pin, uint8_t count, uint32_t rgb) { fake::logged("pixels %u %u %06X", pin, count, rgb); }

void watch_wiegand(uint8_t, uint8_t, Wiegand* receiver) { the.wiegand = receiver; }
void watch_edges(uint8_t, EdgeUart* receiver) { the.edges = receiver; }

uint16_t least_free_ram() { return 911; }
uint8_t hold() { return 1; }
void release(uint8_t) {}

}  // namespace hal
}  // namespace primrack
