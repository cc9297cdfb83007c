using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Events;
using Onggi.Keys;
using Onggi.Limits;
using Onggi.Locks;
using Onggi.Tokens;

namespace Onggi.DeployTests.Monitoring;

/// <summary>A service that uses every block of the library all the time, and shows its metrics as PhoneBill's services do.</summary>
internal sealed class BusyService : IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);
    private static readonly KeyFamily Codes = new("codes", "group");
    private static readonly KeyFamily Run = new("run", "id");
    private static readonly KeyFamily Login = new("login", "userId");
    private static readonly KeyFamily LoginAddress = new("login_address", "address");
    private static readonly EventType<string> News = new("line_status.changed");
    private static readonly EventType<string> Order = new("order.placed");

    private readonly WebApplication _app;
    private readonly CancellationTokenSource _stop = new();
    private Task _work = Task.CompletedTask;

    private BusyService(WebApplication app) => _app = app;

    /// <summary>Host and port.</summary>
    public string Address =>
        new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Authority;

    /// <summary>How often it has used all of them.</summary>
    public int Rounds { get; private set; }

    private OnggiKeyspace Onggi => _app.Services.GetRequiredService<OnggiKeyspace>();

    /// <summary>PhoneBill's catalog with the two blocks besides that PhoneBill does without: a lock, and an event that is delivered at least once.</summary>
    public static string Catalog() =>
        Insert(
            Insert(
                Kit.Text(Kit.Catalog),
                "\"events\": {",
                "\"order.placed\": { \"payload\": \"System.String\", \"delivery\": \"atLeastOnce\" },"
            ),
            "\"families\": {",
            "\"run\": { \"key\": \"locks:run:{id}\", \"kind\": \"lock\", \"ttl\": \"1s\" },"
        );

    /// <summary>Starts it.</summary>
    /// <param name="connection">How it reaches Redis.</param>
    /// <param name="textfile">A folder whose files it shows at /textfile, as a collector would.</param>
    public static async Task<BusyService> StartAsync(string connection, string textfile)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.Services.AddOnggi(onggi =>
        {
            onggi.ConnectionString = connection;
            onggi.Service = "auth";
            onggi.Catalog = Catalog();
            onggi.Json = BusyJson.Default;
            onggi.CommandTimeout = TimeSpan.FromSeconds(15);
            onggi.Sessions.IdleForTests = TimeSpan.FromSeconds(2);
            onggi.Tokens.Issuer = "phonebill";
            onggi.Tokens.RefreshSecret = "a secret of refresh tokens, long enough";
            onggi.TokenKeys = new TokenKeyRing(TokenKey.Generate("busy"));
            onggi
                .Limits.ForFamily("login", policy => policy.With(LimitRule.Even(5, TimeSpan.FromSeconds(1))))
                .ForFamily("login_address", policy => policy.With(LimitRule.Concurrent(3)));
            onggi.Events.Streams.TrimEvery = TimeSpan.FromSeconds(1);
            onggi.Events.Streams.KeepSettled = TimeSpan.FromSeconds(1);
        });
        var app = builder.Build();
        app.MapOnggiMetrics("/metrics");
        app.MapGet("/textfile", () => string.Concat(Directory.GetFiles(textfile, "*.prom").Order().Select(File.ReadAllText)));
        await app.StartAsync();
        var service = new BusyService(app);
        await service.BeginAsync();
        return service;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _work;
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(soon.Token);
        await _app.DisposeAsync();
        _stop.Dispose();
    }

    private async Task BeginAsync()
    {
        await Onggi.Events.SubscribeAsync(News, static (_, _) => ValueTask.CompletedTask);
        await Onggi.Events.Streams.SubscribeAsync(Order, static (_, _) => ValueTask.CompletedTask);
        _work = WorkAsync(_stop.Token);
    }

    private async Task WorkAsync(CancellationToken stop)
    {
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            await CacheAsync(i);
            await PeopleAsync(i);
            await Onggi.Events.PublishAsync(News, "news", cancellationToken: CancellationToken.None);
            await Onggi.Events.PublishAsync(Order, "order", cancellationToken: CancellationToken.None);
            await LockAsync(i);
            await LimitAsync();
            await BatchAsync(i);
            Rounds++;
            await Task.Delay(Pace, stop).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    private async Task CacheAsync(int i)
    {
        var cache = Onggi.Cache;
        await cache.GetOrLoadAsync(Code($"{i % 30}"), static _ => ValueTask.FromResult<string?>("a code"));
        await cache.GetOrLoadAsync(Code($"{i % 30}"), static _ => ValueTask.FromResult<string?>("a code"));
        await cache.InvalidateAsync(Code($"{(i + 15) % 30}"));
        try
        {
            await cache.GetOrLoadAsync(Code("broken"), static _ => throw new InvalidOperationException("The source is away."));
        }
        catch (InvalidOperationException)
        {
            // As it was meant.
        }
    }

    private async Task PeopleAsync(int i)
    {
        var user = $"user-{i % 3}";
        var session = await Onggi.Sessions.CreateAsync(user);
        await Onggi.Sessions.ValidateAsync(session.Id);
        if (i % 2 == 0)
            await Onggi.Sessions.RevokeAsync(session.Id);
        var tokens = await Onggi.Tokens.IssueAsync(new TokenRequest { Subject = user, WithRefresh = true });
        var verdict = await Onggi.Tokens.VerifyAsync(tokens.AccessToken);
        await Onggi.Tokens.RefreshAsync(tokens.RefreshToken!);
        await Onggi.Tokens.RevokeAsync(verdict.Token!);
    }

    private async Task LockAsync(int i)
    {
        var key = new LockKey(new EntryKey(Run, $"{i % 4}"));
        if (i % 10 != 0)
        {
            await using var brief = await Onggi.Locks.AcquireAsync(key);
            return;
        }

        // Now and then it is held over a renewal, and somebody waits for it.
        Task<LockLease> next;
        await using (await Onggi.Locks.AcquireAsync(key))
        {
            next = Onggi.Locks.AcquireAsync(key).AsTask();
            await Task.Delay(TimeSpan.FromMilliseconds(600));
        }

        await (await next).DisposeAsync();
    }

    private async Task LimitAsync()
    {
        await Onggi.Limits.TakeAsync(new LimitKey(new EntryKey(Login, "somebody")));
        await using var place = await Onggi.Limits.EnterAsync(new LimitKey(new EntryKey(LoginAddress, "somewhere")));
    }

    private async Task BatchAsync(int i)
    {
        var batch = Onggi.Batch();
        batch.Set(Code($"batch-{i % 10}"), "a code");
        batch.Get(Code($"batch-{(i + 1) % 10}"));
        await batch.SendAsync();
    }

    private static CacheKey<string> Code(string group) => new(new EntryKey(Codes, group));

    private static string Insert(string text, string after, string what)
    {
        var at = text.IndexOf(after, StringComparison.Ordinal);
        Assert.True(at > 0, $"The catalog has no {after}");
        return text.Insert(at + after.Length, what);
    }
}

[JsonSerializable(typeof(string))]
internal sealed partial class BusyJson : JsonSerializerContext;
