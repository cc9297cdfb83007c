using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using Onggi.Client;
using Onggi.Events;
using Onggi.Events.Streams;
using Onggi.Keys;
using Onggi.Testing;

namespace Onggi.ServerTests.Events.Streams;

/// <summary>What tests of streams say and ask.</summary>
internal static class Orders
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "services": { "users": {}, "orders": {}, "mail": {} },
          "events": {
            "order.placed": { "payload": "Onggi.ServerTests.Events.UserUpdated", "delivery": "atLeastOnce" },
            "user.updated": { "payload": "Onggi.ServerTests.Events.UserUpdated", "delivery": "atLeastOnce", "keys": { "user": { "userId": "data.userId" } } },
            "user.deleted": { "payload": "Onggi.ServerTests.Events.UserUpdated" }
          },
          "families": {
            "user": { "key": "cache:user:{userId}", "kind": "cache", "ttl": "10m", "value": "Onggi.ServerTests.Events.User", "owner": "users", "invalidatedBy": ["user.updated"] }
          }
        }
        """;

    public const string Type = "order.placed";
    public const string Stream = "test:events:stream:order.placed";

    public static readonly EventType<UserUpdated> Placed = new(Type);

    /// <summary>A service that is quick to retry and to take over, and patient with Redis.</summary>
    public static Task<ServiceHost> StartAsync(
        string connectionString,
        string service = "orders",
        string instance = "one",
        Action<StreamOptions>? configure = null,
        Action<OnggiOptions>? more = null
    ) =>
        ServiceHost.StartAsync(
            connectionString,
            service,
            options =>
            {
                options.Catalog = CatalogJson;
                options.CommandTimeout = TimeSpan.FromSeconds(10);
                options.ConnectTimeout = TimeSpan.FromSeconds(15);
                var streams = options.Events.Streams;
                streams.Instance = instance;
                streams.RetryDelay = TimeSpan.FromMilliseconds(50);
                streams.ClaimAfter = TimeSpan.FromSeconds(2);
                streams.TrimEvery = TimeSpan.FromSeconds(1);
                configure?.Invoke(streams);
                more?.Invoke(options);
            }
        );

    public static ValueTask<EventReceipt> PlaceAsync(this ServiceHost service, string id) =>
        service.Events.PublishAsync(Placed, new UserUpdated(id, ""));

    public static async Task<long> PendingAsync(this RedisServerProcess server, string group) =>
        long.Parse((await server.CommandAsync("XPENDING", Stream, group))!.Split('\n')[0], CultureInfo.InvariantCulture);

    public static async Task<long> LengthAsync(this RedisServerProcess server, string stream = Stream) =>
        long.Parse((await server.CommandAsync("XLEN", stream))!, CultureInfo.InvariantCulture);

    /// <summary>Ends when the group has settled everything that was published.</summary>
    public static Task SettledAsync(this RedisServerProcess server, string group = "orders") =>
        Until.TrueAsync(
            async () =>
            {
                var groups = (await server.CommandAsync("XINFO", "GROUPS", Stream))!.Split('\n');
                var at = Array.IndexOf(groups, group);
                return at >= 0 && Field(groups, at, "pending") == "0" && Field(groups, at, "lag") == "0";
            },
            $"{group} has settled everything"
        );

    private static string Field(string[] lines, int from, string name) => lines[Array.IndexOf(lines, name, from) + 1];
}

/// <summary>A subscription whose deliveries a test takes one by one; what the handler does with each is the test's.</summary>
internal sealed class Taken : IAsyncDisposable
{
    private readonly Channel<Event<UserUpdated>> _events = Channel.CreateUnbounded<Event<UserUpdated>>();
    private IAsyncDisposable? _subscription;

    /// <summary>What was handed over so far, in that order.</summary>
    public ConcurrentQueue<Event<UserUpdated>> All { get; } = new();

    public static async Task<Taken> ByAsync(
        ServiceHost service,
        Func<Event<UserUpdated>, CancellationToken, ValueTask>? handler = null,
        string? name = null,
        StreamOptions? options = null
    )
    {
        var taken = new Taken();
        taken._subscription = await service.Events.Streams.SubscribeAsync(
            Orders.Placed,
            async (one, stop) =>
            {
                taken.All.Enqueue(one);
                await taken._events.Writer.WriteAsync(one, CancellationToken.None);
                if (handler is not null)
                    await handler(one, stop);
            },
            name,
            options
        );
        return taken;
    }

    public Task<Event<UserUpdated>> NextAsync() => _events.Reader.ReadAsync().AsTask().WaitAsync(ServiceHost.Patience);

    public ValueTask DisposeAsync() => _subscription!.DisposeAsync();
}
