using Onggi.Client;

namespace Onggi.Testing;

/// <summary>How a <see cref="ReplyTorture"/> runs.</summary>
public sealed record TortureSettings
{
    /// <summary>Where all randomness begins.</summary>
    public required int Seed { get; init; }

    /// <summary>After how many commands it ends.</summary>
    public long Commands { get; init; } = long.MaxValue;

    /// <summary>After how long it ends, whatever was done by then.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.MaxValue;

    /// <summary>How many callers ask at the same time.</summary>
    public int Callers { get; init; } = 64;

    /// <summary>Whether connections are cut, held, slowed down and swallowed meanwhile.</summary>
    public bool Faults { get; init; } = true;

    /// <summary>How the line is encrypted; <c>null</c> for not at all.</summary>
    public RedisTlsOptions? Tls { get; init; }
}

/// <summary>What a <see cref="ReplyTorture"/> saw.</summary>
/// <param name="Commands">How many commands were given.</param>
/// <param name="Answered">How many of them were answered with what was theirs.</param>
/// <param name="Cancelled">How many were given up by their callers.</param>
/// <param name="Failed">How many failed with an error that says so: connection lost, time-out, busy.</param>
/// <param name="Different">How many were answered with what was not theirs, or could not be true.</param>
/// <param name="Lost">How many were neither answered nor failed, long after the end.</param>
/// <param name="Faults">How many faults were made.</param>
/// <param name="Connections">How many connections there were.</param>
/// <param name="Elapsed">How long it took.</param>
/// <param name="Examples">The first few of the different and lost ones, in words.</param>
public sealed record TortureReport(
    long Commands,
    long Answered,
    long Cancelled,
    long Failed,
    long Different,
    long Lost,
    long Faults,
    int Connections,
    TimeSpan Elapsed,
    IReadOnlyList<string> Examples
)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Commands} commands in {Elapsed.TotalSeconds:0.0} s: {Answered} answered, {Cancelled} given up, {Failed} failed, {Different} different, {Lost} lost;"
        + $" {Faults} faults, {Connections} connections\n{string.Join('\n', Examples)}";
}
