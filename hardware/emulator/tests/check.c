// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the emulator with the probe firmware and looks at every part from both sides: what the firmware saw, and what
// the events say. Usage: check EMULATOR BUILD-FOLDER
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000 // on a machine that is busy with other things

static const char *emulator, *build;
static char folder[] = "/tmp/primrack-emulator-XXXXXX", link_path[64], socket_path[64], eeprom_path[64];
static unsigned passed, failed;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

__attribute__((format(printf, 2, 3))) static bool expect(bool ok, const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (ok)
        passed++;
    else {
        failed++;
        printf("  FAILED: %s\n", text);
    }
    return ok;
}

// ---------------------------------------------------------------- the emulator

struct stream {
    int fd;
    char bytes[1 << 16];
    unsigned used;
};
static pid_t child;
static int to_child = -1;
static struct stream events, port; // what the emulator says; what the board says
#define LOG_LINES 20000
static char *lines[LOG_LINES];
static unsigned line_count;

// One line without its end, or NULL when the time is over.
static char *next_line(struct stream *s, double until) {
    static char line[1 << 16];
    for (;;) {
        char *end = memchr(s->bytes, '\n', s->used);
        if (end) {
            unsigned n = end - s->bytes;
            memcpy(line, s->bytes, n);
            line[n] = 0;
            memmove(s->bytes, end + 1, s->used -= n + 1);
            return line;
        }
        double left = until - now_ms();
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (s->fd < 0 || left <= 0 || poll(&p, 1, (int)left + 1) <= 0) return NULL;
        ssize_t n = read(s->fd, s->bytes + s->used, sizeof s->bytes - s->used);
        if (n <= 0) return NULL;
        s->used += n;
    }
}

static bool read_event(double until) {
    char *line = next_line(&events, until);
    if (!line) return false;
    if (line_count == LOG_LINES) {
        puts("too many events");
        exit(1);
    }
    lines[line_count++] = strdup(line);
    return true;
}

// The text of a line after its two stamps.
static const char *text_of(const char *line) {
    const char *a = strchr(line, ' ');
    const char *b = a ? strchr(a + 1, ' ') : NULL;
    return b ? b + 1 : "";
}
static double us_of(const char *line) { return strtod(line, NULL); }
static double host_ms_of(const char *line) { return strtod(strchr(line, ' '), NULL) / 1e6; }

// The first line from `from` on whose text begins so; NULL if it does not come in time.
static const char *event_from(unsigned from, const char *begins) {
    double until = now_ms() + PATIENCE_MS;
    for (unsigned i = from;; i++) {
        while (i >= line_count)
            if (!read_event(until)) return NULL;
        if (!strncmp(text_of(lines[i]), begins, strlen(begins))) return lines[i];
    }
}

// The answer to a command, from `ok ` or `error: ` on without the tag.
__attribute__((format(printf, 1, 2))) static const char *command(const char *format, ...) {
    static unsigned number;
    static char answer[4096];
    char text[2000], ok[40], error[40];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    unsigned from = line_count;
    dprintf(to_child, "@%u %s\n", ++number, text);
    snprintf(ok, sizeof ok, "ok @%u ", number);
    snprintf(error, sizeof error, "error: @%u ", number);
    double until = now_ms() + PATIENCE_MS;
    for (unsigned i = from;; i++) {
        while (i >= line_count)
            if (!read_event(until)) return "no answer";
        const char *t = text_of(lines[i]);
        if (!strncmp(t, ok, strlen(ok)))
            snprintf(answer, sizeof answer, "ok %s", t + strlen(ok));
        else if (!strncmp(t, error, strlen(error)))
            snprintf(answer, sizeof answer, "error: %s", t + strlen(error));
        else
            continue;
        return answer;
    }
}

// From here on: what the emulator has said until now is read.
static unsigned mark(void) {
    command("read 7");
    return line_count;
}

// Lets simulated time pass; on a busy machine it lags behind ours.
static void pass(double ms) {
    command("read 7");
    double until = us_of(lines[line_count - 1]) + ms * 1000;
    do
        poll(NULL, 0, 1);
    while (command("read 7"), us_of(lines[line_count - 1]) < until);
}

