using System.Diagnostics.CodeAnalysis;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>What keys are now: the serialised value and when it ends. Read in one go.</summary>
internal sealed class KeyStates : IDisposable
{
    private readonly KeyState[] _states;

    private KeyStates(KeyState[] states) => _states = states;

    public KeyState this[int at] => _states[at];

    /// <summary>Asks for all of them, together. Value and end of a key are two questions: what changes between them is named by the tracker, and read again.</summary>
    /// <exception cref="RedisException">The server does not answer, or refuses.</exception>
    [SuppressMessage(
        "Reliability",
        "CA2012",
        Justification = "Each is awaited once; they stand in arrays so that the last can be awaited first."
    )]
    public static async Task<KeyStates> ReadAsync(Pipeline pipeline, IReadOnlyList<KeyName> keys)
    {
        var dumps = new ValueTask<PooledBytes>[keys.Count];
        var ends = new ValueTask<long>[keys.Count];
        for (var i = 0; i < keys.Count; i++)
        {
            dumps[i] = pipeline.Add(["DUMP", keys[i].Bytes], ReplyParsers.PooledBytes);
            ends[i] = pipeline.Add(["PEXPIRETIME", keys[i].Bytes], ReplyParsers.Int64);
        }

        pipeline.Flush();
        var states = new KeyState[keys.Count];
        for (var i = keys.Count - 1; i >= 0; i--)
        {
            var end = await ends[i].ConfigureAwait(false);
            states[i] = new KeyState(await dumps[i].ConfigureAwait(false), end);
        }

        return new KeyStates(states);
    }

    public void Dispose()
    {
        foreach (var state in _states)
            state.Dump.Dispose();
    }
}

/// <summary>A key as it is.</summary>
/// <param name="Dump">The value as DUMP has it; null where there is no key.</param>
/// <param name="EndsAt">As PEXPIRETIME says it: when it ends in milliseconds, -1 for never, -2 for no key.</param>
internal readonly record struct KeyState(PooledBytes Dump, long EndsAt)
{
    // It can end between the two questions.
    public bool IsGone => Dump.IsNull || EndsAt == -2;

    /// <summary>When it ends, in milliseconds since 1970; <c>null</c> for never.</summary>
    public long? Ends => EndsAt >= 0 ? EndsAt : null;
}
