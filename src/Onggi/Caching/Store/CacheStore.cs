using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Scripts;

namespace Onggi.Caching;

/// <summary>The cache's commands on a real Redis, over the connection whose reads the server watches for us; over the common one where there is none.</summary>
internal sealed class CacheStore(RedisClient redis, string epochName) : ICacheStore
{
    /// <summary>The most entries in one script, so that one call of ours does not hold up everybody else's on the server.</summary>
    private const int MostPerScript = 64;

    // A replica may not have heard yet of what was confirmed to have been removed.
    private const CommandOptions OfPrimary = CommandOptions.Idempotent | CommandOptions.Primary;

    private static readonly RedisScript HelloScript = LuaScript.Load("hello.lua");
    private static readonly RedisScript AskScript = LuaScript.Load("ask.lua");
    internal static readonly RedisScript ReadScript = LuaScript.Load("read.lua");
    private static readonly RedisScript FillScript = LuaScript.Load("fill.lua");
    private static readonly RedisScript RenewScript = LuaScript.Load("renew.lua");
    internal static readonly RedisScript PutScript = LuaScript.Load("put.lua");

    private static readonly ReplyParser<EpochCall, bool> Hello = static (call, ref reader) =>
    {
        reader.Read();
        var epoch = reader.ReadString() ?? "";
        reader.Read();
        var began = reader.ReadInt64();
        reader.Read();
        var role = reader.ReadString() ?? "";
        reader.Read();
        var bound = reader.ReadInt64();
        reader.Read();
        var wasEmpty = reader.ReadInt64() == 1;
        reader.Read();
        var ceiling = reader.ReadInt64();
        reader.Read();
        call.Take(new Greeting(epoch, began, role, bound, wasEmpty, ceiling, reader.ReadString() ?? ""));
        return true;
    };

    private static readonly ReplyParser<EpochCall, bool> Beat = static (call, ref reader) =>
    {
        call.Take(reader.IsNull ? default : reader.ReadSpan());
        return true;
    };

    private static readonly ReplyParser<EntryCall, bool> Life = static (call, ref reader) =>
    {
        call.TakeLife(reader.ReadInt64());
        return true;
    };

    private static readonly ReplyParser<Action, bool> Removed = static (removed, ref _) =>
    {
        removed();
        return true;
    };

    private static readonly ReplyParser<FillCode[]> FillCodes = static (ref reader) =>
        ReplyParsers.ReadArray(ref reader, static (ref code) => (FillCode)code.ReadInt64());

    private static readonly ReplyParser<bool[]> Booleans = static (ref reader) =>
        ReplyParsers.ReadArray(ref reader, static (ref done) => done.ReadInt64() == 1);

    private static readonly ReplyParser<EntryCall, bool> Value = static (call, ref reader) =>
    {
        call.TakeFirst(ref reader);
        return true;
    };

    private static readonly ReplyParser<Part, bool> Asked = static (part, ref reader) =>
    {
        var count = reader.Count;
        for (var i = 0; i < count; i++)
        {
            reader.Read();
            reader.Read();
            var code = (AskCode)reader.ReadInt64();
            reader.Read();
            var json = part.Call.ReadJson(ref reader, out var isOversized);
            reader.Read();
            var left = reader.ReadInt64();
            reader.Read();
            part.Call.Take(part.First + i, new Asked(code, json, isOversized, left, reader.ReadString()));
        }

        return true;
    };

    private static readonly ReplyParser<Part, bool> ReadReplies = static (part, ref reader) =>
    {
        var count = reader.Count;
        for (var i = 0; i < count; i++)
        {
            reader.Read();
            reader.Read();
            var json = part.Call.ReadJson(ref reader, out var isOversized);
            reader.Read();
            var left = reader.ReadInt64();
            part.Call.Take(part.First + i, new Asked(AskCode.Absent, json, isOversized, left, null));
        }

        return true;
    };

    private volatile TrackedLink? _link;

    private sealed record Part(EntryCall Call, int First);

    public bool IsKnownDown => (_link as Router ?? redis.Router).IsKnownDown;

    public TimeSpan CommandTimeout => redis.Options.CommandTimeout;

    // On a cluster each entry may be another server's; the client takes each to its own.
    private int PerScript => _link is null ? 1 : MostPerScript;

