// The machine: ATmega328P (Uno, Nano) and ATmega2560 (Mega) at 16 MHz with Arduino's core for pins, time and ADC. The line to the host has
// its own interrupt driver, with the buffers that the hello announces.
#if defined(__AVR__)

#include <Arduino.h>
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "../edge_uart.h"
#include "../hal.h"
#include "../wiegand.h"
#include "machine.h"

namespace primrack {

// ---------------------------------------------------------------- start

// Before anything else: why was the reset, and stop a watchdog that may still run at 15 ms.
static uint8_t mcusr_at_start __attribute__((section(".noinit")));
static uint16_t memory_mark __attribute__((section(".noinit")));
static bool memory_kept;
static const uint16_t MARK = 0xB0A2;

extern "C" {
extern uint8_t __heap_start;
void primrack_init3(void) __attribute__((naked, used, section(".init3")));
void primrack_init3(void) {
  mcusr_at_start = MCUSR;
  MCUSR = 0;
  wdt_disable();
  // Paint what the stack has not reached, so that least_free_ram can see how far it came.
  for (uint8_t* p = &__heap_start; p < reinterpret_cast<uint8_t*>(SP); ++p) *p = 0xA5;
}
}

Cause machine::reset_cause() {
  const uint8_t f = mcusr_at_start;
  if (f & _BV(PORF)) return Cause::por;
  if (f & _BV(BORF)) return Cause::bod;
  if (f & _BV(WDRF)) return Cause::wdt;
  if (f & _BV(EXTRF)) return Cause::ext;
  return memory_kept ? Cause::unk : Cause::por;
}

uint16_t hal::least_free_ram() {
  const uint8_t* p = &__heap_start;
  while (p < reinterpret_cast<uint8_t*>(SP) && *p == 0xA5) ++p;
  return static_cast<uint16_t>(p - &__heap_start);
}

// ---------------------------------------------------------------- the line to the host

static const uint8_t RING = 128;    // a power of two; one byte stays free. PRIMRACK_RECEIVE_BUFFER tells the host
static const uint8_t TX_RING = 96;  // a whole frame and what is still leaving meanwhile
static volatile uint8_t rx_ring[RING], tx_ring[TX_RING];
static volatile uint8_t rx_in, rx_out, tx_in, tx_out;

#if defined(USART_RX_vect)
#define PRIMRACK_RX_VECT USART_RX_vect
#define PRIMRACK_UDRE_VECT USART_UDRE_vect
#else
#define PRIMRACK_RX_VECT USART0_RX_vect
#define PRIMRACK_UDRE_VECT USART0_UDRE_vect
#endif

ISR(PRIMRACK_RX_VECT) {
  const uint8_t byte = UDR0;
  const uint8_t next = (rx_in + 1) & (RING - 1);
  if (next == rx_out) return;  // the host has sent more than BUF; the CRC will tell
  rx_ring[rx_in] = byte;
  rx_in = next;
}

ISR(PRIMRACK_UDRE_VECT) {
  const uint8_t out = tx_out;
  UDR0 = tx_ring[out];
  const uint8_t next = out + 1 == TX_RING ? 0 : out + 1;
  tx_out = next;
  if (next == tx_in) UCSR0B &= static_cast<uint8_t>(~_BV(UDRIE0));
}

int16_t hal::uart_read() {
  const uint8_t out = rx_out;
  if (rx_in == out) return -1;
  const uint8_t byte = rx_ring[out];
  rx_out = (out + 1) & (RING - 1);
  return byte;
}

uint8_t hal::uart_room() {
  const uint8_t in = tx_in, out = tx_out;
  return static_cast<uint8_t>(out > in ? out - in - 1 : TX_RING - 1 - in + out);
}

void hal::uart_write(uint8_t byte) {
  const uint8_t in = tx_in;
  tx_ring[in] = byte;
  const uint8_t held = hold();
  tx_in = in + 1 == TX_RING ? 0 : in + 1;
  UCSR0B |= _BV(UDRIE0);
  release(held);
}

void machine::begin() {
  memory_kept = memory_mark == MARK;
  memory_mark = MARK;
  UCSR0A = _BV(U2X0);
  UBRR0 = 16;  // 115200 at 16 MHz, as Arduino sets it
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
  hal::pin_output(SS, true);  // as an input, a low level there would end the SPI's mastership
  hal::pin_output(SCK, false);
  hal::pin_output(MOSI, false);
  SPCR = _BV(SPE) | _BV(MSTR);  // 4 MHz
  TWBR = 72;                    // 100 kHz
  TWSR = 0;
  wdt_enable(WDTO_500MS);
}

void machine::rest() {
  wdt_reset();
  set_sleep_mode(SLEEP_MODE_IDLE);
  cli();
  if (rx_in == rx_out) {
    sleep_enable();
    sei();  // the instruction after it is done before any interrupt: none slips in between
    sleep_cpu();
    sleep_disable();
  }
  sei();
}

// ---------------------------------------------------------------- time, pins, buses

uint16_t hal::now_ms() { return static_cast<uint16_t>(millis()); }
uint16_t hal::now_us() { return static_cast<uint16_t>(micros()); }

// Arduino's own also look after PWM, which nothing here uses, and take twice the time.
static volatile uint8_t* port_of(uint8_t pin) { return portOutputRegister(digitalPinToPort(pin)); }

void hal::pin_write(uint8_t pin, bool level) {
  volatile uint8_t* const port = port_of(pin);
  const uint8_t bit = digitalPinToBitMask(pin);
  const uint8_t held = hold();
  if (level) {
    *port |= bit;
  } else {
    *port &= static_cast<uint8_t>(~bit);
  }
  release(held);
}
void hal::pin_output(uint8_t pin, bool level) {
  pin_write(pin, level);
  *portModeRegister(digitalPinToPort(pin)) |= digitalPinToBitMask(pin);
}
void hal::pin_input(uint8_t pin) { pin_write(pin, true); }  // an input since the reset
bool hal::pin_read(uint8_t pin) { return (*portInputRegister(digitalPinToPort(pin)) & digitalPinToBitMask(pin)) != 0; }
uint16_t hal::analog_read(uint8_t pin) { return static_cast<uint16_t>(analogRead(pin)); }

uint8_t hal::spi(uint8_t out) {
  SPDR = out;
  while (!(SPSR & _BV(SPIF))) {
  }
  return SPDR;
}

uint8_t hal::hold() {
  const uint8_t held = SREG;
  cli();
  return held;
}
void hal::release(uint8_t held) { SREG = held; }

bool hal::eeprom_ready() { return !(EECR & _BV(EEPE)); }

uint8_t hal::eeprom_read(uint16_t at) {
  while (!eeprom_ready()) {
  }
  EEAR = at;
  EECR |= _BV(EERE);
  return EEDR;
}

void hal::eeprom_write(uint16_t at, uint8_t value) {
  EEAR = at;
  EEDR = value;
  const uint8_t held = hold();
  EECR |= _BV(EEMPE);
  EECR |= _BV(EEPE);
  release(held);
}

// Waits for the bus, but not for ever: a byte takes 90 us.
static bool twi_done() {
  // A turn takes 7 cycles or more (delayMicroseconds(1) is nothing at all at 16 MHz): at least 400 us.
  for (uint16_t i = 0; i < 1000; ++i) {
    if (TWCR & _BV(TWINT)) return true;
  }
  return false;
}

bool hal::i2c_write(uint8_t address, const uint8_t* data, uint8_t len) {
  TWCR = _BV(TWINT) | _BV(TWSTA) | _BV(TWEN);
  bool fine = twi_done() && ((TWSR & 0xF8) == 0x08 || (TWSR & 0xF8) == 0x10);
  if (fine) {
    TWDR = static_cast<uint8_t>(address << 1);
    TWCR = _BV(TWINT) | _BV(TWEN);
    fine = twi_done() && (TWSR & 0xF8) == 0x18;
  }
  for (uint8_t i = 0; fine && i < len; ++i) {
    TWDR = data[i];
    TWCR = _BV(TWINT) | _BV(TWEN);
    fine = twi_done() && (TWSR & 0xF8) == 0x28;
  }
  TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO);
  if (!fine) TWCR = 0;  // let go of a bus that hangs
  return fine;
}

