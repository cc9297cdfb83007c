using System.Globalization;

namespace Onggi.Client;

/// <summary>What a client cannot work with is refused when it is made, by the option's name, rather than met later as commands that fail for no visible reason.</summary>
internal static class OptionRules
{
    // No timer of the system takes more.
    private static readonly TimeSpan Most = TimeSpan.FromMilliseconds(int.MaxValue);

    /// <exception cref="ArgumentException">An option has a value that means nothing; the message says which and what to write.</exception>
    public static void Check(RedisClientOptions options)
    {
        foreach (var server in options.Seeds)
        {
            if (string.IsNullOrWhiteSpace(server.Host))
                throw Wrong("Host is empty. Write the name or the address of the server, or several in Servers.");
            if (server.Port is < 1 or > ushort.MaxValue)
                throw Wrong($"Port must be from 1 to 65535, not {server.Port.ToString(CultureInfo.InvariantCulture)}.");
        }

        Time(nameof(options.ConnectTimeout), options.ConnectTimeout);
        Time(nameof(options.CommandTimeout), options.CommandTimeout);
        Time(nameof(options.KeepAlive), options.KeepAlive);
        Time(nameof(options.DeadAfter), options.DeadAfter);
        Pause(nameof(options.ReconnectPause), options.ReconnectPause);
        Pause(nameof(options.MaxReconnectPause), options.MaxReconnectPause);
        AtLeast(0, nameof(options.Database), options.Database);
        AtLeast(1, nameof(options.MaxInFlight), options.MaxInFlight);
        AtLeast(0, nameof(options.MaxBacklog), options.MaxBacklog);
        AtLeast(1, nameof(options.MaxBufferedBytes), options.MaxBufferedBytes);
        AtLeast(1, nameof(options.MaxLeases), options.MaxLeases);
        AtLeast(1, nameof(options.SubscriptionBuffer), options.SubscriptionBuffer);
        AtLeast(1, nameof(options.SubscriptionBufferBytes), options.SubscriptionBufferBytes);
    }

    private static void Time(string name, TimeSpan value)
    {
        if (value <= TimeSpan.Zero || value > Most)
            throw Wrong(
                $"{name} must be more than nothing and at most 24 days, not {value}: a wait without an end would outlive a Redis that hangs."
            );
    }

    private static void Pause(string name, TimeSpan value)
    {
        if (value < TimeSpan.Zero || value > Most)
            throw Wrong($"{name} must be from nothing to 24 days, not {value}.");
    }

    private static void AtLeast(long least, string name, long value)
    {
        if (value < least)
            throw Wrong(string.Create(CultureInfo.InvariantCulture, $"{name} must be at least {least}, not {value}."));
    }

    private static ArgumentException Wrong(string message) => new(message);
}
