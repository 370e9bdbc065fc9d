// SPDX-License-Identifier: GPL-3.0-or-later
#include "board.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <avr_eeprom.h>
#include <avr_extint.h>
#include <sim_elf.h>
#include "agenda.h"
#include "pins.h"
#include "report.h"
#include "spi.h"
#include "twi.h"
#include "uart.h"

#define MCUSR 0x54          // same address on both chips
#define BATCH_CYCLES 400    // simavr looks for pending interrupts in between, never later than its next timer
#define LAG_GIVEN_UP_NS 100000000ull

avr_t *avr;
struct board_stats board_stats;

static struct board_options options;
static enum { RUNNING, HELD, DEAD } state;
static bool reset_wanted, release_wanted, own_reset;
static enum cause wanted_cause, held_cause;
static unsigned fixed_ram;
static const char *const CAUSES[] = {"por", "ext", "bod", "wdt"};

// ---------------------------------------------------------------- time

static double speed;
static uint64_t epoch_ns, epoch_cycle;

uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

uint64_t board_us(void) { return avr ? avr->cycle / (avr->frequency / 1000000) : 0; }
uint64_t cycles_of_us(double us) { return (uint64_t)(us * avr->frequency / 1e6 + 0.5); }

uint64_t board_host_ns(void) {
    uint64_t now = clock_ns();
    if (!avr || speed <= 0) return now;
    uint64_t due = epoch_ns + (uint64_t)((avr->cycle - epoch_cycle) * (1e9 / avr->frequency / speed));
    return due < now ? due : now;
}

static void start_clock(void) {
    epoch_ns = clock_ns();
    epoch_cycle = avr->cycle;
}

void board_speed(double s) {
    speed = s;
    start_clock();
}

bool board_in_real_time(void) { return speed > 0; }

// ---------------------------------------------------------------- resets

// Runs after every other module of simavr has been reset, also when the watchdog did it.
static void after_reset(avr_io_t *io) {
    (void)io;
    avr->run_cycle_limit = BATCH_CYCLES;
    // simavr would poll a low pin once per cycle for level interrupts, on every board with a button on D2.
    for (uint8_t i = 0; i < EXTINT_COUNT; i++) avr_extint_set_strict_lvl_trig(avr, i, 0);
    agenda_rearm();
    uart_after_reset();
    spi_after_reset();
    twi_after_reset();
    pins_after_reset();
    if (!own_reset) {
        board_stats.resets++;
        event("reset wdt");
    }
}

static avr_io_t reset_hook = {.kind = "board", .reset = after_reset};

// The content of a RAM that lost its power: not zero, and the same each time.
static uint8_t ram_noise(unsigned address) {
    uint32_t x = address * 2654435761u + 12345;
    return (uint8_t)(x >> 13 ^ x >> 24);
}

static void lose_ram(void) {
    for (unsigned a = avr->ioend + 1; a <= avr->ramend; a++) avr->data[a] = ram_noise(a);
}

static void reset_now(enum cause cause) {
    uint8_t flags = cause == POR ? 0 : avr->data[MCUSR];
    if (cause == POR) lose_ram();
    own_reset = true;
    avr_reset(avr);
    own_reset = false;
    avr->data[MCUSR] = flags | 1 << cause; // PORF, EXTRF, BORF, WDRF are bits 0 to 3
}

static void run_from(enum cause cause) {
    reset_now(cause);
    state = RUNNING;
    board_stats.resets++;
    event("reset %s", CAUSES[cause]);
}

static void release_due(void *arg) {
    (void)arg;
    release_wanted = true;
}

void board_hold(enum cause cause, uint64_t us) {
    agenda_cancel(release_due, NULL);
    reset_wanted = release_wanted = false;
    reset_now(cause);
    state = HELD;
    held_cause = cause;
    event("held %s", CAUSES[cause]);
    if (us) agenda_at(avr->cycle + cycles_of_us(us), release_due, NULL);
}

void board_release(void) {
    if (state == HELD) release_wanted = true;
}

void board_reset(enum cause cause) {
    reset_wanted = true;
    wanted_cause = cause;
}

