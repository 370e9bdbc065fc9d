// The main part of every object: its settings, what it tells the bridge, its events. It decides nothing: the bridge
// says what a unit shows, what a touch does, and which menu comes up.
//
// The object has, before it includes this:
//   string CARD       the notecard's name
//   string WHAT       what it is called in words to people, such as `rack`
//   integer UNNAMED   what prims show whose names have no unit (units.lsl)
//   string OWN        its own settings, in words
//   ownForget()       these are back to their defaults
//   string ownSetting(string name, string value)   takes one: "", what is wrong with it, or NO_SUCH
//   look() and lost() (draw.lsl)
// This comes last: the script's states are in it.

//#include text.lsl
//#include owner.lsl
//#include mac.lsl
//#include envelope.lsl
//#include settings.lsl
//#include callback.lsl
//#include units.lsl
//#include draw.lsl
//#include menus.lsl
//#include outbox.lsl
//#include push.lsl

string gBridge;
integer gReady;
integer gCooldown = 1;
list gTouches;          // avatar and unit, when
integer gMemoryAt;      // when low memory was last reported
string NO_SUCH = "?";   // what ownSetting() says to what it does not know
string NO_CONTACT = "no contact with the bridge";

settingsForget()
{
    gReady = FALSE;
    gId = "";
    gKeyId = "";
    macKey("");
    gBridge = "";
    gUnnamed = UNNAMED;
    gSetLinks = [];
    gSetUnits = [];
    gText = TRUE;
    gTextHeight = 0;
    gBright = 100;
    gCooldown = 1;
    ownForget();
}

string LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// The key is told to nobody, not even when it is wrong.
string settingKey(string value)
{
    integer dot = llSubStringIndex(value, ".");
    if (dot < 1 || dot > 8) return "key has to be keyid.secret, as `primrack object enrol` prints it";
    string id = llGetSubString(value, 0, dot - 1);
    if (!only(id, LETTERS)) return "the key id before the dot has letters and digits only";
    string secret = "";
    if (dot + 1 < llStringLength(value)) secret = llGetSubString(value, dot + 1, -1);
    integer n = llStringLength(secret);
    if (n < 32 || n > 128) return "the secret after the dot has to have 32 to 128 characters, it has " + (string)n;
    while (--n >= 0)
    {
        integer c = llOrd(secret, n);
        if (c < 33 || c > 126) return "the secret after the dot has a character that is not printable ASCII, or a space";
    }
    gKeyId = id;
    macKey(secret);
    return "";
}

string settingLink(string which, string value)
{
    integer link = within(which, 1, 256);
    if (link < 0) return "`link` needs a link number from 1 to 256";
    integer unit = -1;
    if (llToLower(value) != "none")
    {
        unit = within(value, 0, 255);
        if (unit < 0) return "the unit has to be a number from 0 to 255, or none";
    }
    if (llListFindList(gSetLinks, [link]) >= 0) return "link " + (string)link + " is set twice";
    gSetLinks += [link];
    gSetUnits += [unit];
    return "";
}

