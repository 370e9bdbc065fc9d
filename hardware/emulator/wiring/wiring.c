// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the emulator's commands for a board, from the firmware's own list of what is on which pin:
//   gcc -DBOARD='"../../firmware/src/boards/uno.h"' wiring.c
#include <stdio.h>
#include <string.h>
#include BOARD

// Settings as written in the list, separated by commas; `pins` of them are pins, from the first on.
static void say(const char *command, const char *settings, int pins) {
    printf("%s", command);
    for (int i = 0; i < pins; i++) {
        settings += strspn(settings, " ,");
        int n = strcspn(settings, " ,");
        printf(" %.*s", n, settings);
        settings += n;
    }
    puts("");
}

// A relay or lamp stays off while nobody drives it.
static void say_off(const char *settings, int pins) {
    const char *pull = strstr(settings, "ACTIVE_HIGH") ? "down" : "up";
    for (int i = 0; i < pins; i++) {
        settings += strspn(settings, " ,");
        int n = strcspn(settings, " ,");
        printf("pull %.*s %s\n", n, settings, pull);
        settings += n;
    }
}

#define SAY_RC522(...) say("wire rc522", #__VA_ARGS__, 2);
#define SAY_WIEGAND(...) say("wire wiegand", #__VA_ARGS__, 2);
#define SAY_RDM6300(...) say("wire rdm6300", #__VA_ARGS__, 1);
#define SAY_BUTTON(...) say("wire button", #__VA_ARGS__, 1);
#define SAY_ANALOG(pin, step) puts("analog " #pin " 0");
#define SAY_RELAY(...) say_off(#__VA_ARGS__, 1);
#define SAY_LAMP(...) say_off(#__VA_ARGS__, 3);
#define SAY_LOCK(...) say("wire servo", #__VA_ARGS__, 1);
#define SAY_BUZZER(...) say("wire buzzer", #__VA_ARGS__, 1);
#define SAY_LCD_PINS(...) say("wire lcd", #__VA_ARGS__, 6);
#define SAY_LCD_I2C(address) printf("wire lcd-i2c %02x\n", address);
#define SAY_PIXELS(...) say("wire pixels", #__VA_ARGS__, 1);
#define SAY(KIND, name, ...) SAY_##KIND(__VA_ARGS__)

int main(void) {
    puts("# Made by `make wiring` from the firmware's list of pins; do not edit.");
    PRIMRACK_READERS(SAY)
    PRIMRACK_BUTTONS(SAY)
    PRIMRACK_ANALOGS(SAY)
    PRIMRACK_OUTPUTS(SAY)
}
