using Onggi.Client;
using Onggi.Scripts;

namespace Onggi.Locks;

/// <summary>The scripts of locks and what they answer.</summary>
internal static class LockScripts
{
    /// <summary>For so long after its last use the last fence of a lock is remembered.</summary>
    public static readonly TimeSpan FenceLife = TimeSpan.FromHours(24);

    public static readonly RedisScript Guard = LuaScript.Load("fence_guard.lua");

    public static readonly ReplyParser<AcquireReply> AcquireAnswer = static (ref reader) =>
    {
        reader.Read();
        var taken = reader.ReadInt64() == 1;
        reader.Read();
        return new AcquireReply(taken, reader.ReadInt64());
    };

    private static readonly RedisScript AcquireScript = LuaScript.Load("lock_acquire.lua");
    private static readonly RedisScript RenewScript = LuaScript.Load("lock_renew.lua");
    private static readonly RedisScript ReleaseScript = LuaScript.Load("lock_release.lua");

    // mutant: Acquire, Renew, Release
    public static RedisScript Acquire => LockMutants.Acquire ?? AcquireScript;

    public static RedisScript Renew => LockMutants.Renew ?? RenewScript;

    public static RedisScript Release => LockMutants.Release ?? ReleaseScript;
}

/// <summary>What Redis answers to who wants a lock.</summary>
/// <param name="Taken">Whether it is the asker's now.</param>
/// <param name="Number">Then the fence; otherwise for how many milliseconds another has it at most, if it is not renewed.</param>
internal readonly record struct AcquireReply(bool Taken, long Number);

/// <summary>What Redis answers to who gives a lock back.</summary>
internal enum ReleaseReply
{
    HeldByAnother = 0,
    Released = 1,
    Nobody = 2,
}
