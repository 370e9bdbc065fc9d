// A small harness: CHECK counts, says where, and the program fails at its end.
#pragma once
#include <stdio.h>
#include <string.h>

#include <string>
#include <vector>

namespace check {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
struct Add {
  Add(const char* name, void (*run)()) { cases().push_back(Case{name, run}); }
};
inline unsigned& failures() {
  static unsigned n = 0;
  return n;
}
inline unsigned& checks() {
  static unsigned n = 0;
  return n;
}
inline void that(bool fine, const char* what, const char* file, int line) {
  ++checks();
  if (fine) return;
  ++failures();
  fprintf(stderr, "%s:%d: %s\n", file, line, what);
}
inline void same(const std::string& got, const std::string& want, const char* file, int line) {
  ++checks();
  if (got == want) return;
  ++failures();
  fprintf(stderr, "%s:%d:\n  got  %s\n  want %s\n", file, line, got.c_str(), want.c_str());
}
inline int main(const char* program) {
  for (const Case& c : cases()) {
    const unsigned before = failures();
    c.run();
    if (failures() != before) fprintf(stderr, "FAILED: %s\n", c.name);
  }
  printf("%s: %zu tests, %u checks, %u failures\n", program, cases().size(), checks(), failures());
  return failures() == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(x) check::that((x), #x, __FILE__, __LINE__)
#define CHECK_SAME(got, want) check::same((got), (want), __FILE__, __LINE__)
#define TEST_AS(name, line)                                      \
  static void test_##line();                                     \
  static const check::Add test_##line##_added(name, test_##line); \
  static void test_##line()
#define TEST_AT(name, line) TEST_AS(name, line)
#define TEST(name) TEST_AT(name, __LINE__)