    public ValueTask WhenKnownAsync(CancellationToken cancellationToken) => redis.WhenKnownAsync(cancellationToken);

    public bool TryTrack(ITrackingSink sink, TimeSpan deadAfter)
    {
        try
        {
            // All that is read there is kept, or waited for.
            _link = redis.Track(sink, deadAfter, TrackedReads.All);
            _link.Start();
            return true;
        }
        catch (NotSupportedException)
        {
            _link = null;
            return false;
        }
    }

    public void Abort(string reason) => _link?.Abort(reason);

    public async ValueTask HelloAsync(EpochCall call) =>
        await SendAsync(
                new Command(HelloScript, [epochName], [call.AskedBoundMs]),
                call,
                Hello,
                CommandOptions.NoRetry,
                tracked: false,
                CancellationToken.None
            )
            .ConfigureAwait(Rt.Capture);

    public async ValueTask BeatAsync(EpochCall call) =>
        await SendAsync(new Command(["GET", epochName]), call, Beat, CommandOptions.NoRetry, tracked: false, CancellationToken.None)
            .ConfigureAwait(Rt.Capture);

    public ValueTask<bool> ReadAsync(EntryCall call, CancellationToken cancellationToken)
    {
        var name = call[0].WireName;
        // In this order on one connection: between the two replies stands every invalidation that would part them.
        // What no memory keeps need not be watched: each change would be told to us for nothing.
        if (_link is { } link)
        {
            var get = new Command(["GET", name]);
            var life = new Command(["PTTL", name]);
            return call[0].Family.KeepsInMemory
                ? link.SendTrackedPairAsync(in get, in life, call, Life, CommandOptions.Idempotent, cancellationToken)
                : redis.Router.SendPairAsync(in get, in life, call, Life, OfPrimary | LaneOf(call, 0), cancellationToken);
        }

        var value = redis.Router.SendAsync(new Command(["GET", name]), call, Value, OfPrimary | LaneOf(call, 0), cancellationToken);
        var left = redis.Router.SendAsync(new Command(["PTTL", name]), call, Life, OfPrimary, cancellationToken);
        return BothAsync(value, left);
    }

    public async ValueTask ReadManyAsync(EntryCall call, CancellationToken cancellationToken)
    {
        var parts = new List<Task>();
        foreach (var (first, count) in Parts(call.Count, i => call[i].Family.Policy.Large))
        {
            var keys = new RedisArg[count];
            for (var i = 0; i < keys.Length; i++)
                keys[i] = call[first + i].WireName;
            parts.Add(
                SendAsync(
                        new Command(ReadScript, keys, Beliefs(call, first, keys.Length)),
                        new Part(call, first),
                        ReadReplies,
                        CommandOptions.Idempotent | LaneOf(call, first),
                        tracked: true,
                        cancellationToken
                    )
                    .AsTask()
            );
        }

        await Task.WhenAll(parts).ConfigureAwait(Rt.Capture);
    }

    public ValueTask AskAsync(EntryCall call, in LeaseTerms terms)
    {
        // All are of one family.
        if (call.Count <= PerScript)
            return DoneAsync(AskPartAsync(call, 0, call.Count, terms));
        var parts = new List<Task>();
        for (var first = 0; first < call.Count; first += PerScript)
            parts.Add(AskPartAsync(call, first, Math.Min(PerScript, call.Count - first), terms).AsTask());
        return new ValueTask(Task.WhenAll(parts));
    }

    public async ValueTask<bool> WatchLeaseAsync(string wireName) =>
        // Where nobody is told, it is asked again before long.
        _link is not { } link
        || await link.SendTrackedAsync(
                new Command(["EXISTS", LeaseName.Of(wireName)]),
                ReplyParsers.Boolean,
                CommandOptions.Idempotent,
                CancellationToken.None
            )
            .ConfigureAwait(Rt.Capture);

    public async ValueTask<FillCode[]> FillAsync(string token, IReadOnlyList<FilledEntry> entries, long connection)
    {
        var parts = new List<Task<FillCode[]>>();
        foreach (var (first, count) in Parts(entries.Count, i => entries[i].IsLarge))
        {
            // What goes over the connection for large values goes to whatever server that leads to: there the server looks itself whether it gave the lease.
            var isLarge = entries[first].IsLarge;
            var (keys, values) = WithLeases(entries, first, count, before: 1, behind: isLarge ? 1 : 0);
            values[0] = token;
            if (isLarge)
                values[^1] = 1;
            var fill = new Command(FillScript, keys, values);
            parts.Add(SendOnAsync(connection, in fill, FillCodes, CommandOptions.NoRetry | LaneOf(entries[first])).AsTask());
        }

        return await AllAsync(parts).ConfigureAwait(Rt.Capture);
    }

