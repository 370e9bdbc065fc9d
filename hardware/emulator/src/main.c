// SPDX-License-Identifier: GPL-3.0-or-later
// primrack-board-emulator: runs the firmware of a board in real time, with its serial port as a pty.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "board.h"
#include "command.h"
#include "control.h"
#include "line.h"
#include "report.h"

#define TICK_MS 1

static volatile sig_atomic_t asked_to_end;

static void on_signal(int signal) {
    (void)signal;
    asked_to_end = 1;
}

static void usage(void) {
    puts("primrack-board-emulator [OPTIONS] FIRMWARE.elf LINK\n"
         "\n"
         "Simulates an Arduino with FIRMWARE.elf. Its serial port is a pty under the name LINK.\n"
         "Commands are read from the standard input, one per line; events and answers go to the standard output,\n"
         "each starting with the simulated microsecond and the host's CLOCK_MONOTONIC in nanoseconds.\n"
         "Ends at the end of the standard input, at 'quit' and at SIGTERM or SIGINT, and removes LINK.\n"
         "\n"
         "  --board uno|nano|mega   which board (uno)\n"
         "  --eeprom FILE           keep the EEPROM in FILE\n"
         "  --wiring FILE           run the commands in FILE before the start; may be given several times\n"
         "  --control SOCKET        take commands at this UNIX socket as well\n"
         "  --keep                  go on when the standard input ends\n"
         "  --speed X               1 = real time (default), 0 = as fast as possible\n"
         "  --seed N                for faults and noise (1)\n"
         "  --reset-on-open         opening the port resets the board, as an Uno's does\n"
         "  --bootloader MS         time between a reset and the firmware's start (0)\n"
         "  --help                  this\n"
         "\n"
         "Commands (an @TAG before a command comes back in its answer):");
    command_list();
}

int main(int argc, char **argv) {
    enum { BOARD = 256, EEPROM, WIRING, CONTROL, KEEP, SPEED, SEED, RESET_ON_OPEN, BOOTLOADER, HELP };
    static const struct option OPTIONS[] = {{"board", required_argument, NULL, BOARD},
                                            {"eeprom", required_argument, NULL, EEPROM},
                                            {"wiring", required_argument, NULL, WIRING},
                                            {"control", required_argument, NULL, CONTROL},
                                            {"keep", no_argument, NULL, KEEP},
                                            {"speed", required_argument, NULL, SPEED},
                                            {"seed", required_argument, NULL, SEED},
                                            {"reset-on-open", no_argument, NULL, RESET_ON_OPEN},
                                            {"bootloader", required_argument, NULL, BOOTLOADER},
                                            {"help", no_argument, NULL, HELP},
                                            {0}};
    struct board_options board = {.speed = 1};
    const char *wirings[8], *control = NULL;
    unsigned wiring_count = 0;
    unsigned long long seed = 1;
    bool keep = false, reset_on_open = false;
    char *end;
    for (int o; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) switch (o) {
        case BOARD:
            if (!strcmp(optarg, "uno"))
                board.kind = UNO;
            else if (!strcmp(optarg, "nano"))
                board.kind = NANO;
            else if (!strcmp(optarg, "mega"))
                board.kind = MEGA;
            else
                wrong_usage("--board is uno, nano or mega, not '%s'", optarg);
            break;
        case EEPROM: board.eeprom = optarg; break;
        case WIRING:
            if (wiring_count == 8) wrong_usage("--wiring can be given eight times");
            wirings[wiring_count++] = optarg;
            break;
        case CONTROL: control = optarg; break;
        case KEEP: keep = true; break;
        case SPEED:
            board.speed = strtod(optarg, &end);
            if (*end || end == optarg || !(board.speed >= 0 && board.speed <= 100))
                wrong_usage("--speed is a number from 0 to 100, not '%s'", optarg);
            break;
        case SEED:
            seed = strtoull(optarg, &end, 0);
            if (*end || end == optarg) wrong_usage("--seed is a whole number, not '%s'", optarg);
            break;
        case RESET_ON_OPEN: reset_on_open = true; break;
        case BOOTLOADER:
            board.bootloader_ms = strtoul(optarg, &end, 10);
            if (*end || end == optarg || board.bootloader_ms > 60000)
                wrong_usage("--bootloader is a number of milliseconds up to 60000, not '%s'", optarg);
            break;
        case HELP: usage(); return 0;
        default: wrong_usage("see --help"); // getopt has said what
        }
    if (argc - optind != 2) wrong_usage("FIRMWARE.elf and LINK are needed, see --help");
    board.firmware = argv[optind];

    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    control_start(control, keep);
    board_start(&board);
    for (unsigned i = 0; i < wiring_count; i++) command_run_file(wirings[i]);
    line_start(argv[optind + 1], reset_on_open, seed);
    board_speed(board.speed); // the clock starts here, not while the firmware was being read

    while (!asked_to_end) {
        control_wait(board_in_real_time() ? TICK_MS : 0, line_poll_fd());
        board_catch_up();
        if (!control_read()) break;
        line_exchange();
        board_eeprom_keep();
    }
    line_unplug();
    board_eeprom_keep();
    control_close();
    return 0;
}