// ---------------------------------------------------------------- servo (timer 1) and buzzer (timer 2)

static volatile uint8_t* servo_port;
static uint8_t servo_bit;
static volatile uint16_t servo_ticks;  // half microseconds; 0 = no pulses
static bool servo_high;

ISR(TIMER1_COMPA_vect) {
  if (!servo_high && servo_ticks != 0) {
    *servo_port |= servo_bit;
    servo_high = true;
    OCR1A += servo_ticks;
  } else if (servo_high) {
    *servo_port &= static_cast<uint8_t>(~servo_bit);
    servo_high = false;
    OCR1A += 40000 - servo_ticks;  // 20 ms from pulse to pulse
  } else {
    TIMSK1 &= static_cast<uint8_t>(~_BV(OCIE1A));
  }
}

void hal::servo(uint8_t pin, uint16_t us) {
  const uint8_t held = hold();
  servo_port = portOutputRegister(digitalPinToPort(pin));
  servo_bit = digitalPinToBitMask(pin);
  servo_ticks = static_cast<uint16_t>(us * 2);
  // With 0, a pulse under way is left to end by itself: cut short it would make the servo twitch.
  if (us != 0 && !(TIMSK1 & _BV(OCIE1A))) {
    TCCR1A = 0;
    TCCR1B = _BV(CS11);  // 2 MHz, runs freely
    OCR1A = static_cast<uint16_t>(TCNT1 + 200);
    TIFR1 = _BV(OCF1A);
    TIMSK1 |= _BV(OCIE1A);
  }
  release(held);
}

static volatile uint8_t* tone_in;
static uint8_t tone_bit;

ISR(TIMER2_COMPA_vect) { *tone_in = tone_bit; }  // writing a 1 to PIN turns the pin over

