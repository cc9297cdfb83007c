using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Onggi.Client;
using Onggi.Client.Connections;
using Onggi.Client.Resp;
using Onggi.Client.Routing;
using Onggi.Testing;
using Xunit.Abstractions;

namespace Onggi.ServerTests.Client;

/// <summary>Copies filled by tracked reads only, against Redis itself, while others write, keys are flushed and connections are killed.</summary>
/// <remarks>
/// Every write puts a higher number. Once a write is acknowledged, and a PING sent after that has come back over the tracked connection, no copy of the key may be older than the write;
/// at the end every copy must be what Redis has. The same run over copies that do not listen must find old ones, or it would prove nothing.
/// </remarks>
public sealed class TrackingDifferentialTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Keys = 24;
    private const int Writers = 3;
    private const int Writes = 1500;

    private static readonly RedisScript ReadScript = new("read", "return redis.call('GET', KEYS[1])");

    private RedisServerProcess? _server;

    private RedisServerProcess Server => _server!;

    public async Task InitializeAsync() => _server = await RedisServerProcess.StartAsync();

    public async Task DisposeAsync() => await Server.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Copies_are_never_older_than_what_is_known_to_be_written(bool readerThread)
    {
        var copies = new Copies();

        Assert.Equal(0, await OldCopiesAsync(copies, readerThread));
        Assert.True(copies.Stored > Writes, $"Only {copies.Stored} values were stored.");
        Assert.True(copies.Losses > 2, $"The connection was lost only {copies.Losses} times.");
    }

    [Fact]
    public async Task Copies_that_ignore_invalidations_are_found_out() =>
        Assert.NotEqual(0, await OldCopiesAsync(new Copies { IgnoresInvalidations = true }));

    [Fact]
    public async Task Copies_that_survive_the_connection_are_found_out() =>
        Assert.NotEqual(0, await OldCopiesAsync(new Copies { IgnoresLosses = true }));

    private async Task<int> OldCopiesAsync(Copies copies, bool readerThread = false)
    {
        output.WriteLine(Seed.Line);
        await using var redis = await RedisClient.ConnectAsync(Server.ConnectionString);
        var often = RedisClientOptions.Parse(Server.ConnectionString);
        (often.ReconnectPause, often.MaxReconnectPause) = (TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(5));
        often.InlineCompletion = readerThread;
        await using var reading = await RedisClient.ConnectAsync(often);
        var link = reading.Track(copies);
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 4).Select(i => ReadAsync(link, copies, Seed.For($"reader {i}"), stop.Token)).ToArray();
        var old = 0;
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(i => WriteAsync(i)));
        await stop.CancelAsync();
        await Task.WhenAll(readers).Within();

        await ProveAsync(link);
        for (var key = 0; key < Keys; key++)
            if (copies.Find(key) is { } copy && copy != (await redis.GetStringAsync(Name(key)).Within() ?? ""))
                old++;
        return old;

        async Task WriteAsync(int writer)
        {
            // Each writer has keys of its own, so that "higher" and "later" are the same.
            var random = Seed.For($"writer {writer}");
            for (var number = 1; number <= Writes; number++)
            {
                var key = random.Next(Keys / Writers) * Writers + writer;
                await DisturbAsync(random);
                await redis.SetAsync(Name(key), number).Within();
                if (number % 7 != 0)
                    continue;
                await ProveAsync(link);
                if (copies.Find(key) is { } copy && copy.Length > 0 && int.Parse(copy, CultureInfo.InvariantCulture) < number)
                    Interlocked.Increment(ref old);
            }
        }

        async Task DisturbAsync(Random random)
        {
            switch (random.Next(400))
            {
                case 0:
                    await redis.SendAsync(["FLUSHALL"], ReplyParsers.Ignore).Within();
                    break;
                case 1:
                    await redis.SendAsync(["SCRIPT", "FLUSH"], ReplyParsers.Ignore).Within();
                    break;
                case 2 or 3 when copies.Connection is { } id:
                    await redis.SendAsync(["CLIENT", "KILL", "ID", id], ReplyParsers.Ignore).Within();
                    break;
            }
        }
    }

    // Whatever was executed before this call has been heard of when it returns.
    private static async Task ProveAsync(TrackedLink link)
    {
        while (true)
            try
            {
                await TrackingTests.PingAsync(link);
                return;
            }
            catch (RedisException error) when (error.IsTransient)
            {
                // The connection was killed: the next one will do.
            }
    }

    private static async Task ReadAsync(TrackedLink link, Copies copies, Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
            try
            {
                var key = random.Next(Keys);
                if (copies.Connection is null)
                    await link.SendAsync(new Command(["CLIENT", "ID"]), copies.Connected, CommandOptions.None, default).Within();
                if (copies.Find(key) is not null)
                    await Task.Yield();
                else if (random.Next(4) == 0)
                    await link.SendTrackedAsync(new Command(ReadScript, [Name(key)], []), copies.Storing(key), CommandOptions.None, default)
                        .Within();
                else
                    await link.SendTrackedAsync(new Command(["GET", Name(key)]), copies.Storing(key), CommandOptions.Idempotent, default)
                        .Within();
            }
            catch (RedisException error) when (error.IsTransient)
            {
                // Killed while we asked.
            }
    }

    private static string Name(int key) => string.Create(CultureInfo.InvariantCulture, $"differential:{key}");

    /// <summary>What was read, as long as it is known to be true. An empty text is a key that was not there.</summary>
    private sealed class Copies : ITrackingSink
    {
        private readonly ConcurrentDictionary<string, string> _values = new(StringComparer.Ordinal);
        private int _stored;

        public bool IgnoresInvalidations { get; init; }

        public bool IgnoresLosses { get; init; }

        public int Stored => _stored;

        public int Losses { get; private set; }

        public string? Connection { get; private set; }

        public ReplyParser<bool> Connected =>
            (ref reader) =>
            {
                Connection = reader.ReadString();
                return true;
            };

        public string? Find(int key) => _values.GetValueOrDefault(Name(key));

        public ReplyParser<bool> Storing(int key) =>
            (ref reader) =>
            {
                _stored++;
                _values[Name(key)] = reader.ReadString() ?? "";
                return true;
            };

        public void Established(long generation) => Connection = null;

        public void Invalidated(ReadOnlySpan<byte> key)
        {
            if (!IgnoresInvalidations)
                _values.TryRemove(Encoding.UTF8.GetString(key), out _);
        }

        public void InvalidatedAll()
        {
            if (!IgnoresInvalidations)
                _values.Clear();
        }

        public void Lost(long generation)
        {
            Losses++;
            Connection = null;
            if (!IgnoresLosses)
                _values.Clear();
        }
    }
}
