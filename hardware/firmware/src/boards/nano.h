// Arduino Nano: as the Uno, and since it has A6 and A7 (analogue only) there is room for NeoPixels. See uno.h for the form.
// Outputs: 0 latch, 1 tower, 2 bolt, 3 siren, 4 screen, 5 glow.

#define PRIMRACK_READERS(X) \
  X(RC522, badge, 10, 9)    \
  X(WIEGAND, gate, 2, 3)    \
  X(RDM6300, desk, 8)

#define PRIMRACK_BUTTONS(X) X(BUTTON, bell, 4)

#define PRIMRACK_ANALOGS(X) X(ANALOG, light, A7, 16)

// Pixels: pin, how many (at most 8).
#define PRIMRACK_OUTPUTS(X)               \
  X(RELAY, latch, 5, ACTIVE_HIGH)         \
  X(LAMP, tower, A1, A2, A3, ACTIVE_HIGH) \
  X(LOCK, bolt, 6, 1000, 2000)            \
  X(BUZZER, siren, 7)                     \
  X(LCD_I2C, screen, 0x27)                \
  X(PIXELS, glow, A0, 8)
