using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Sessions;

/// <summary>The scripts of sessions; each is one operation.</summary>
internal sealed class SessionScripts
{
    /// <summary>As they stand in their files.</summary>
    public static readonly SessionScripts AsWritten = new(LuaScript.Load);

    private SessionScripts(Func<string, RedisScript> load)
    {
        Create = load("sessioncreate.lua");
        Touch = load("sessiontouch.lua");
        Save = load("sessionsave.lua");
        Rotate = load("sessionrotate.lua");
        Revoke = load("sessionrevoke.lua");
        List = load("sessionlist.lua");
        Look = load("sessionlook.lua");
        Reap = load("sessionreap.lua");
    }

    public RedisScript Create { get; }

    public RedisScript Touch { get; }

    public RedisScript Save { get; }

    public RedisScript Rotate { get; }

    public RedisScript Revoke { get; }

    public RedisScript List { get; }

    public RedisScript Look { get; }

    public RedisScript Reap { get; }

    /// <summary>Those of a store that is made now: as written, unless a test has changed a line.</summary>
    public static SessionScripts ForNow() =>
        SessionMutants.Script is { } mutant
            ? new SessionScripts(file => file == mutant.Script ? Mutated(file, mutant.Line, mutant.Instead) : LuaScript.Load(file))
            : AsWritten;

    private static RedisScript Mutated(string file, string line, string instead)
    {
        var source = LuaScript.Source(file);
        return source.Contains(line, StringComparison.Ordinal)
            ? new RedisScript(file, source.Replace(line, instead, StringComparison.Ordinal))
            : throw new InvalidOperationException($"{file} has no line \"{line}\".");
    }
}
