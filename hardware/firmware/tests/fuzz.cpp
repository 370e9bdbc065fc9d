// libFuzzer: any bytes from the host, and time, into a board with parts; the decoder's two ways agree.
#include <stdlib.h>

#include "board.h"
#include "fake_hal.h"
#include "line.h"
#include "parts.h"
#include "rdm6300.h"
#include "sun.h"

using namespace primrack;

namespace primrack {
namespace parts {
bool set(uint8_t, uint32_t v) { return v < 256; }
uint32_t safe_value(uint8_t) { return 0; }
bool show(uint8_t i, uint8_t row, const char*) { return i == 1 && row < 2; }
FlashText kind(uint8_t) { return "relay"; }
FlashText name(uint8_t) { return "latch"; }
}  // namespace parts
}  // namespace primrack

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static OutputState outputs[2];
  static ReaderHealth readers[1];
  static AnalogState analogs[1];
  static Delivery state[5];
  const Layout layout = {"gw-1.0.0", 127, 1, 1, 1, 2, outputs, readers, analogs, state};
  fake::reset();
  Board board;
  board.begin(0, layout, Cause::por);
  Rdm6300 rdm;
  SunFinder sun;
  sun.begin();
  line::Items items;
  // The fuzzer writes bodies; every second chunk gets a right CRC.
  std::string chunk;
  for (size_t i = 0; i < size; ++i) {
    rdm.feed(static_cast<uint16_t>(i), data[i]);
    sun.feed(data[i]);
    if (data[i] != '\n') {
      chunk += static_cast<char>(data[i]);
      continue;
    }
    fake::machine().rx += (chunk.size() & 1 ? line::frame(chunk) : chunk) + "\n";
    chunk.clear();
    fake::machine().ms = static_cast<uint16_t>(fake::machine().ms + data[i == 0 ? 0 : i - 1]);
    if (data[0] & 1) board.button(0, i & 1);
    board.poll(fake::machine().ms);
    // Whatever came in, what goes out is whole frames.
    for (char b : fake::machine().tx)
      items.feed(static_cast<uint8_t>(b), [](const std::string& item) {
        if (item.compare(0, 3, "ok:") != 0) abort();
      });
    fake::machine().tx.clear();
  }
  sun.end();
  char scratch[FRAME_MAX];
  Frame f;
  decode_line(data, size, scratch, f);
  return 0;
}
