using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Events.Streams;

/// <summary>The scripts of streams; each is one operation, in one slot.</summary>
internal sealed class StreamScripts
{
    /// <summary>As they stand in their files.</summary>
    public static readonly StreamScripts AsWritten = new(LuaScript.Load);

    private StreamScripts(Func<string, RedisScript> load)
    {
        Append = load("stream_append.lua");
        Look = load("stream_look.lua");
        Claim = load("stream_claim.lua");
        Renew = load("stream_renew.lua");
        Settle = load("stream_settle.lua");
        Mark = load("stream_mark.lua");
        Trim = load("stream_trim.lua");
        Redrive = load("stream_redrive.lua");
        Replay = load("stream_replay.lua");
    }

    public RedisScript Append { get; }

    public RedisScript Look { get; }

    public RedisScript Claim { get; }

    public RedisScript Renew { get; }

    public RedisScript Settle { get; }

    public RedisScript Mark { get; }

    public RedisScript Trim { get; }

    public RedisScript Redrive { get; }

    public RedisScript Replay { get; }

    /// <summary>Those of a process that begins now: as written, unless a test has changed a line.</summary>
    public static StreamScripts ForNow() =>
        StreamMutants.Script is { } mutant
            ? new StreamScripts(file => file == mutant.Script ? Mutated(file, mutant.Line, mutant.Instead) : LuaScript.Load(file))
            : AsWritten;

    private static RedisScript Mutated(string file, string line, string instead)
    {
        var source = LuaScript.Source(file);
        return source.Contains(line, StringComparison.Ordinal)
            ? new RedisScript(file, source.Replace(line, instead, StringComparison.Ordinal))
            : throw new InvalidOperationException($"{file} has no line \"{line}\".");
    }
}