    public async ValueTask<bool[]> RenewAsync(string token, IReadOnlyList<string> wireNames, TimeSpan lease, long connection)
    {
        var parts = new List<Task<bool[]>>();
        for (var first = 0; first < wireNames.Count; first += PerScript)
        {
            var keys = new RedisArg[2 * Math.Min(PerScript, wireNames.Count - first)];
            for (var i = 0; i < keys.Length; i += 2)
            {
                var name = wireNames[first + (i / 2)];
                (keys[i], keys[i + 1]) = (name, LeaseName.Of(name));
            }

            var command = new Command(RenewScript, keys, [token, (long)lease.TotalMilliseconds]);
            parts.Add(SendOnAsync(connection, command, Booleans, CommandOptions.Idempotent).AsTask());
        }

        return await AllAsync(parts).ConfigureAwait(Rt.Capture);
    }

    public async ValueTask PutAsync(IReadOnlyList<FilledEntry> entries, CancellationToken cancellationToken)
    {
        var parts = new List<Task>();
        foreach (var (first, count) in Parts(entries.Count, i => entries[i].IsLarge))
        {
            var (keys, values) = WithLeases(entries, first, count, before: 0, behind: 0);
            parts.Add(
                SendAsync(new Command(PutScript, keys, values), ReplyParsers.Ignore, LaneOf(entries[first]), cancellationToken).AsTask()
            );
        }

        await Task.WhenAll(parts).ConfigureAwait(Rt.Capture);
    }

    public RedisBatch NewBatch() => new(_link as Router ?? redis.Router, redis.Options);

    public RedisBatch NewReadBatch() => new(redis.Router, redis.Options);

    public ValueTask<byte[]?> PeekAsync(string wireName, CancellationToken cancellationToken) =>
        redis.SendAsync(["GET", wireName], ReplyParsers.Bytes, CommandOptions.Primary, cancellationToken);

    public IAsyncEnumerable<string> ScanAsync(string pattern, CancellationToken cancellationToken) =>
        redis.ScanAsync(pattern, cancellationToken: cancellationToken);

    public async ValueTask RemoveAsync(ReadOnlyMemory<string> wireNames, Action? removed, CancellationToken cancellationToken)
    {
        var command = new RedisArg[1 + (2 * wireNames.Length)];
        command[0] = "UNLINK";
        for (var i = 0; i < wireNames.Length; i++)
        {
            command[1 + (2 * i)] = wireNames.Span[i];
            // mutant: LeaseStays
            command[2 + (2 * i)] = CoherenceMutants.LeaseStays ? wireNames.Span[i] : LeaseName.Of(wireNames.Span[i]);
        }

        await SendAsync(
                new Command(command),
                removed ?? (static () => { }),
                Removed,
                CommandOptions.None,
                tracked: false,
                cancellationToken
            )
            .ConfigureAwait(Rt.Capture);
    }

    private ValueTask<bool> AskPartAsync(EntryCall call, int first, int count, in LeaseTerms terms)
    {
        var keys = new RedisArg[2 * count];
        var args = new RedisArg[8 + count];
        args[0] = terms.Token;
        args[1] = (long)terms.Lease.TotalMilliseconds;
        args[2] = terms.Epoch;
        args[3] = terms.Began;
        args[4] = (long)terms.Grace.TotalMilliseconds;
        args[5] = (long)terms.Negative.TotalMilliseconds;
        args[6] = (long)terms.Sliding.TotalMilliseconds;
        args[7] =
            terms.Steal ? 2
            : terms.Overwrite ? 1
            : 0;
        for (var i = 0; i < count; i++)
        {
            var ask = call[first + i];
            keys[2 * i] = ask.WireName;
            keys[(2 * i) + 1] = LeaseName.Of(ask.WireName);
            args[8 + i] = ask.LifeMs;
        }

        return SendAsync(
            new Command(AskScript, keys, args),
            new Part(call, first),
            Asked,
            CommandOptions.Idempotent | LaneOf(call, first),
            tracked: true,
            CancellationToken.None
        );
    }

