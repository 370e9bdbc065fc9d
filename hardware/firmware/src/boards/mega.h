// Arduino Mega 2560: two RC522, two relays, and a display on six pins without a backpack. See uno.h for the form.
// Pins 0 and 1 are the line to the host, 50 51 52 the SPI. Wiegand is always 2 and 3; RDM6300: 10 to 13.
// Outputs: 0 latch, 1 fan, 2 tower, 3 bolt, 4 siren, 5 screen, 6 glow.

#define PRIMRACK_READERS(X) \
  X(RC522, badge, 53, 49)   \
  X(RC522, inner, 48, 47)   \
  X(WIEGAND, gate, 2, 3)    \
  X(RDM6300, desk, 10)

#define PRIMRACK_BUTTONS(X) \
  X(BUTTON, bell, 4)        \
  X(BUTTON, stop, 5)

#define PRIMRACK_ANALOGS(X)  \
  X(ANALOG, light, A0, 16)   \
  X(ANALOG, warmth, A1, 16)

#define PRIMRACK_OUTPUTS(X)                   \
  X(RELAY, latch, 22, ACTIVE_HIGH)            \
  X(RELAY, fan, 23, ACTIVE_HIGH)              \
  X(LAMP, tower, 24, 25, 26, ACTIVE_HIGH)     \
  X(LOCK, bolt, 6, 1000, 2000)                \
  X(BUZZER, siren, 7)                         \
  X(LCD_PINS, screen, 30, 31, 32, 33, 34, 35) \
  X(PIXELS, glow, 27, 8)