bool board_parse_cause(const char *word, enum cause *cause) {
    for (unsigned i = 0; i < 4; i++)
        if (!strcmp(word, CAUSES[i])) return *cause = (enum cause)i, true;
    return false;
}

static void carry_out_resets(void) {
    if (reset_wanted) {
        reset_wanted = false;
        if (options.bootloader_ms && (wanted_cause == POR || wanted_cause == EXT))
            board_hold(wanted_cause, options.bootloader_ms * 1000ull);
        else {
            agenda_cancel(release_due, NULL);
            release_wanted = false;
            run_from(wanted_cause);
        }
    }
    if (release_wanted) {
        release_wanted = false;
        run_from(held_cause);
    }
}

// ---------------------------------------------------------------- running

// A sleeping processor is moved on to the next thing in the agenda in one step: this one keeps it from passing the
// present time, where bytes and commands may be waiting.
static void batch_ends(void *arg) { (void)arg; }

static void run_until(uint64_t cycle) {
    carry_out_resets();
    agenda_at(cycle, batch_ends, NULL);
    while (avr->cycle < cycle) {
        if (state == RUNNING) {
            int s = avr_run(avr);
            if (s == cpu_Crashed || s == cpu_Done) {
                state = DEAD;
                board_stats.crashes++;
                event("%s at %05x", s == cpu_Crashed ? "crashed" : "halted", (unsigned)avr->pc);
            }
        } else {
            // In small steps: something in the agenda may ask for a release.
            uint64_t step = avr->cycle + 1600;
            agenda_pass_time(step < cycle ? step : cycle);
        }
        if (reset_wanted || release_wanted) carry_out_resets();
    }
    agenda_cancel(batch_ends, NULL);
}

void board_catch_up(void) {
    if (speed <= 0) {
        run_until(avr->cycle + avr->frequency / 1000);
        return;
    }
    uint64_t now = clock_ns();
    uint64_t target = epoch_cycle + (uint64_t)((now - epoch_ns) * 1e-9 * avr->frequency * speed);
    uint64_t behind_ns = target > avr->cycle ? (target - avr->cycle) * (1e9 / avr->frequency / speed) : 0;
    if (behind_ns > LAG_GIVEN_UP_NS) {
        board_stats.slipped_ms += behind_ns / 1e6;
        start_clock();
        return;
    }
    run_until(target);
}

// A sleeping processor does not put the emulator to sleep: board_catch_up and main decide about that.
static void no_sleep(avr_t *a, avr_cycle_count_t cycles) { (void)a, (void)cycles; }

static void simavr_says(avr_t *a, const int level, const char *format, va_list args) {
    (void)a;
    if (level > LOG_ERROR) return;
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    for (char *c = text; *c; c++)
        if (*c < ' ') *c = ' ';
    event("simavr %s", text);
}

// ---------------------------------------------------------------- EEPROM

static uint8_t *eeprom, *eeprom_saved;
static unsigned eeprom_size;
static int eeprom_file = -1;

uint8_t *board_eeprom(unsigned *size) {
    *size = eeprom_size;
    return eeprom;
}

void board_eeprom_keep(void) {
    if (eeprom_file < 0 || !memcmp(eeprom, eeprom_saved, eeprom_size)) return;
    unsigned first = 0, last = eeprom_size - 1;
    while (eeprom[first] == eeprom_saved[first]) first++;
    while (eeprom[last] == eeprom_saved[last]) last--;
    ssize_t n = last - first + 1;
    if (pwrite(eeprom_file, eeprom + first, n, first) != n) event("eeprom not saved to %s", options.eeprom);
    memcpy(eeprom_saved, eeprom, eeprom_size);
}