    // Values that go over the connection for large ones are not mixed with others.
    private IEnumerable<(int First, int Count)> Parts(int count, Func<int, bool> isLarge)
    {
        for (int first = 0, next; first < count; first = next)
        {
            var most = Math.Min(count, first + PerScript);
            for (next = first + 1; next < most && isLarge(next) == isLarge(first); next++) { }
            yield return (first, next - first);
        }
    }

    private static CommandOptions LaneOf(EntryCall call, int index) =>
        call[index].Family.Policy.Large ? CommandOptions.Bulk : CommandOptions.None;

    private static CommandOptions LaneOf(in FilledEntry entry) => entry.IsLarge ? CommandOptions.Bulk : CommandOptions.None;

    // Nothing where all is believed, as mostly.
    private static RedisArg[] Beliefs(EntryCall call, int first, int count)
    {
        var some = false;
        for (var i = 0; i < count; i++)
            some |= call[first + i].BelievedFrom > 0;
        if (!some)
            return [];
        var beliefs = new RedisArg[3 * count];
        for (var i = 0; i < count; i++)
        {
            var ask = call[first + i];
            beliefs[3 * i] = ask.BelievedFrom;
            beliefs[(3 * i) + 1] = ask.LifeMs;
            beliefs[(3 * i) + 2] = (long)ask.Family.Settings.NegativeTtl.TotalMilliseconds;
        }

        return beliefs;
    }

    private static (RedisArg[] Keys, RedisArg[] Values) WithLeases(
        IReadOnlyList<FilledEntry> entries,
        int first,
        int count,
        int before,
        int behind
    )
    {
        var keys = new RedisArg[2 * count];
        var values = new RedisArg[before + (2 * count) + behind];
        for (var i = 0; i < count; i++)
        {
            var entry = entries[first + i];
            keys[2 * i] = entry.WireName;
            keys[(2 * i) + 1] = LeaseName.Of(entry.WireName);
            values[before + (2 * i)] = entry.Json;
            values[before + (2 * i) + 1] = entry.LifeMs;
        }

        return (keys, values);
    }

    // Over the connection whose reads are watched, but for large values, and where there is none.
    private TrackedLink? LinkFor(CommandOptions options) => (options & CommandOptions.Bulk) == CommandOptions.None ? _link : null;

    private ValueTask<bool> SendAsync<TState>(
        in Command command,
        TState state,
        ReplyParser<TState, bool> parser,
        CommandOptions options,
        bool tracked,
        CancellationToken cancellationToken
    )
        where TState : class =>
        LinkFor(options) is not { } link
            ? redis.Router.SendAsync(in command, state, parser, options | CommandOptions.Primary, cancellationToken)
        : tracked ? link.SendTrackedAsync(in command, state, parser, options, cancellationToken)
        : link.SendAsync(in command, state, parser, options, cancellationToken);

    private ValueTask<T> SendAsync<T>(
        in Command command,
        ReplyParser<T> parser,
        CommandOptions options,
        CancellationToken cancellationToken
    ) => (LinkFor(options) as Router ?? redis.Router).SendAsync(in command, parser, options, cancellationToken);

    private ValueTask<T> SendOnAsync<T>(long connection, in Command command, ReplyParser<T> parser, CommandOptions options) =>
        LinkFor(options) is { } link
            ? link.SendOnAsync(connection, in command, parser, options, CancellationToken.None)
            : redis.Router.SendAsync(in command, parser, options, CancellationToken.None);

    private static async ValueTask DoneAsync(ValueTask<bool> answer) => await answer.ConfigureAwait(Rt.Capture);

    // Both have been sent when this begins; whatever becomes of the first, the second is waited for.
    private static async ValueTask<bool> BothAsync(ValueTask<bool> first, ValueTask<bool> second)
    {
        try
        {
            await first.ConfigureAwait(Rt.Capture);
        }
        finally
        {
            await second.ConfigureAwait(Rt.Capture);
        }

        return true;
    }

    private static async ValueTask<T[]> AllAsync<T>(List<Task<T[]>> parts)
    {
        var answers = await Task.WhenAll(parts).ConfigureAwait(Rt.Capture);
        return answers.Length == 1 ? answers[0] : [.. answers.SelectMany(static answer => answer)];
    }
}
