using System.Diagnostics.CodeAnalysis;
using Onggi.Cli.Server;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>How a key of the target is unlike the one it is a copy of.</summary>
internal enum KeyDifference
{
    Missing,
    Extra,
    Value,
    End,
}

/// <summary>One difference.</summary>
/// <param name="Move">The pair.</param>
/// <param name="Kind">What it is.</param>
/// <param name="EndDifference">By how many milliseconds the ends differ, where both have one.</param>
internal readonly record struct KeyMismatch(KeyMove Move, KeyDifference Kind, long EndDifference = 0);

/// <summary>Compares keys of both sides: values as they mean, ends to the millisecond.</summary>
/// <remarks>Equal values may be serialised differently (the order in a hash table, another version's encoding): where the bytes differ, a digest of the value in a fixed order decides.</remarks>
internal sealed class KeyComparer(MigrationServers servers, PipelinePool readers)
{
    /// <summary>Compares a batch. A round trip at each side, and two more where the bytes of some differ.</summary>
    public async Task<List<KeyMismatch>> CompareAsync(IReadOnlyList<KeyMove> moves, CancellationToken cancellationToken)
    {
        var found = new List<KeyMismatch>();
        foreach (var group in moves.GroupBy(move => (move.SourceDatabase, move.TargetDatabase)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (source, target) = (servers.Source(group.Key.SourceDatabase), servers.Target(group.Key.TargetDatabase));
            var here = await readers.RentAsync(source, cancellationToken).ConfigureAwait(false);
            var there = await readers.RentAsync(target, cancellationToken).ConfigureAwait(false);
            await CompareAsync([.. group], here, there, found).ConfigureAwait(false);
            readers.Return(source, here);
            readers.Return(target, there);
        }

        return found;
    }

    private static async Task CompareAsync(List<KeyMove> pairs, Pipeline here, Pipeline there, List<KeyMismatch> found)
    {
        var reading = KeyStates.ReadAsync(here, pairs.ConvertAll(pair => pair.Source));
        using var targets = await KeyStates.ReadAsync(there, pairs.ConvertAll(pair => pair.Target)).ConfigureAwait(false);
        using var sources = await reading.ConfigureAwait(false);
        var unlike = new List<KeyMove>();
        for (var i = 0; i < pairs.Count; i++)
        {
            var (source, target) = (sources[i], targets[i]);
            if (source.IsGone && target.IsGone)
                continue;
            if (source.IsGone || target.IsGone)
                found.Add(new KeyMismatch(pairs[i], source.IsGone ? KeyDifference.Extra : KeyDifference.Missing));
            else if (source.EndsAt != target.EndsAt)
                found.Add(new KeyMismatch(pairs[i], KeyDifference.End, Math.Abs(source.EndsAt - target.EndsAt)));
            else if (!source.Dump.Span.SequenceEqual(target.Dump.Span))
                unlike.Add(pairs[i]);
        }

        if (unlike.Count == 0)
            return;
        var ones = DigestsAsync(here, unlike.ConvertAll(pair => pair.Source));
        var others = await DigestsAsync(there, unlike.ConvertAll(pair => pair.Target)).ConfigureAwait(false);
        var digests = await ones.ConfigureAwait(false);
        for (var i = 0; i < unlike.Count; i++)
        {
            if (digests[i] is null || others[i] is null || !digests[i].AsSpan().SequenceEqual(others[i]))
                found.Add(new KeyMismatch(unlike[i], KeyDifference.Value));
        }
    }

    /// <summary>Digests of values that do not depend on how or in which order the server keeps them; empty where there is no key, <c>null</c> where it changed under our hands.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "Each is awaited once, by the pipeline.")]
    private static async Task<byte[]?[]> DigestsAsync(Pipeline pipeline, List<KeyName> keys)
    {
        var asked = keys.Select(key => pipeline.Add(["TYPE", key.Bytes], ReplyParsers.Text)).ToArray();
        var types = await pipeline.FlushAsync(asked).ConfigureAwait(false);
        var questions = keys.Select((key, i) => pipeline.Add(QuestionOf(types[i]!, key), ReplyParsers.Reply)).ToArray();
        pipeline.Flush();
        var digests = new byte[]?[keys.Count];
        for (var i = questions.Length - 1; i >= 0; i--)
        {
            try
            {
                var value = await questions[i].ConfigureAwait(false);
                digests[i] = types[i] == "none" ? [] : ValueDigest.Of(ValueDigest.KindOf(types[i]!), value);
            }
            catch (RedisServerException)
            {
                // It has become another type meanwhile, or is gone: like nothing, until it is looked at again.
                digests[i] = null;
            }
        }

        return digests;
    }

    // Of what is known by its serialised form only, that form is compared.
    private static RedisArg[] QuestionOf(string type, KeyName key) =>
        ValueDigest.Question(ValueDigest.KindOf(type), key.Bytes) is { Length: > 0 } question ? question : ["DUMP", key.Bytes];
}
