// What the object has to say to the bridge: registration and events, one message in flight, nothing lost to a
// throttle or a lost answer, nothing kept for ever. Needs text.lsl, envelope.lsl, owner.lsl and callback.lsl.
//
// The object has:
//   string gBridge                         where to post, from the notecard
//   integer gReady                         the settings are good
//   string facts()                         further members of a registration, each with a comma before it
//   verdict(string entry, string who)      what came back for one event
//   contact(integer there)                 the bridge answers again, or has not for a while

list gOut;                 // id, the event's JSON, whom to tell ("" nobody), since when, 1: told that it takes long | 2: sent
//#if secondlife
integer OUT_MAX = 8;       // events that wait at most: memory is short
//#else
integer OUT_MAX = 24;      // events that wait at most
//#end
string gMark;              // with the count, an event's id: never the same twice
integer gCount;
string gNonce = "0";       // the bridge's boot
integer gSeq;

key gFlight = NULL_KEY;    // the request in flight
integer gFlightEvents;     // how many events are in it; 0: it registers
integer gFlightSeq;
integer gFlightAt;         // when it counts as lost

integer gRegistered;
integer gRegAt;            // when to register next
integer gSendAt;           // not before then
integer gTries;            // failures in a row
integer gQuick;            // corrections in a row
integer gLost = TRUE;      // no contact
string gWhy;               // why not, in words
string gHeld;              // why the bridge does not register this object, "" when it does
integer gTimerAt;

// When the script starts: ids of its own, and a seq that no old answer fits.
outboxStart()
{
    gMark = (string)llGetUnixTime() + "-" + (string)dice(100000);
    gSeq = 1 + dice(1000000000);
}

// Sets the one timer to the next thing that is due.
plan(integer now)
{
    integer due = now + 60;
    if (gUrlAt && gUrlAt < due) due = gUrlAt;
    if (gCardAt && gCardAt < due) due = gCardAt;
    integer next = due;
    if (gFlight != NULL_KEY) next = gFlightAt;
    else if (gReady)
    {
        if (gOut != [] && gRegistered) next = gSendAt;
        if (gUrl != "" && gRegAt < next) next = gRegAt;
        if (next < gSendAt) next = gSendAt;
    }
    if (next < due) due = next;
    integer n = llGetListLength(gMenus);
    integer i;
    for (i = 5; i < n; i += 6)
    {
        if (llList2Integer(gMenus, i) < due) due = llList2Integer(gMenus, i);
    }
    n = llGetListLength(gOut);
    for (i = 0; i < n; i += 5)
    {
        if (!(llList2Integer(gOut, i + 4) & 1)) due = now + 1;
    }
    if (due <= now) due = now + 1;
    if (gTimerAt == 0 || due < gTimerAt)
    {
        gTimerAt = due;
        // And a part of a second, by chance: objects that wake together must not call together, for OpenSimulator grants
        // an owner few calls at one moment and many in a second.
        llSetTimerEvent((float)(due - now) + llFrand(1.0));
    }
}

// Takes an event: rest is the further members, each with a comma before it. FALSE when there is no room.
integer report(string on, string rest, string who)
{
    if (llGetListLength(gOut) >= OUT_MAX * 5 || llGetFreeMemory() < 4096) return FALSE;
    string id = gMark + "." + (string)(++gCount);
    gOut += [id, "{\"id\":\"" + id + "\",\"on\":\"" + on + "\"" + rest + "}", who, llGetUnixTime(), who == ""];
    pump();
    return TRUE;
}

// Trouble that the keeper should know of: told to the owner, and to the bridge if it is to be reached.
trouble(string words)
{
    words = cut(clean(words), 256);
    toOwner(words);
    string rest = ",\"text\":" + quote(words);
    // The same trouble is not reported again while it waits.
    if (llSubStringIndex(llDumpList2String(gOut, "\n"), rest) < 0) report("error", rest, "");
}

// The send failed. Later, and spread, so that a room full of racks does not come back as one.
later(string why, integer first, integer most)
{
    gWhy = why;
    integer wait = first;
    integer i;
    for (i = 0; i < gTries && wait < most; ++i) wait += wait;
    if (wait > most) wait = most;
    ++gTries;
    gSendAt = llGetUnixTime() + wait + dice(wait / 2 + 1);
    if (gTries == 3)
    {
        gLost = TRUE;
        contact(FALSE);
    }
}

// The bridge took what was sent.
settled()
{
    gTries = 0;
    gQuick = 0;
    gSendAt = 0;
    gWhy = "";
    if (!gLost) return;
    gLost = FALSE;
    contact(TRUE);
}

