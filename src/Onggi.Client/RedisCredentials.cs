namespace Onggi.Client;

/// <summary>Who connects, as <see cref="RedisClientOptions.Credentials"/> gives it.</summary>
/// <param name="user">The ACL user; <c>null</c> means <c>default</c>.</param>
/// <param name="password">The password or token. Never logged.</param>
public sealed class RedisCredentials(string? user, string password)
{
    /// <summary>The ACL user; <c>null</c> means <c>default</c>.</summary>
    public string? User { get; } = user;

    /// <summary>The password or token. Never logged.</summary>
    public string Password { get; } = password ?? throw new ArgumentNullException(nameof(password));

    /// <summary>Until when they hold. Live connections are authenticated anew, without being dropped, when three quarters of the time until then have passed.</summary>
    /// <value>Default <c>null</c>: they are asked for at new connections only.</value>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The user, without the password.</summary>
    public override string ToString() => $"user '{User ?? "default"}'";
}

/// <summary>Why credentials are asked for.</summary>
public enum RedisCredentialReason
{
    /// <summary>A new connection is about to be made.</summary>
    Connecting,

    /// <summary>The server has just refused those that were given: give newer ones, not remembered ones. The same ones again end the attempt.</summary>
    Refused,

    /// <summary>Those of a live connection are about to expire.</summary>
    Expiring,
}

/// <summary>What <see cref="RedisClientOptions.Credentials"/> is told.</summary>
/// <param name="Server">The server that will see them.</param>
/// <param name="Reason">Why they are asked for.</param>
public readonly record struct RedisCredentialRequest(RedisAddress Server, RedisCredentialReason Reason);