static bool says(const char *answer, const char *begins) { return !strncmp(answer, begins, strlen(begins)); }

// number of NAME=... in a text
static double field(const char *text, const char *name) {
    char key[40];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(text, key);
    return at ? strtod(at + strlen(key), NULL) : NAN;
}
static double stat_of(const char *name) { return field(command("stats"), name); }

static void open_port(void) {
    double until = now_ms() + PATIENCE_MS;
    while ((port.fd = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0 && now_ms() < until)
        poll(NULL, 0, 1);
    port.used = 0;
    event_from(0, "port opened");
}

static void start(const char *board, const char *firmware, char *const *more) {
    int in[2], out[2];
    char elf[300];
    snprintf(elf, sizeof elf, "%s/%s", build, firmware);
    const char *argv[20] = {emulator, "--board", board};
    unsigned n = 3;
    for (; more && *more; more++) argv[n++] = *more;
    argv[n++] = elf;
    argv[n++] = link_path;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) exit(1);
    child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execv(emulator, (char *const *)argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_child = in[1];
    events.fd = out[0];
    events.used = 0;
    for (unsigned i = 0; i < line_count; i++) free(lines[i]);
    line_count = 0;
    open_port();
}

static int finish(void) {
    int status = -1;
    close(to_child);
    if (port.fd >= 0) close(port.fd);
    while (read_event(now_ms() + PATIENCE_MS)) {}
    waitpid(child, &status, 0);
    close(events.fd);
    return status;
}

// ---------------------------------------------------------------- the board, as a host sees it

static void tell(const char *text) {
    if (write(port.fd, text, strlen(text)) != (ssize_t)strlen(text) || write(port.fd, "\n", 1) != 1)
        expect(false, "could not write to the port");
}
static const char *board_says(void) {
    char *line = next_line(&port, now_ms() + PATIENCE_MS);
    return line ? line : "silence";
}
// Forgets what the board said so far.
static void hush(void) {
    while (next_line(&port, now_ms() + 50)) {}
    port.used = 0;
}
static const char *ask(const char *text) {
    tell(text);
    return board_says();
}

// ---------------------------------------------------------------- the checks

static void check_pins(void) {
    command("watch 7");
    unsigned from = mark();
    double sent = now_ms();
    expect(says(ask("p1"), "pin 1"), "p1");
    const char *e = event_from(from, "pin D7 1");
    if (expect(e, "no event for a pin that rose")) {
        double after = host_ms_of(e) - sent;
        expect(after > 0.2 && after < 2000, "the edge is stamped %.2f ms after the command was sent", after);
    }
    ask("p0");
    expect(event_from(from, "pin D7 0"), "no event for a pin that fell");
    from = mark();
    command("drive 7 1");
    expect(event_from(from, "short D7"), "a short circuit goes unseen");
    command("release D7");

    ask("i");
    expect(says(command("read 4"), "ok read D4 1"), "the pull-up is not seen");
    command("drive 4 0");
    command("drive PD2 0");
    expect(says(ask("i"), "inputs d2=0 d4=0"), "driven low");
    command("release D4");
    command("release 2");
    expect(says(ask("i"), "inputs d2=1 d4=1"), "let go, so high by the pull-ups");

    double before = field(command("measure 4"), "edges");
    from = mark();
    command("watch 4");
    command("button 4 press 5000 4");
    pass(30);
    double edges = field(command("measure 4"), "edges") - before;
    expect(edges == 9, "a press with four bounces has %g edges, not 9", edges);
    expect(says(ask("i"), "inputs d2=1 d4=0"), "pressed");
    command("unwatch 4");
    command("pulse 4 1 250 3 1000");
    pass(20);
    double high = field(command("measure 4"), "high_us");
    expect(fabs(high - 250) < 1, "a pulse of 250 us took %g", high);
    command("release 4");
}

static void check_adc(void) {
    command("analog A0 2500");
    expect(says(ask("a0"), "adc 511"), "half the supply");
    command("analog A3 0");
    expect(says(ask("a3"), "adc 0"), "ground");
    command("analog A7 5000");
    expect(says(ask("a7"), "adc 1023"), "the supply");
}

static void check_card(void) {
    expect(says(ask("k"), "reader started"), "start");
    command("card 0 none");
    expect(says(ask("c"), "card version=92 none"), "an empty field");
    static const char *const UIDS[] = {"04A1B2C3", "04A1B2C3D4E5F6", "0102030405060708090A"};
    for (unsigned i = 0; i < 3; i++) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "card version=92 sak=%d uid=%s", i == 0 ? 8 : 0, UIDS[i]);
        unsigned from = mark();
        command("card 0 %s", UIDS[i]);
        const char *got = ask("c");
        expect(!strcmp(got, wanted), "%s, wanted %s", got, wanted);
        char event[80];
        snprintf(event, sizeof event, "rc522 0 selected %s", UIDS[i]);
        expect(event_from(from, event), "no event %s", event);
    }
    command("card 0 04A1B2C3D4E5F6 ntag213 uri https://example.org/abc");
    ask("c");
    const char *pages = ask("C");
    expect(strstr(pages, "example.org/abc"), "type 2 text: %s", pages);
    command("card 0 04DE5F1EACC040 ntag424 uri "
            "https://example.org/?p=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086");
    expect(says(ask("c"), "card version=92 sak=32 uid=04DE5F1EACC040"), "type 4 selection");
    const char *file = ask("F");
    expect(strstr(file, "example.org/?p=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086"), "type 4 text: %s", file);
    unsigned from = mark();
    command("card 0 04A1B2C3 for 40");
    expect(event_from(from, "rc522 0 card gone"), "a card for 40 ms does not go");
    expect(says(ask("c"), "card version=92 none"), "gone");
}