// The bridge corrected us: again at once, but not for ever.
again(string why)
{
    if (++gQuick > 3) later(why, 4, 120);
    else gSendAt = 0;
}

post(integer events, integer now)
{
    string body;
    if (events)
    {
        body = "{\"do\":\"events\",\"holder\":\"" + (string)llGetKey() + "\",\"list\":[";
        integer i;
        for (i = 0; i < events; ++i)
        {
            if (i) body += ",";
            body += llList2String(gOut, i * 5 + 1);
        }
        body += "]}";
    }
    else body = "{\"do\":\"register\",\"url\":" + quote(gUrl) + ",\"holder\":\"" + (string)llGetKey()
        + "\",\"owner\":\"" + (string)llGetOwner() + "\",\"region\":" + quote(cut(clean(llGetRegionName()), 64)) + facts() + "}";
    ++gSeq;
    string sent = (string)llHTTPRequest(gBridge, [HTTP_METHOD, "POST", HTTP_VERBOSE_THROTTLE, FALSE],
        seal("up", gNonce, gSeq, body));
    if (sent == "")
    {
        toOwner("The grid refuses to call " + gBridge + ". "
//#if secondlife
            + "Is the address right?");
//#else
            + "Its keeper has to allow it in OpenSim.ini, [Network]: OutboundDisallowForUserScriptsExcept = " + hostPort(gBridge));
//#end
        later("the grid refuses to call the bridge", 30, 600);
    }
//#if secondlife
    // The throttle opens after some 40 s of silence.
    else if (sent == (string)NULL_KEY) later("the grid throttles this object", 40, 60);
//#else
    else if (sent == (string)NULL_KEY) later("the grid throttles this object", 1, 30);
//#end
    else
    {
        gFlight = (key)sent;
        gFlightEvents = events;
        gFlightSeq = gSeq;
        gFlightAt = now + 75; // the grids give up after 30 and 60 s, if they say so at all
        integer i;
        for (i = 4; i < events * 5; i += 5) gOut = llListReplaceList(gOut, [llList2Integer(gOut, i) | 2], i, i);
    }
}

//#if opensim-0.9.2 opensim-0.9.3 opensim-master
// HOST:PORT of a URL.
string hostPort(string url)
{
    list parts = llParseString2List(url, ["/"], []);
    string host = llList2String(parts, 1);
    if (llSubStringIndex(host, ":") >= 0) return host;
    if (llToLower(llList2String(parts, 0)) == "https:") return host + ":443";
    return host + ":80";
}
//#end

// Sends what is due, if nothing is in flight.
pump()
{
    integer now = llGetUnixTime();
    if (gFlight == NULL_KEY && gReady && now >= gSendAt)
    {
        integer n = llGetListLength(gOut) / 5;
        if (n > 8) n = 8;
        if (gUrl != "" && now >= gRegAt) post(0, now);
        else if (gRegistered && n) post(n, now);
    }
    plan(now);
}

// Forgets the waiting events from `from` on, `count` of them, telling those who wait for them.
outboxDrop(integer from, integer count, string words)
{
    while (count-- > 0)
    {
        string who = llList2String(gOut, from * 5 + 2);
        gOut = llDeleteSubList(gOut, from * 5, from * 5 + 4);
        if (who != "") llRegionSayTo((key)who, 0, words);
    }
}

// For the timer.
outboxTick(integer now)
{
    gTimerAt = 0;
    if (gFlight != NULL_KEY && now >= gFlightAt)
    {
        gFlight = NULL_KEY;
        later("the bridge did not answer", 8, 120);
    }
    integer i = llGetListLength(gOut) / 5;
    while (--i >= 0)
    {
        integer at = i * 5;
        string who = llList2String(gOut, at + 2);
        integer age = now - llList2Integer(gOut, at + 3);
        if ((gFlight == NULL_KEY || i >= gFlightEvents) && (age > 3600 || (age > 180 && who != "")))
        {
            string words = "The bridge has not answered for three minutes (" + gWhy + "). ";
            if (llList2Integer(gOut, at + 4) & 2) words += "Look before you try again: it may have been done, or not.";
            else words += "Nothing was done; try again in a while.";
            outboxDrop(i, 1, words);
        }
        else if (!(llList2Integer(gOut, at + 4) & 1) && age >= 1)
        {
            gOut = llListReplaceList(gOut, [llList2Integer(gOut, at + 4) | 1], at + 4, at + 4);
            string words = "Still asking the bridge.";
            if (gLost && gWhy != "") words = "Still asking the bridge; " + gWhy + ".";
            llRegionSayTo((key)who, 0, words);
        }
    }
}

