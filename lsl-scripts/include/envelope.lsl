// A message: the signed header line and the body (PROTOCOL.md, "A message").
// Needs text.lsl and mac.lsl.

string gId;          // the object's id, from the notecard
string gKeyId;       // which key
integer gSkew;       // what to add to this grid's clock to get the bridge's

string gInNonce;     // what unseal() found
integer gInBoot;
integer gInSeq;
integer gInTime;
string gInBody;

integer clock()
{
    return llGetUnixTime() + gSkew;
}

string seal(string dir, string nonce, integer seq, string body)
{
    string line = "primrack/1 " + dir + " " + gId + " " + gKeyId + " " + nonce + " " + (string)seq + " "
        + (string)clock() + " " + llSHA256String(body) + " " + FORM;
    return line + " " + mac(line) + "\n" + body;
}

// Reads a message of the direction dir into the globals above. "" when the header, the MAC and the digest hold,
// else why they do not. MAC and digest are computed in every case where there is a line at all.
string unseal(string msg, string dir)
{
    gInBody = "";
    string line = llList2String(llParseStringKeepNulls(llGetSubString(msg, 0, 400), ["\n"], []), 0);
    integer end = llStringLength(line);
    if (end < 1 || end > 400 || end == llStringLength(msg)) return "malformed";
    if (end + 1 < llStringLength(msg)) gInBody = llGetSubString(msg, end + 1, -1);
    list f = llParseStringKeepNulls(line, [" "], []);
    if (llGetListLength(f) != 10) return "malformed";
    string given = llList2String(f, 9);
    string made = mac(llGetSubString(line, 0, end - llStringLength(given) - 2));
    integer holds = same(given, made);
    string digest = llSHA256String(gInBody);
    gInNonce = llList2String(f, 4);
    gInBoot = -1;
    integer dot = llSubStringIndex(gInNonce, ".");
    if (dot > 0 && dot + 17 == llStringLength(gInNonce))
    {
        if (only(llGetSubString(gInNonce, dot + 1, -1), "0123456789abcdef")) gInBoot = number(llGetSubString(gInNonce, 0, dot - 1));
    }
    gInSeq = number(llList2String(f, 5));
    gInTime = number(llList2String(f, 6));
    if (llList2String(f, 0) != "primrack/1") return "version";
    if (llList2String(f, 2) != gId) return "unknown-object";
    if (llList2String(f, 3) != gKeyId) return "unknown-key";
    if (llList2String(f, 1) != dir || llList2String(f, 8) != FORM) return "malformed";
    if (gInBoot < 0 || gInSeq < 1 || gInTime < 1) return "malformed";
    if (!holds) return "forged";
    if (digest != llList2String(f, 7)) return "truncated";
    return "";
}