void hal::tone(uint8_t pin, uint16_t hz) {
  TIMSK2 = 0;
  pin_write(pin, false);
  if (hz == 0) return;
  tone_in = portInputRegister(digitalPinToPort(pin));
  tone_bit = digitalPinToBitMask(pin);
  // Half a period in steps of the timer: 16 MHz through 1024, 256 or 64. Wrong by 4 % at most.
  uint8_t divider = _BV(CS22) | _BV(CS21) | _BV(CS20);
  uint32_t clock = F_CPU / 2 / 1024;
  if (hz > 489) {
    divider = _BV(CS22);
    clock = F_CPU / 2 / 64;
  } else if (hz > 122) {
    divider = _BV(CS22) | _BV(CS21);
    clock = F_CPU / 2 / 256;
  }
  TCCR2A = _BV(WGM21);
  OCR2A = static_cast<uint8_t>((clock + hz / 2) / hz - 1);
  TCNT2 = 0;
  TCCR2B = divider;
  TIMSK2 = _BV(OCIE2A);
}

// ---------------------------------------------------------------- NeoPixels

// 20 cycles a bit: high for 6 or 13 of them. Interrupts are off for one pixel (30 us) and may come between pixels, which the chips allow.
static void pixel_byte(volatile uint8_t* port, uint8_t high, uint8_t low, uint8_t byte) {
  uint8_t bits = 8;
  asm volatile(
      "1: st %a[port], %[high]\n"  // 2
      "   nop\n   nop\n   nop\n"   // 3
      "   sbrs %[byte], 7\n"       // 1 or 2
      "   st %a[port], %[low]\n"   // 2 or 0: low after 6 cycles for a 0
      "   lsl %[byte]\n"           // 1
      "   rjmp 2f\n"               // 2
      "2: nop\n   nop\n"           // 2
      "   st %a[port], %[low]\n"   // 2: low after 13 for a 1
      "   rjmp 3f\n"               // 2
      "3: dec %[bits]\n"           // 1
      "   brne 1b\n"               // 2
      : [byte] "+r"(byte), [bits] "+d"(bits)
      : [port] "e"(port), [high] "r"(high), [low] "r"(low));
}

void hal::pixels(uint8_t pin, uint8_t count, uint32_t rgb) {
  volatile uint8_t* const port = portOutputRegister(digitalPinToPort(pin));
  const uint8_t bit = digitalPinToBitMask(pin);
  const uint8_t r = static_cast<uint8_t>(rgb >> 16), g = static_cast<uint8_t>(rgb >> 8), b = static_cast<uint8_t>(rgb);
  while (count-- > 0) {
    const uint8_t held = hold();
    const uint8_t high = *port | bit, low = *port & static_cast<uint8_t>(~bit);
    pixel_byte(port, high, low, g);
    pixel_byte(port, high, low, r);
    pixel_byte(port, high, low, b);
    release(held);
  }
}

// ---------------------------------------------------------------- interrupts of readers

static Wiegand* wiegand_receiver;

// D0 is pin 2 and D1 pin 3, the pins whose falling edges the hardware itself remembers.
#if defined(__AVR_ATmega2560__)
#define PRIMRACK_D0_VECT INT4_vect
#define PRIMRACK_D1_VECT INT5_vect
#else
#define PRIMRACK_D0_VECT INT0_vect
#define PRIMRACK_D1_VECT INT1_vect
#endif
ISR(PRIMRACK_D0_VECT) { wiegand_receiver->pulse(false, hal::now_ms()); }
ISR(PRIMRACK_D1_VECT) { wiegand_receiver->pulse(true, hal::now_ms()); }

void hal::watch_wiegand(uint8_t d0, uint8_t d1, Wiegand* receiver) {
  wiegand_receiver = receiver;
  pin_input(d0);
  pin_input(d1);
#if defined(__AVR_ATmega2560__)
  EICRB |= _BV(ISC41) | _BV(ISC51);
  EIFR = _BV(INTF4) | _BV(INTF5);
  EIMSK |= _BV(INT4) | _BV(INT5);
#else
  EICRA = _BV(ISC01) | _BV(ISC11);
  EIFR = _BV(INTF0) | _BV(INTF1);
  EIMSK = _BV(INT0) | _BV(INT1);
#endif
}

static EdgeUart* edge_receiver;
static volatile uint8_t* edge_in;
static uint8_t edge_bit;

static inline void edge_interrupt() { edge_receiver->edge(static_cast<uint16_t>(micros()), (*edge_in & edge_bit) != 0); }

void hal::watch_edges(uint8_t pin, EdgeUart* receiver) {
  edge_receiver = receiver;
  edge_in = portInputRegister(digitalPinToPort(pin));
  edge_bit = digitalPinToBitMask(pin);
  pin_input(pin);
  // Port B: there a pin's bit is the same in PIN and PCMSK0. Uno, Nano: 8 to 13; Mega: 10 to 13, 50 to 53.
  PCMSK0 = edge_bit;
  PCIFR = _BV(PCIF0);
  PCICR = _BV(PCIE0);
}

}  // namespace primrack

ISR(PCINT0_vect) { primrack::edge_interrupt(); }

#endif
