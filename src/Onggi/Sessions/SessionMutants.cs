namespace Onggi.Sessions;

/// <summary>Known mistakes, one switch each, so that tests can show that they are caught. All are off, and nothing but a test turns one on.</summary>
/// <remarks>Those in C# stand in the code where the right way stands, beside a comment that begins with <c>mutant:</c>; those in scripts change the script's text.</remarks>
internal static class SessionMutants
{
    /// <summary>Redis has the ids themselves.</summary>
    public static bool PlainIds;

    /// <summary>An event is taken out of the outbox before it is published.</summary>
    public static bool ConfirmFirst;

    /// <summary>After a failover nobody says again what was revoked.</summary>
    public static bool ForgetRevocations;

    /// <summary>A call returns before the replicas know.</summary>
    public static bool NoWait;

    /// <summary>A line of a script, and what stands in its place; <c>null</c> for none.</summary>
    public static (string Script, string Line, string Instead)? Script;

    /// <summary>The count of a user's sessions is not looked at.</summary>
    public static readonly (string Script, string Line, string Instead) NoLimit = (
        "sessioncreate.lua",
        "local need = limit > 0 and #live - limit + 1 or 0",
        "local need = 0"
    );

    /// <summary>A save does not ask whether the session lives.</summary>
    public static readonly (string Script, string Line, string Instead) SaveRevives = (
        "sessionsave.lua",
        "local deadline = redis.call('ZSCORE', KEYS[2], ARGV[1])",
        "redis.call('HSET', KEYS[1], 'version', 1, 'data', ARGV[3]); local deadline = redis.call('ZSCORE', KEYS[2], ARGV[1])"
    );

    /// <summary>A touch believes the session's key, not the index.</summary>
    public static readonly (string Script, string Line, string Instead) TouchRevives = (
        "sessiontouch.lua",
        "local deadline = redis.call('ZSCORE', KEYS[2], handle)",
        "local deadline = redis.call('PEXPIRETIME', KEYS[1]); if deadline < 0 then deadline = false end; if deadline and not redis.call('HGET', KEYS[3], handle) then redis.call('HSET', KEYS[3], handle, '1,9999999999999,60000,1,') end"
    );

    /// <summary>An id that was replaced goes on for ever.</summary>
    public static readonly (string Script, string Line, string Instead) NoOverlapEnd = (
        "sessionrotate.lua",
        "redis.call('PEXPIRE', KEYS[1], text(math.min(tonumber(ARGV[4]), deadline - now)))",
        ""
    );

    /// <summary>A session that ends is not written into the outbox.</summary>
    public static readonly (string Script, string Line, string Instead) NoOutbox = (
        "sessionreap.lua",
        "redis.call('ZADD', KEYS[4], now + ARGV[2], entry)",
        ""
    );

    /// <summary>A session's key has no end.</summary>
    public static readonly (string Script, string Line, string Instead) NoTtl = (
        "sessioncreate.lua",
        "redis.call('PEXPIREAT', KEYS[1], text(deadline))",
        ""
    );
}
