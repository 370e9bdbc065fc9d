// Menus and text boxes, as the bridge dictates them. Needs text.lsl.
//
// The object has:
//   picked(string menu, string who, string name, string pick)    a choice that was on offer
//   written(string menu, string who, string name, string text)   a line that was asked for

// who, channel, listen handle, menu, what was offered (one per line, "" for a line of text), until
list gMenus;
integer MENUS_MAX = 8; // people at once

menuDrop(integer at)
{
    llListenRemove(llList2Integer(gMenus, at + 2));
    gMenus = llDeleteSubList(gMenus, at, at + 5);
}

// "Ignore" cannot be seen: a menu ends with its time.
menuTick(integer now)
{
    integer at = llGetListLength(gMenus);
    while ((at -= 6) >= 0)
    {
        if (now >= llList2Integer(gMenus, at + 5)) menuDrop(at);
    }
}

// A fresh secret channel on which only this person is heard.
integer menuOpen(string who, string menu, string offers, integer seconds)
{
    integer at = llListFindList(gMenus, [who]);
    if (at >= 0) menuDrop(at);
    if (llGetListLength(gMenus) >= MENUS_MAX * 6) menuDrop(0);
    if (seconds < 10) seconds = 10;
    if (seconds > 600) seconds = 600;
    integer channel = -1000000 - dice(2000000000);
    gMenus += [who, channel, llListen(channel, "", (key)who, ""), menu, offers, llGetUnixTime() + seconds];
    return channel;
}

// In the order of reading, though dialogs fill from the bottom row, three to a row.
list rows(list buttons)
{
    list out;
    integer n = llGetListLength(buttons);
    while (n > 3)
    {
        out += llList2List(buttons, n - 3, n - 1);
        n -= 3;
    }
    if (n > 0) out += llList2List(buttons, 0, n - 1);
    return out;
}

offer(string who, string menu, string words, list picks, integer seconds)
{
    picks = llList2List(picks, 0, 10);
    list buttons;
    integer n = llGetListLength(picks);
    integer i;
    for (i = 0; i < n; ++i)
    {
        string pick = cut(llList2String(picks, i), 24);
        if (pick != "") buttons += [pick];
    }
    if (buttons == []) return;
    integer channel = menuOpen(who, menu, llDumpList2String(buttons, "\n"), seconds);
    if (llListFindList(buttons, ["Close"]) < 0) buttons += ["Close"];
    if (words == "") words = "Choose:";
    llDialog((key)who, cut(words, 500), rows(buttons), channel);
}

ask(string who, string menu, string words, integer seconds)
{
    if (words == "") words = "Write a line:";
    llTextBox((key)who, cut(words, 500), menuOpen(who, menu, "", seconds));
}

// For the listen event.
menuHeard(integer channel, string name, string who, string words)
{
    integer at = llListFindList(gMenus, [who, channel]);
    if (at < 0) return;
    string menu = llList2String(gMenus, at + 3);
    string offers = llList2String(gMenus, at + 4);
    if (offers == "")
    {
        menuDrop(at);
        words = cut(clean(words), 256);
        if (words != "") written(menu, who, name, words);
        return;
    }
    if (llListFindList(llParseString2List(offers, ["\n"], []), [words]) >= 0)
    {
        menuDrop(at);
        picked(menu, who, name, words);
    }
    else if (words == "Close") menuDrop(at);
    // Anything else was not offered: somebody is playing with the channel.
}