static void open_eeprom(void) {
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "eeprom")) {
            eeprom = ((avr_eeprom_t *)io)->eeprom;
            eeprom_size = ((avr_eeprom_t *)io)->size;
        }
    if (!options.eeprom) return;
    eeprom_file = open(options.eeprom, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (eeprom_file < 0) fatal("cannot open the EEPROM file %s: %m", options.eeprom);
    struct stat st;
    if (fstat(eeprom_file, &st) || !S_ISREG(st.st_mode)) fatal("%s is no plain file", options.eeprom);
    if (st.st_size != 0 && st.st_size != (off_t)eeprom_size)
        fatal("%s has %lld bytes, the EEPROM of this chip has %u: it belongs to another board", options.eeprom,
              (long long)st.st_size, eeprom_size);
    if (st.st_size && pread(eeprom_file, eeprom, eeprom_size, 0) != (ssize_t)eeprom_size)
        fatal("cannot read %s: %m", options.eeprom);
    eeprom_saved = malloc(eeprom_size);
    if (!eeprom_saved) fatal("out of memory");
    memcpy(eeprom_saved, eeprom, eeprom_size);
    if (!st.st_size && pwrite(eeprom_file, eeprom, eeprom_size, 0) != (ssize_t)eeprom_size)
        fatal("cannot write %s: %m", options.eeprom);
}

// ---------------------------------------------------------------- start

// avr-gcc writes the architecture into the flags of the ELF header: 5 is the ATmega328P's, 6 the ATmega2560's.
static int elf_architecture(const char *path) {
    uint8_t head[40] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0) close(fd);
    return n == sizeof head && !memcmp(head, "\177ELF\1\1", 6) ? head[36] & 0x7F : -1;
}

enum kind board_kind(void) { return options.kind; }

void board_start(const struct board_options *o) {
    options = *o;
    const char *mcu = o->kind == MEGA ? "atmega2560" : "atmega328p";
    avr_global_logger_set(simavr_says);
    if (access(o->firmware, R_OK)) fatal("cannot read the firmware %s: %m", o->firmware);
    int architecture = elf_architecture(o->firmware);
    if (architecture < 0) fatal("%s is no ELF file; give the .elf that avr-gcc links, not .hex or .bin", o->firmware);
    if (architecture != (o->kind == MEGA ? 6 : 5))
        fatal("%s is made for another chip (avr%d) than this board's %s", o->firmware, architecture, mcu);
    elf_firmware_t elf = {0};
    if (elf_read_firmware(o->firmware, &elf) || !elf.flashsize)
        fatal("%s is no firmware that simavr can load", o->firmware);
    if (elf.mmcu[0] && strcmp(elf.mmcu, mcu))
        fatal("%s is made for %s, but this board has an %s", o->firmware, elf.mmcu, mcu);
    avr = avr_make_mcu_by_name(mcu);
    if (!avr) fatal("this libsimavr knows no %s", mcu);
    avr_init(avr);
    unsigned flash = avr->flashend + 1;
    if (elf.flashsize > flash) fatal("%s has %u bytes, the flash has %u", o->firmware, elf.flashsize, flash);
    elf.frequency = 16000000;
    elf.vcc = elf.avcc = elf.aref = 5000;
    avr_load_firmware(avr, &elf);
    avr->log = LOG_ERROR;
    avr->sleep = no_sleep;
    fixed_ram = elf.datasize + elf.bsssize;

    agenda_start(avr);
    open_eeprom();
    uart_start();
    spi_start();
    twi_start();
    pins_start();
    avr_io_t **last = &avr->io_port;
    while (*last) last = &(*last)->next;
    reset_hook.avr = avr;
    *last = &reset_hook;
    board_speed(o->speed);
    board_reset(POR);
}

void board_ram(unsigned *size, unsigned *fixed, unsigned *untouched) {
    *size = avr->ramend - avr->ioend;
    *fixed = fixed_ram;
    // The longest run above the variables of what a RAM holds after power-on, or of one value that the firmware has
    // painted it with.
    unsigned longest = 0, virgin = 0, painted = 0;
    for (unsigned a = avr->ioend + 1 + fixed_ram; a <= avr->ramend; a++) {
        virgin = avr->data[a] == ram_noise(a) ? virgin + 1 : 0;
        painted = painted && avr->data[a] == avr->data[a - 1] ? painted + 1 : 1;
        if (virgin > longest) longest = virgin;
        if (painted > longest) longest = painted;
    }
    *untouched = longest;
}