string setting(string name, string value)
{
    integer n;
    if (name == "id")
    {
        if (llStringLength(value) > 64 || !only(value, LETTERS + "._-"))
            return "id has at most 64 letters, digits, dots, underscores and hyphens";
        gId = value;
    }
    else if (name == "key") return settingKey(value);
    else if (name == "bridge")
    {
        if (llSubStringIndex(value, "http://") != 0 && llSubStringIndex(value, "https://") != 0)
            return "bridge has to begin with http:// or https://";
        if (llSubStringIndex(value, " ") >= 0) return "bridge has a space in it";
        gBridge = value;
    }
    else if (name == "unnamed")
    {
        n = within(value, 0, 255);
        if (value == "units") n = BY_LINK;
        else if (value == "ignore") n = NOTHING;
        else if (n < 0) return "unnamed is units, ignore, or the number of a unit from 0 to 255";
        gUnnamed = n;
    }
    else if (llSubStringIndex(name, "link ") == 0)
        return settingLink(llStringTrim(llDeleteSubString(name, 0, 4), STRING_TRIM), value);
    else if (name == "text")
    {
        n = yesNo(value);
        if (n < 0) return "text is yes or no";
        gText = n;
    }
    else if (name == "text height")
    {
        n = within(value, 0, 8);
        if (n < 0) return "text height is a number from 0 to 8";
        gTextHeight = n;
    }
    else if (name == "brightness")
    {
        n = within(value, 5, 100);
        if (n < 0) return "brightness is a number from 5 to 100";
        gBright = n;
    }
    else if (name == "cool-down")
    {
        n = within(value, 0, 60);
        if (n < 0) return "cool-down is a number of seconds from 0 to 60";
        gCooldown = n;
    }
    else
    {
        string fault = ownSetting(name, value);
        if (fault != NO_SUCH) return fault;
        return "there is no setting `" + cut(clean(name), 40)
            + "`; there are id, key, bridge, unnamed, link N, text, text height, " + OWN + ", brightness and cool-down";
    }
    return "";
}

settingsRead(integer faults)
{
    string missing;
    if (gId == "") missing += " id";
    if (gKeyId == "") missing += " key";
    if (gBridge == "") missing += " bridge";
    scanUnits();
    if (missing != "")
    {
        toOwner(CARD + " lacks:" + missing + ". The " + WHAT + " waits until it is there.");
        plan(llGetUnixTime());
        return;
    }
    gReady = TRUE;
    gTries = 0;
    gSendAt = 0;
    gRegAt = 0;
    gHeld = "";
    gWhy = "";
    string words = CARD + " is read: " + WHAT + " " + gId + ", units " + gUnits + ".";
    if (faults) words += " " + (string)faults + " lines were not understood.";
    llOwnerSay(words);
    if (gUrl == "" && gUrlAt == 0) urlRenew(2);
    pump();
}

string facts()
{
    scanUnits();
    return ",\"grid\":\"@PROFILE@\",\"script\":\"" + WHAT + " @VERSION@\",\"units\":\"" + gUnits + "\"";
}

urlGranted()
{
    gRegAt = 0;
    pump();
}

// What the root says of itself, unless it shows a unit's words.
rootWords(string words)
{
    string now = llList2String(llGetLinkPrimitiveParams(LINK_THIS, [PRIM_TEXT]), 0);
    if (now == "" || now == NO_CONTACT) llSetLinkPrimitiveParamsFast(LINK_THIS, [PRIM_TEXT, words, <1.0, 0.6, 0.6>, 1.0]);
}

contact(integer there)
{
    if (there)
    {
        rootWords("");
        return;
    }
    drawLost();
    rootWords(NO_CONTACT);
    toOwner("The " + WHAT + " " + gId + " has no contact with the bridge: " + gWhy + ". It keeps trying.");
}

verdict(string entry, string who)
{
    string what = member(entry, "verdict");
    string words = cut(member(entry, "say"), 255);
    integer seconds = within(member(entry, "for"), 1, 600);
    if (seconds < 0) seconds = 60;
    if (what == "menu") offer(who, member(entry, "menu"), words, llJson2List(llJsonGetValue(entry, ["pick"])), seconds);
    else if (what == "ask") ask(who, member(entry, "menu"), words, seconds);
    else
    {
        if (words == "" && what == "refused") words = "Refused: " + cut(member(entry, "code"), 64);
        if (words != "") llRegionSayTo((key)who, 0, words);
    }
}

string person(string who, string name)
{
    return ",\"who\":\"" + who + "\",\"name\":" + quote(cut(clean(name), 64));
}

say(string who, string words)
{
    llRegionSayTo((key)who, 0, words);
}

picked(string menu, string who, string name, string pick)
{
    if (!report("choose", ",\"menu\":" + quote(menu) + person(who, name) + ",\"pick\":" + quote(pick), who))
        say(who, "Too much is waiting for the bridge. Nothing was done; try again in a while.");
}

