// The message authentication code, in the form that this grid can compute (PROTOCOL.md, "The three forms").

//#if secondlife
string FORM = "b64";
//#end
//#if opensim-master
string FORM = "hex";
//#end
//#if opensim-0.9.2 opensim-0.9.3
string FORM = "nest";
//#end

//#if secondlife opensim-master
string gSecret;

macKey(string secret)
{
    gSecret = secret;
}

string mac(string line)
{
    return llHMAC(gSecret, line, "sha256");
}
//#else
string gKin;
string gKout;

macKey(string secret)
{
    gKin = "";
    gKout = "";
    if (secret == "") return;
    gKin = llSHA256String("primrack-1-in " + secret);
    gKout = llSHA256String("primrack-1-out " + secret);
}

string mac(string line)
{
    return llSHA256String(gKout + llSHA256String(gKin + line));
}
//#end

// Equal or not, in a time that says nothing about where they differ.
integer same(string a, string b)
{
    return llSHA256String("=" + a) == llSHA256String("=" + b);
}
