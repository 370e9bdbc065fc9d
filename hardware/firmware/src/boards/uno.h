// Arduino Uno: which part has what on which pin. Change it to what you have; take lines out for parts you do not have.
// X(KIND, name, pins and settings). The order gives the numbers that the bridge uses: outputs here are 0 latch, 1 tower, 2 bolt, 3 siren, 4 screen.
// Pins 0 and 1 are the line to the host, 11 12 13 the SPI of the RC522, A4 A5 the I2C of the display.
// `make wiring` draws wiring/uno.svg from this file.

// RC522: select, reset. Wiegand: D0, D1 (always 2 and 3). RDM6300: its TX (8, 9, or 10 if free).
#define PRIMRACK_READERS(X) \
  X(RC522, badge, 10, 9)    \
  X(WIEGAND, gate, 2, 3)    \
  X(RDM6300, desk, 8)

// To ground, no resistor needed.
#define PRIMRACK_BUTTONS(X) X(BUTTON, bell, 4)

// Pin, smallest change that is told (of 1023).
#define PRIMRACK_ANALOGS(X) X(ANALOG, light, A0, 16)

// Relay: pin, level that switches on. Lamp: red, yellow, green, level. Lock: pin, pulse when locked, when open (us). LCD_I2C: address (0x27 or 0x3F).
#define PRIMRACK_OUTPUTS(X)               \
  X(RELAY, latch, 5, ACTIVE_HIGH)         \
  X(LAMP, tower, A1, A2, A3, ACTIVE_HIGH) \
  X(LOCK, bolt, 6, 1000, 2000)            \
  X(BUZZER, siren, 7)                     \
  X(LCD_I2C, screen, 0x27)
