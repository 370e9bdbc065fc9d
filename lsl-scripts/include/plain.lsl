// A thing without settings and effects of its own. Needs thing.lsl.

ownForget()
{
    thingForget();
}

string ownSetting(string name, string value)
{
    return thingSetting(name, value);
}

effect(integer link, string what)
{
}