// For the http_response event.
answered(key id, integer status, string msg)
{
    if (id != gFlight) return; // of another script in this prim, or of a request given up
    gFlight = NULL_KEY;
    string why = unseal(msg, "answer");
    if (why == "" && gInSeq != gFlightSeq) why = "an old one";
    if (why != "")
    {
        if (llSubStringIndex(msg, "primrack/1 refused ") == 0)
        {
            why = cut(clean(llGetSubString(msg, 11, 260)), 250);
            if (status == 429) later("it is busy", 2, 30);
            else
            {
                toOwner("The bridge " + why);
                later("it " + why, 30, 300);
            }
        }
        else if (status == 200)
        {
            toOwner("What answers at " + gBridge + " is not this object's bridge: the answer is " + why + ".");
            later("the answer was not the bridge's", 30, 300);
        }
        else
        {
            if (status < 499) toOwner("What answers at " + gBridge + " is not the bridge: status " + (string)status + ".");
            later("the answer was status " + (string)status, 8, 120);
        }
        pump();
        return;
    }
    if (gInNonce != gNonce)
    {
        // The bridge has started anew. Its answer is proof enough to follow it, back as well.
        gNonce = gInNonce;
        gPushBoot = gInBoot;
        gPushSeq = 0;
        gRegAt = 0;
    }
    string refused = member(gInBody, "refused");
    if (refused != "") refusedBy(refused);
    else if (gFlightEvents) accepted();
    else if (member(gInBody, "ok") == "registered")
    {
        integer renew = within(member(gInBody, "renew"), 60, 86400);
        if (renew < 0) renew = 600;
        gRegistered = TRUE;
        gHeld = "";
        settled();
        gRegAt = llGetUnixTime() + renew / 2 + dice(renew / 4);
    }
    else later("the answer was not understood", 30, 300);
    pump();
}

// Gives out the answers to the events in flight. What has none stays and is sent again.
accepted()
{
    list entries = llJson2List(llJsonGetValue(gInBody, ["list"]));
    integer n = llGetListLength(entries);
    integer count = gFlightEvents;
    integer done;
    integer i;
    for (i = 0; i < n; ++i)
    {
        string entry = llList2String(entries, i);
        integer at = llListFindList(gOut, [member(entry, "id")]);
        if (at >= 0 && at % 5 == 0 && at < count * 5)
        {
            string who = llList2String(gOut, at + 2);
            gOut = llDeleteSubList(gOut, at, at + 4);
            --count;
            ++done;
            string to = member(entry, "who");
            if (llStringLength(to) == 36) who = to;
            if (who != "") verdict(entry, who);
        }
    }
    if (done) settled();
    else later("the answer was for something else", 8, 120);
}

refusedBy(string why)
{
    string words = cut(clean(member(gInBody, "say")), 255);
    integer last = number(member(gInBody, "last"));
    integer now = llGetUnixTime();
    if (why == "nonce" || why == "replayed" || why == "reordered")
    {
        if (last >= 0) gSeq = last;
        again("the bridge and this object do not agree on the count");
    }
    else if (why == "skew")
    {
        gSkew = gInTime - now;
        again("the bridge and this object do not agree on the time");
    }
    else if (why == "not-registered")
    {
        gRegistered = FALSE;
        gRegAt = 0;
        again("this object is not registered");
    }
    else if (why == "wait")
    {
        gRegistered = FALSE;
        integer wait = within(member(gInBody, "again"), 1, 300);
        if (wait < 0) wait = 30;
        gRegAt = now + wait;
        gWhy = "another object with this id is being asked first";
    }
    else if (why == "url" || why == "owner" || why == "copy")
    {
        gRegistered = FALSE;
        gRegAt = now + 90 + dice(60);
        gHeld = words;
        if (gHeld == "") gHeld = why;
        toOwner("The bridge does not take this object (" + why + "): " + words);
    }
    else if (why == "garbage")
    {
        toOwner("The bridge does not understand this script (" + words + "). Is the script as new as the bridge?");
        if (gFlightEvents) outboxDrop(0, gFlightEvents, "The bridge does not understand this object's script; nothing was done.");
        later("it does not understand this script", 30, 300);
    }
    else later("it refused: " + why, 4, 120); // truncated, too-many, and what a later bridge may say
}
