using System.Globalization;

namespace Onggi.Testing;

/// <summary>Where the randomised tests begin: drawn anew in each run, or taken from the environment variable <c>ONGGI_SEED</c> to repeat a run.</summary>
public static class Seed
{
    /// <summary>This run's seed.</summary>
    public static int Value { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("ONGGI_SEED"), CultureInfo.InvariantCulture, out var given)
            ? given
            : Random.Shared.Next(1, int.MaxValue);

    /// <summary>What to set to repeat this run; put it into every failure's message.</summary>
    public static string Line { get; } = $"ONGGI_SEED={Value.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>A source of randomness for one test, so that tests do not disturb each other's draws.</summary>
    public static Random For(string name)
    {
        // string.GetHashCode differs from run to run.
        var mixed = Value;
        foreach (var letter in name)
            mixed = unchecked((mixed * 31) + letter);
        return new Random(mixed);
    }
}