static void check_reader_faults(void) {
    command("card 0 04A1B2C3");
    ask("k");
    command("fault 0 deaf heals never");
    ask("k");
    expect(says(ask("c"), "card version=FF"), "deaf");
    command("fault 0 stuck heals soft");
    expect(says(ask("c"), "card version=92 stuck"), "stuck");
    unsigned from = mark();
    ask("k");
    expect(event_from(from, "rc522 0 healed by a soft reset"), "a soft reset heals");
    expect(says(ask("c"), "card version=92 sak=8"), "healed");
    command("fault 0 mute heals soft");
    expect(says(ask("c"), "card version=92 none"), "mute");
    ask("k");
    expect(says(ask("c"), "card version=92 sak=8"), "healed from being mute");
    command("fault 0 deaf heals soft");
    ask("k");
    expect(says(ask("c"), "card version=92 sak=8"), "healed from being deaf");
    command("glitch 0");
    expect(says(ask("c"), "card version=92 stuck"), "settings lost: no timer, no field");
    ask("k");
    expect(says(ask("c"), "card version=92 sak=8"), "set up again");
}

static void check_wiegand(void) {
    ask("w");
    static const struct {
        const char *command, *answer, *seen;
        double gap;
    } CASES[] = {
        {"wiegand 0 26 7BB26E", "ok wiegand 0 26 2F764DD", "value=0000000002F764DD", 2000}, // facility 123, card 45678
        {"wiegand 0 34 DEADBEEF", "ok wiegand 0 34 3BD5B7DDE", "value=00000003BD5B7DDE", 2000},
        {"wiegand 0 26 7BB26E bad period 1000 pulse 100", "ok wiegand 0 26 2F764DC", "value=0000000002F764DC", 1000},
    };
    for (unsigned i = 0; i < 3; i++) {
        unsigned from = mark();
        const char *answer = command("%s", CASES[i].command);
        expect(!strcmp(answer, CASES[i].answer), "%s: %s", CASES[i].command, answer);
        expect(event_from(from, "sent wiegand 0"), "not sent");
        const char *seen = ask("w");
        expect(strstr(seen, CASES[i].seen), "%s: %s", CASES[i].command, seen);
        double shortest = field(seen, "shortest"), longest = field(seen, "longest");
        expect(fabs(shortest - CASES[i].gap) <= 8 && fabs(longest - CASES[i].gap) <= 8, "gaps %g to %g us, not %g", shortest,
               longest, CASES[i].gap);
    }
}

