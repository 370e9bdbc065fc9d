// Pushes from the bridge: proved, drawn, acknowledged (PROTOCOL.md, "Pushes").
// Needs envelope.lsl, outbox.lsl and draw.lsl.

integer gPushBoot;   // the last one taken
integer gPushSeq;
integer gSoonAt;     // when one last led to a registration

acknowledge(key id, string body)
{
    // The push's own nonce and seq, so that this fits no other push.
    llHTTPResponse(id, 200, seal("ack", gInNonce, gInSeq, body));
}

registerSoon()
{
    // Anyone who has an old push can provoke this: so once in a while, not every time.
    integer now = llGetUnixTime();
    if (now - gSoonAt < 30) return;
    gSoonAt = now;
    gRegAt = now;
    pump();
}

pushed(key id, string method, string msg)
{
    if (method != "POST" || !gReady)
    {
        llHTTPResponse(id, 405, "primrack/1 refused malformed");
        return;
    }
    string why = unseal(msg, "push");
    msg = ""; // 2048 bytes are a good part of a script's memory
    if (why != "")
    {
        llHTTPResponse(id, 403, "primrack/1 refused " + why);
        return;
    }
    integer off = gInTime - clock();
    if (off > 120 || off < -120)
    {
        acknowledge(id, "{\"refused\":\"skew\"}");
        registerSoon();
        return;
    }
    if (gInBoot < gPushBoot || (gInBoot == gPushBoot && gInSeq <= gPushSeq))
    {
        acknowledge(id, "{\"refused\":\"old\",\"boot\":" + (string)gPushBoot + ",\"last\":" + (string)gPushSeq + "}");
        if (gInBoot < gPushBoot) registerSoon();
        return;
    }
    gPushBoot = gInBoot;
    gPushSeq = gInSeq;
    gNonce = gInNonce;
    drawPush();
    acknowledge(id, "{}");
    integer i;
    string tell = llJsonGetValue(gInBody, ["tell", 0]);
    while (tell != JSON_INVALID)
    {
        string words = cut(member(tell, "say"), 255);
        if (words != "") llRegionSayTo((key)member(tell, "who"), 0, words);
        tell = llJsonGetValue(gInBody, ["tell", ++i]);
    }
    gInBody = "";
    if (gLost)
    {
        gLost = FALSE;
        contact(TRUE);
    }
}
