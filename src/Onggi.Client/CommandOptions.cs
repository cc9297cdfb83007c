namespace Onggi.Client;

/// <summary>What a caller may ask of one command beyond its arguments.</summary>
[Flags]
public enum CommandOptions
{
    /// <summary>Nothing special.</summary>
    None = 0,

    /// <summary>Doing it twice is harmless: it is asked again when the connection was lost before the reply came.</summary>
    Idempotent = 1,

    /// <summary>Its arguments or its reply are large: it goes over the connection for such, where nobody who is in a hurry waits behind it.</summary>
    Bulk = 2,

    /// <summary>A replica may answer, whatever <see cref="RedisClientOptions.ReadFrom"/> says. What it answers can be old.</summary>
    PreferReplica = 4,

    /// <summary>The primary must answer, whatever <see cref="RedisClientOptions.ReadFrom"/> says.</summary>
    Primary = 8,

    /// <summary>The first answer counts, also a refusal such as LOADING: it is not asked again (but for what routing needs: MOVED, ASK, NOSCRIPT).</summary>
    NoRetry = 16,
}
