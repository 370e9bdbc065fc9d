// SPDX-License-Identifier: GPL-3.0-or-later
#include "agenda.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sim_cycle_timers.h>
#include "report.h"

struct entry {
    uint64_t cycle;
    agenda_fn fn;
    void *arg;
};

uint64_t agenda_due;
static avr_t *avr;
static struct entry *list; // sorted, soonest last
static unsigned used, room;
static bool ringing;

static avr_cycle_count_t alarm_rings(avr_t *a, avr_cycle_count_t when, void *param);

static void arm(void) {
    if (ringing) return; // alarm_rings arms itself when it is through
    if (used == 0) {
        avr_cycle_timer_cancel(avr, alarm_rings, NULL);
        return;
    }
    uint64_t cycle = list[used - 1].cycle;
    avr_cycle_timer_register(avr, cycle > avr->cycle ? cycle - avr->cycle : 1, alarm_rings, NULL);
}

static void run_due(uint64_t now) {
    while (used > 0 && list[used - 1].cycle <= now) {
        struct entry e = list[--used];
        agenda_due = e.cycle;
        e.fn(e.arg);
    }
}

static avr_cycle_count_t alarm_rings(avr_t *a, avr_cycle_count_t when, void *param) {
    (void)when, (void)param;
    ringing = true;
    run_due(a->cycle);
    ringing = false;
    if (used == 0) return 0;
    uint64_t next = list[used - 1].cycle;
    return next > a->cycle ? next : a->cycle + 1;
}

void agenda_start(avr_t *a) { avr = a; }

void agenda_at(uint64_t cycle, agenda_fn fn, void *arg) {
    if (used == room) {
        room = room ? room * 2 : 32;
        list = realloc(list, room * sizeof *list);
        if (!list) fatal("out of memory");
    }
    unsigned i = used++;
    // Entries of the same cycle run in the order in which they were asked for.
    for (; i > 0 && list[i - 1].cycle <= cycle; i--) list[i] = list[i - 1];
    list[i] = (struct entry){cycle, fn, arg};
    if (i == used - 1) arm();
}

void agenda_cancel(agenda_fn fn, void *arg) {
    unsigned kept = 0;
    for (unsigned i = 0; i < used; i++)
        if (list[i].fn != fn || list[i].arg != arg) list[kept++] = list[i];
    used = kept;
}

void agenda_rearm(void) { arm(); }

void agenda_pass_time(uint64_t until) {
    while (used > 0 && list[used - 1].cycle <= until) {
        if (list[used - 1].cycle > avr->cycle) avr->cycle = list[used - 1].cycle;
        run_due(avr->cycle);
    }
    if (until > avr->cycle) avr->cycle = until;
}
