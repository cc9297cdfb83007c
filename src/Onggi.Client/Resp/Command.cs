namespace Onggi.Client.Resp;

/// <summary>One command to be written: its arguments, or a script with keys and arguments. It lives only until it is written.</summary>
internal readonly ref struct Command
{
    public Command(ReadOnlySpan<RedisArg> args) => Args = args;

    public Command(RedisScript script, ReadOnlySpan<RedisArg> keys, ReadOnlySpan<RedisArg> args)
    {
        Script = script;
        Keys = keys;
        Args = args;
    }

    public ReadOnlySpan<RedisArg> Args { get; }

    public ReadOnlySpan<RedisArg> Keys { get; }

    public RedisScript? Script { get; }

    /// <summary>No fewer bytes than the command takes on the wire, without counting each character.</summary>
    public long MostBytes
    {
        get
        {
            var most = 128L;
            foreach (ref readonly var key in Keys)
                most += 16 + key.MostBytes;
            foreach (ref readonly var arg in Args)
                most += 16 + arg.MostBytes;
            return most;
        }
    }

    /// <summary>The command's name for metrics and messages; never an argument.</summary>
    public string Name =>
        Script is not null ? Script.ByDigest
        : Args.IsEmpty ? ""
        : Args[0].Name;
}