written(string menu, string who, string name, string text)
{
    if (!report("line", ",\"menu\":" + quote(menu) + person(who, name) + ",\"text\":" + quote(text), who))
        say(who, "Too much is waiting for the bridge. Your line was not taken; try again in a while.");
}

// TRUE when this person touched this unit a moment ago.
integer tooSoon(string who, integer unit, integer now)
{
    string what = who + " " + (string)unit;
    integer at = llListFindList(gTouches, [what]);
    integer soon = FALSE;
    if (at >= 0)
    {
        integer age = now - llList2Integer(gTouches, at + 1);
        soon = age >= 0 && age < gCooldown;
        if (soon) return TRUE;
        gTouches = llDeleteSubList(gTouches, at, at + 1);
    }
    gTouches = llList2List(gTouches + [what, now], -32, -1);
    return FALSE;
}

touched(string who, string name, integer unit)
{
    if (unit < 0) say(who, "This part of the " + WHAT + " shows no unit.");
    else if (!gReady) say(who, "This " + WHAT + " is not set up yet. Its owner has been told what is missing.");
    else if (gHeld != "") say(who, "The bridge does not take this " + WHAT + ": " + gHeld);
    else if (gUrl == "" && gUrlTries > 0) say(who, "The grid gives this " + WHAT + " no address yet. Its owner has been told.");
    else if (tooSoon(who, unit, llGetUnixTime())) say(who, "Not so fast, please: your touch a moment ago counts.");
    else if (!report("touch", ",\"unit\":" + (string)unit + person(who, name), who))
        say(who, "Too much is waiting for the bridge. Nothing was done; try again in a while.");
}

default
{
    state_entry()
    {
        outboxStart();
        gUnnamed = UNNAMED;
        scanUnits();
        // Until the bridge has spoken, what the prims still show is of the past.
        drawLost();
        if (llGetLinkNumber() > 1) toOwner("The script of a " + WHAT + " belongs into the root prim.");
        readSettings();
        plan(llGetUnixTime());
    }

    on_rez(integer start)
    {
        urlDrop();
        llResetScript();
    }

    changed(integer what)
    {
        if (what & CHANGED_OWNER)
        {
            urlDrop();
            llResetScript();
        }
        if (what & CHANGED_INVENTORY) readSettings();
        if (what & CHANGED_LINK)
        {
            if (scanUnits()) gRegAt = 0;
        }
        if (what & (CHANGED_REGION | CHANGED_TELEPORT | CHANGED_REGION_START))
        {
            // The old URL is dead, and what was in flight with it. All objects of the region wake now: spread.
            gFlight = NULL_KEY;
            urlRenew(10);
        }
        pump();
    }

    dataserver(key ask, string line)
    {
        settingsData(ask, line);
    }

    http_request(key id, string method, string body)
    {
        if (urlEvent(id, method, body)) plan(llGetUnixTime());
        else pushed(id, method, body);
    }

    http_response(key id, integer status, list meta, string body)
    {
        answered(id, status, body);
    }

    touch_start(integer n)
    {
        integer i;
        for (i = 0; i < n; ++i)
        {
            touched((string)llDetectedKey(i), llDetectedName(i), unitAt(llDetectedLinkNumber(i)));
        }
    }

    listen(integer channel, string name, key who, string words)
    {
        menuHeard(channel, name, (string)who, words);
    }

    timer()
    {
        integer now = llGetUnixTime();
        gTimerAt = 0;
        if (gCardAt && now >= gCardAt) readSettings();
        urlTick(now);
        menuTick(now);
        outboxTick(now);
        if (llGetFreeMemory() < 6000 && now - gMemoryAt > 3600)
        {
            gMemoryAt = now;
            trouble("Little memory is left: " + (string)llGetFreeMemory() + " bytes.");
        }
        pump();
    }
}
