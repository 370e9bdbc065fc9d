// Frames for tests: making, and telling what was decoded, in the words of PROTOCOL.md, 9.
#pragma once
#include <stdint.h>
#include <stdio.h>

#include <string>
#include <vector>

#include "frame.h"

namespace line {

inline uint16_t crc(const std::string& s) {
  uint16_t c = 0xFFFF;
  for (char b : s) {
    c = static_cast<uint16_t>(c ^ static_cast<uint8_t>(b));
    for (int i = 0; i < 8; ++i) c = static_cast<uint16_t>(c & 1 ? (c >> 1) ^ 0x8408 : c >> 1);  // not as the library does it
  }
  return c;
}

inline std::string frame(const std::string& body) {
  char tail[8];
  snprintf(tail, sizeof tail, "*%04X", crc(body));
  return "~" + body + tail;
}

inline const char* word(primrack::Refusal r) {
  switch (r) {
    case primrack::Refusal::length: return "length";
    case primrack::Refusal::character: return "char";
    case primrack::Refusal::shape: return "shape";
    case primrack::Refusal::crc: return "crc";
    case primrack::Refusal::number: return "number";
    default: return "none";
  }
}

inline std::string args(const primrack::Frame& f) {
  std::string s;
  for (uint8_t i = 0; i < f.args; ++i) s += (i ? "|" : "") + std::string(f.arg[i]);
  return s;
}

inline std::string hex(const std::string& bytes) {
  std::string s;
  char two[3];
  for (char b : bytes) {
    snprintf(two, sizeof two, "%02X", static_cast<uint8_t>(b));
    s += two;
  }
  return s;
}

inline std::string unhex(const std::string& digits) {
  std::string s;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) s += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return s;
}

// A stream of bytes as items. Texts are collected here, since a board has no use for them.
class Items {
 public:
  template <typename Out>
  void feed(uint8_t byte, Out out) {
    const bool in_text = !decoder_.inside() && !decoder_.skipping();
    primrack::Frame f;
    const primrack::Decoder::Item item = decoder_.feed(byte, f);
    if (in_text) {
      if (byte == '~' || byte == '\n') {
        if (byte == '\n' && !text_.empty() && text_.back() == '\r') text_.pop_back();
        if (!text_.empty()) out("text:" + hex(text_));
        text_.clear();
      } else {
        text_ += static_cast<char>(byte);
        if (text_.size() == 64) {
          out("text:" + hex(text_));
          text_.clear();
        }
      }
    }
    if (item == primrack::Decoder::Item::frame)
      out("ok:" + std::to_string(f.seq) + ":" + f.verb + (f.args ? ":" + args(f) : ""));
    if (item == primrack::Decoder::Item::refused) out(std::string("bad:") + word(decoder_.reason()));
  }

 private:
  primrack::Decoder decoder_;
  std::string text_;
};

}  // namespace line
