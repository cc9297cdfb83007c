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

    /// <summary>The command's name for metrics and messages; never an argument.</summary>
    public string Name =>
        Script is not null ? "EVALSHA"
        : Args.IsEmpty ? ""
        : Args[0].Name;
}
