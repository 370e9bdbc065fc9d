// Words for the owner: not the same ones over and over.

string gToldOwner;
integer gToldOwnerAt;

toOwner(string words)
{
    integer now = llGetUnixTime();
    if (words == gToldOwner && now - gToldOwnerAt < 600) return;
    gToldOwner = words;
    gToldOwnerAt = now;
    llOwnerSay(words);
}