static void check_rdm(void) {
    ask("s");
    unsigned from = mark();
    command("rdm 0 0012345678");
    const char *sent = event_from(from, "sent rdm 0");
    expect(sent, "not sent");
    const char *seen = ask("s");
    // 02 "0012345678" "08" 03
    expect(strstr(seen, "02303031323334353637383038"), "RDM6300: %s", seen);
    expect(strstr(seen, "03") && strlen(strrchr(seen, ' ')) == 29, "RDM6300 length: %s", seen);
    if (sent) {
        double took = us_of(sent) - us_of(event_from(from, "ok @"));
        expect(fabs(took - 14 * 10 / 9600.0 * 1e6) < 5, "14 bytes of 9600 baud took %g us", took);
    }
    from = mark();
    command("serial 8 9600 0D0A");
    event_from(from, "sent serial D8");
    seen = ask("s");
    expect(strstr(seen, " 0D0A"), "serial: %s", seen);
}

static void check_what_is_seen(void) {
    unsigned from = mark();
    ask("x0xff8001");
    expect(event_from(from, "pixels D5 ff8001 ff8001 ff8001"), "colours: %s", command("show pixels 5"));
    expect(field(command("show pixels 5"), "bad_bits") == 0, "bits of wrong length: %s", command("show pixels 5"));
    ask("v1500");
    const char *e = event_from(from, "servo D6 ");
    double us = e ? strtod(text_of(e) + 9, NULL) : 0;
    expect(fabs(us - 1500) < 5, "servo pulse of %g us", us);
    expect(event_from(from, "servo D6 0"), "the servo does not go limp");
    ask("lHello, world/50% of 16 cols");
    expect(event_from(from, "lcd 0 |Hello, world    |"), "first row");
    expect(event_from(from, "lcd 1 |50%25 of 16 cols  |"), "second row");
    const char *shown = command("show lcd");
    expect(says(shown, "ok lcd on=1 too_fast=0 |Hello, world    |"), "%s", shown);
    from = mark();
    ask("b440");
    e = event_from(from, "tone D6 ");
    double hertz = e ? strtod(text_of(e) + 8, NULL) : 0;
    expect(fabs(hertz - 440) < 3, "a tone of %g Hz", hertz);
    expect(event_from(from, "tone D6 0"), "the tone does not end");
    ask("m64");
    pass(10);
    double duty = field(command("pwm 6"), "duty");
    hertz = field(command("pwm 6"), "hz");
    expect(fabs(duty - 65 / 256.0) < 0.001 && fabs(hertz - 976.6) < 0.1, "PWM %g at %g Hz", duty, hertz);
    duty = field(command("measure 6"), "duty");
    expect(fabs(duty - 65 / 256.0) < 0.01, "the same, from the edges: %g", duty);
}

