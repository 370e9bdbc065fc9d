#!/bin/sh
# A plug-in for Primrack, version 1 of its protocol, in plain sh. See PROTOCOL.md.
#
# Its machines are processes that sleep, one for each name in MACHINES. Replace what `is`, `up` and `down` do.
# It does one thing after the other and pushes no events: the bridge asks.
set -u
MACHINES=${MACHINES:-"alpha beta"}
STATE=${STATE:-"${TMPDIR:-/tmp}/primrack-plugin-$(id -u)"}
umask 077
mkdir -p "$STATE" || exit 1

# What a machine is: prints its power.
is() {
    pid=$(cat "$STATE/$1.pid" 2>/dev/null) || { echo off; return; }
    # "42 (sleep) S ...": a number may belong to another program by now, and Z has ended already.
    read -r _ name letter _ 2>/dev/null <"/proc/$pid/stat" || { gone "$1"; return; }
    case $name$letter in
    "(sleep)"[ZX]) gone "$1" ;;
    "(sleep)T") echo paused ;;
    "(sleep)"*) echo on ;;
    *) gone "$1" ;;
    esac
}
# It was started and does not run any more.
gone() { if [ -e "$STATE/$1.asked" ]; then echo off; else echo crashed; fi; }

# Starts it in a session of its own, so that it outlives the plug-in.
up() {
    rm -f "$STATE/$1.asked"
    setsid sh -c 'echo $$ >"$1.next"; mv "$1.next" "$1"; exec sleep 1000000' sh "$STATE/$1.pid" \
        </dev/null >/dev/null 2>&1 &
    tries=0
    until [ "$(is "$1")" = on ] || [ $((tries += 1)) -gt 100 ]; do sleep 0.02; done
}
# Ends it with a signal.
down() { : >"$STATE/$1.asked"; kill "-$2" "$(cat "$STATE/$1.pid")" && kill -CONT "$(cat "$STATE/$1.pid")" 2>/dev/null; :; }

say() { printf '%s\n' "$1"; }
ok() { say "{\"id\":$id,\"ok\":true}"; }
fail() { say "{\"id\":$id,\"error\":\"$1\",\"words\":\"$2\"}"; }

# Fields come in a fixed order and without spaces; addresses are our own names, so they hold no quotes.
field() { value=${line#*\"$1\":\"}; [ "$value" != "$line" ] && value=${value%%\"*}; }
known() { for machine in $MACHINES; do [ "$machine" = "$1" ] && return; done; return 1; }

execute() {
    machine=$1 action=$2 intent=$3
    # The same intent is carried out once, also after a restart.
    if grep -qx "$intent" "$STATE/$machine.done" 2>/dev/null; then ok; return; fi
    case $action:$(is "$machine") in
    start:off | start:crashed) up "$machine" ;;
    start:*) fail refused "$machine runs already"; return ;;
    soft-off:on) down "$machine" TERM ;;
    hard-off:on | hard-off:paused) down "$machine" KILL ;;
    soft-off:* | hard-off:*) fail refused "$machine does not run"; return ;;
    *) fail not-supported "this plug-in has no action $action"; return ;;
    esac
    { tail -n 31 "$STATE/$machine.done" 2>/dev/null; echo "$intent"; } >"$STATE/$machine.next"
    mv "$STATE/$machine.next" "$STATE/$machine.done"
    ok
}

while IFS= read -r line; do
    id=${line#*\"id\":} id=${id%%,*}
    case $line in
    *'"do":"hello"'*'"versions":'*[[,]1[],]*)
        say "{\"id\":$id,\"version\":1,\"name\":\"sleepers\",\"actions\":[\"start\",\"soft-off\",\"hard-off\"]}" ;;
    *'"do":"hello"'*) fail not-supported "this plug-in speaks version 1 only" ;;
    *'"do":"list"'*)
        all=
        for machine in $MACHINES; do all="$all${all:+,}{\"address\":\"$machine\"}"; done
        say "{\"id\":$id,\"machines\":[$all]}" ;;
    *'"do":"observe"'*)
        field address
        if known "$value"; then
            say "{\"id\":$id,\"state\":{\"power\":\"$(is "$value")\"}}"
        else
            fail not-found "there is no such machine"
        fi ;;
    *'"do":"execute"'*)
        field address && address=$value && field action && action=$value && field intent
        if known "$address"; then execute "$address" "$action" "$value"; else fail not-found "there is no such machine"; fi ;;
    *'"do":"ping"'*) ok ;;
    *'"do":"shutdown"'*) ok; exit 0 ;;
    *) fail not-supported "this plug-in does not know that" ;;
    esac
done
