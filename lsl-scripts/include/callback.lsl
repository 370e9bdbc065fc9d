// The object's own URL: asked for, renewed, given back. Needs text.lsl and owner.lsl.
//
// The object has:
//   urlGranted()   gUrl is new

string gUrl;                // "" while there is none
key gUrlAsk = NULL_KEY;     // the request that is out
integer gUrlAt;             // when to ask (again), 0: not at all
integer gUrlTries;

// Gives the URL back. A grant that is still under way is given back when it comes.
urlDrop()
{
    if (gUrl != "") llReleaseURL(gUrl);
    gUrl = "";
    gUrlAsk = NULL_KEY;
}

// Asks for a new URL within so many seconds. Called twice, it asks once.
urlRenew(integer spread)
{
    urlDrop();
    gUrlTries = 0;
    gUrlAt = llGetUnixTime() + dice(spread + 1);
}

urlTick(integer now)
{
    if (gUrlAt == 0 || now < gUrlAt) return;
    urlDrop();
    // A grant can be lost in a full event queue: then ask again.
    gUrlAt = now + 60;
    gUrlAsk = llRequestURL();
}

// For the http_request event: TRUE when it was about the URL itself.
integer urlEvent(key id, string method, string body)
{
    if (method == URL_REQUEST_GRANTED)
    {
        if (id != gUrlAsk) llReleaseURL(body);
        else
        {
            gUrlAsk = NULL_KEY;
            gUrl = body;
            gUrlAt = 0;
            gUrlTries = 0;
            urlGranted();
        }
        return TRUE;
    }
    if (method == URL_REQUEST_DENIED)
    {
        if (id == gUrlAsk)
        {
            gUrlAsk = NULL_KEY;
            if (gUrlTries < 4) ++gUrlTries;
            gUrlAt = llGetUnixTime() + 30 * gUrlTries + dice(30);
//#if secondlife
            toOwner("The region gives this script no URL (" + cut(body, 200)
                + "). Its parcel has none left; scripts give theirs back when they are removed. Trying again.");
//#else
            toOwner("The simulator gives this script no URL (" + cut(body, 200)
                + "). See ExternalHostNameForLSL in [Network] and max_external_urls_per_simulator in [LL-Functions]. Trying again.");
//#end
        }
        return TRUE;
    }
    return FALSE;
}