static void check_line(void) {
    char text[64], wanted[64];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "e%u-abcdefghijklmnopqrstuvwxyz", i);
        snprintf(wanted, sizeof wanted, "echo %u-abcdefghijklmnopqrstuvwxyz", i);
        const char *got = ask(text);
        expect(!strcmp(got, wanted), "%s", got);
    }
    double taken = field(ask("o"), "taken");
    unsigned from = mark();
    command("noise in 2000");
    expect(event_from(from, "noise in ends"), "noise does not end");
    port.used = 0;
    tell(""); // ends what the noise began
    pass(60);
    while (next_line(&port, now_ms() + 30)) {}
    const char *o = ask("o");
    // 2000 of noise, a line end, and "o" with its own
    expect(field(o, "taken") == taken + 2003, "of 2000 bytes of noise came %g", field(o, "taken") - taken - 3);
    expect(stat_of("noise_in") == 2000, "counted %g", stat_of("noise_in"));

    from = mark();
    command("noise out 500");
    event_from(from, "noise out ends");
    double until = now_ms() + 500;
    unsigned got = 0;
    while (got < 500 && now_ms() < until) {
        struct pollfd p = {.fd = port.fd, .events = POLLIN};
        char bytes[600];
        ssize_t n = poll(&p, 1, 50) > 0 ? read(port.fd, bytes, sizeof bytes) : 0;
        if (n > 0) got += n;
    }
    expect(got == 500, "of 500 bytes of noise the host read %u", got);
    port.used = 0;

    command("ber in 1");
    double flips = stat_of("flipped_in");
    tell("o");
    pass(30);
    command("ber both 0");
    expect(stat_of("flipped_in") == flips + 2, "two bytes, %g flips", stat_of("flipped_in") - flips);
    command("loss in 1");
    tell("e all of this is lost");
    pass(30);
    command("loss in 0");
    tell("");
    hush();
    expect(stat_of("lost_in") == 22, "lost %g", stat_of("lost_in"));

    // Deaf for 50 ms while 20 bytes come: two wait in the buffer, one in the shift register, the rest is overrun.
    double overruns = stat_of("overruns");
    o = ask("o");
    double seen = field(o, "overruns");
    expect(!isnan(seen), "no answer after the noise: %s", o);
    taken = field(o, "taken");
    tell("z50\n0123456789012345678");
    board_says();
    hush();
    overruns = stat_of("overruns") - overruns;
    expect(overruns > 5 && overruns <= 17, "overruns: %g of 20 bytes", overruns);
    o = ask("o");
    expect(field(o, "overruns") == seen + 1, "the chip says DOR once, with the first byte after the gap: %s", o);
    expect(field(o, "taken") == taken + 4 + 20 + 2 - overruns, "taken %g, overrun %g", field(o, "taken") - taken, overruns);

    struct termios t;
    tcgetattr(port.fd, &t);
    cfsetspeed(&t, B9600);
    tcsetattr(port.fd, TCSANOW, &t);
    double garbled = stat_of("garbled_in");
    tell("ehello");
    pass(30);
    expect(stat_of("garbled_in") == garbled + 7, "a host at 9600 baud is understood");
    cfsetspeed(&t, B115200);
    tcsetattr(port.fd, TCSANOW, &t);
    tell("");
    hush();
    expect(says(ask("ehello"), "echo hello"), "at 115200 it is not");
}

static void check_unplug(void) {
    unsigned from = mark();
    double at = now_ms();
    command("unplug");
    struct pollfd p = {.fd = port.fd, .events = POLLIN};
    bool hung_up = poll(&p, 1, 1000) > 0 && p.revents & POLLHUP;
    expect(hung_up && now_ms() - at < 1000, "the host sees it after %.1f ms", now_ms() - at);
    char byte;
    while (read(port.fd, &byte, 1) == 1) {} // what was still under way
    expect(read(port.fd, &byte, 1) == 0, "no end of file");
    expect(write(port.fd, "x", 1) < 0 && errno == EIO, "a write into the void succeeds");
    struct stat st;
    expect(lstat(link_path, &st) && errno == ENOENT, "the link is still there");
    close(port.fd);
    from = mark();
    command("plug");
    expect(event_from(from, "plugged /dev/pts/"), "no event");
    expect(!lstat(link_path, &st) && S_ISLNK(st.st_mode), "the link is not back");
    from = mark();
    port.fd = open(link_path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    expect(event_from(from, "port opened"), "no event for opening");
    expect(says(ask("estill here"), "echo still here"), "the board was running all the time");
    expect(stat_of("unplugged") == 1, "counted %g", stat_of("unplugged"));
}

static void check_resets(void) {
    command("watch 7");
    hush();
    command("reset ext");
    expect(says(board_says(), "boot cause=2"), "reset pin");
    command("reset por");
    const char *boot = board_says();
    double count = field(boot, "count");
    expect(says(boot, "boot cause=1") && count >= 2, "power-on: %s", boot);
    ask("p1");
    unsigned from = mark();
    command("brownout 20");
    const char *floats = event_from(from, "pin D7 z"), *starts = event_from(from, "reset bod");
    double took = floats && starts ? us_of(starts) - us_of(floats) : 0;
    expect(fabs(took - 20000) < 200, "20 ms of brown-out took %g us", took);
    boot = board_says();
    expect(says(boot, "boot cause=4") && field(boot, "count") == count + 1, "brown-out: %s", boot);
    expect(event_from(from, "pin D7 0"), "the pin is an output again");
    from = mark();
    tell("d");
    boot = board_says();
    expect(says(boot, "boot cause=8"), "watchdog: %s", boot);
    expect(event_from(from, "reset wdt"), "no event for the watchdog");
    command("hold");
    expect(says(command("read 7"), "ok read D7 z"), "held in reset, a pin is driven");
    tell("enobody");
    pass(20);
    expect(stat_of("ignored") >= 8, "a chip in reset listens");
    command("resume");
    expect(says(board_says(), "boot cause=2"), "resumed");
    unsigned used = (unsigned)field(command("ram"), "used");
    expect(used > 600 && used < 1200, "RAM used: %u", used);
}

static void check_errors(void) {
    static const char *const BAD[][2] = {
        {"fly", "unknown command 'fly'"}, {"watch 99", "this board has no pin '99'"}, {"watch", "a pin is missing"},
        {"drive 4 2", "a level must be 0 or 1"}, {"analog A9 5", "this board has no analogue input"},
        {"analog A0 6000", "the voltage in mV must be"}, {"card 0 123", "a UID is 4, 7 or 10 bytes"},
        {"card 3 04A1B2C3", "rc522 must be a number from 0 to 0"}, {"wiegand 0 26 1FFFFFF", "1FFFFFF does not fit"},
        {"rdm 0 00", "a tag is five bytes"}, {"ber up 1", "a direction is"}, {"ber in 2", "a rate per byte must be"},
        {"reset now", "a reset is"}, {"wire toaster 3", "wire rc522"}, {"eeprom read 1024 1", "an address must be"},
        {"noise in -1", "a number of bytes must be"},
    };
    for (unsigned i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        const char *answer = command("%s", BAD[i][0]);
        expect(says(answer, "error: ") && strstr(answer, BAD[i][1]), "%s: %s", BAD[i][0], answer);
    }
}

static void check_socket(void) {
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path);
    if (!expect(!connect(s, (struct sockaddr *)&address, sizeof address), "cannot connect")) return;
    static struct stream client;
    client.fd = s;
    client.used = 0;
    dprintf(s, "@a read 7\n");
    char *line = next_line(&client, now_ms() + PATIENCE_MS);
    expect(line && says(text_of(line), "ok @a read D7 "), "answer: %s", line ? line : "none");
    ask("p1");
    line = next_line(&client, now_ms() + PATIENCE_MS);
    expect(line && says(text_of(line), "pin D7 1"), "event: %s", line ? line : "none");
    close(s);
}

static void check_end(void) {
    char boots[20];
    snprintf(boots, sizeof boots, "%g", field((command("reset por"), board_says()), "count"));
    int status = finish();
    struct stat st;
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x at the end of the input", status);
    expect(lstat(link_path, &st) && errno == ENOENT, "the link is left behind");
    expect(lstat(socket_path, &st) && errno == ENOENT, "the socket is left behind");
    start("uno", "probe-uno.elf", (char *[]){"--eeprom", eeprom_path, "--reset-on-open", "--bootloader", "20", NULL});
    const char *boot = board_says();
    expect(says(boot, "boot cause=") && field(boot, "count") >= atoi(boots) + 1, "EEPROM of the last run: %s after %s", boot,
           boots);
    expect(event_from(0, "held ext") && event_from(0, "reset ext"), "opening does not reset");
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x after SIGTERM", status);
    expect(lstat(link_path, &st) && errno == ENOENT, "the link is left behind after SIGTERM");
    close(to_child), close(events.fd), close(port.fd);
}

static void check_mega(void) {
    start("mega", "probe-mega.elf", NULL);
    hush();
    command("watch 7");
    unsigned from = mark();
    expect(says(ask("ehello"), "echo hello"), "echo");
    ask("p1");
    expect(event_from(from, "pin D7 1"), "pin");
    command("analog A9 1250");
    const char *adc = ask("a9");
    expect(says(adc, "adc 255"), "A9: %s", adc);
    expect(says(command("wire lcd-i2c 27"), "ok wire lcd-i2c 0"), "wiring a backpack");
    from = mark();
    const char *status_line = ask("Lover I2C");
    expect(says(status_line, "backpack status=40"), "I2C: %s", status_line);
    expect(event_from(from, "lcd 0 |over I2C        |"), "the text over I2C: %s", command("show lcd"));
    command("i2c 27 away");
    status_line = ask("Lnobody");
    expect(says(status_line, "backpack status=32"), "nobody there: %s", status_line);
    command("i2c hang");
    status_line = ask("Lstuck");
    expect(says(status_line, "backpack status=0"), "a bus that hangs: %s", status_line);
    command("i2c free");
    command("i2c 27 here");
    status_line = ask("Lback");
    expect(says(status_line, "backpack status=40"), "back: %s", status_line);
    command("reset bod");
    expect(says(board_says(), "boot cause=4"), "cause");
    int status = finish();
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

static void check_wrong_firmware(void) {
    int status;
    char elf[300], text[400] = "";
    snprintf(elf, sizeof elf, "%s/probe-mega.elf", build);
    int out[2];
    if (pipe(out)) exit(1);
    pid_t p = fork();
    if (p == 0) {
        dup2(out[1], 2);
        execl(emulator, emulator, "--board", "uno", elf, link_path, NULL);
        _exit(127);
    }
    close(out[1]);
    ssize_t n = read(out[0], text, sizeof text - 1);
    close(out[0]);
    waitpid(p, &status, 0);
    expect(n > 0 && WEXITSTATUS(status) == 1 && strstr(text, "made for another chip"), "a Mega's firmware on an Uno: %s", text);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    emulator = argv[1];
    build = argv[2];
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder)) return 1;
    snprintf(link_path, sizeof link_path, "%s/board", folder);
    snprintf(socket_path, sizeof socket_path, "%s/control", folder);
    snprintf(eeprom_path, sizeof eeprom_path, "%s/eeprom", folder);

    double began = now_ms();
    start("uno", "probe-uno.elf", (char *[]){"--eeprom", eeprom_path, "--control", socket_path, NULL});
    static const char *const WIRING[] = {"rc522 10 9", "pixels 5", "servo 6", "buzzer 6", "lcd A1 A2 A3 A4 A5 4", "wiegand 2 3",
                                         "rdm6300 8"};
    static const struct {
        const char *name;
        void (*run)(void);
    } CHECKS[] = {
        {"resets", check_resets}, {"pins", check_pins}, {"analogue inputs", check_adc}, {NULL, NULL},
        {"cards", check_card}, {"reader faults", check_reader_faults}, {"wiegand", check_wiegand},
        {"rdm6300", check_rdm}, {"pixels, servo, buzzer, lcd, pwm", check_what_is_seen}, {"line", check_line},
        {"unplug", check_unplug}, {"errors", check_errors}, {"control socket", check_socket}, {"end", check_end},
        {"mega", check_mega}, {"wrong firmware", check_wrong_firmware},
    };
    for (unsigned i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++) {
        if (!CHECKS[i].name) {
            for (unsigned w = 0; w < sizeof WIRING / sizeof WIRING[0]; w++) {
                const char *answer = command("wire %s", WIRING[w]);
                expect(says(answer, "ok "), "wire %s: %s", WIRING[w], answer);
            }
            continue;
        }
        double from = now_ms();
        unsigned before = failed;
        CHECKS[i].run();
        printf("%-8s %s (%.0f ms)\n", failed == before ? "ok" : "FAILED", CHECKS[i].name, now_ms() - from);
    }
    unlink(eeprom_path);
    rmdir(folder);
    printf("%u expectations met, %u not, %.1f s\n", passed, failed, (now_ms() - began) / 1000);
    return failed ? 1 : 0;
}
