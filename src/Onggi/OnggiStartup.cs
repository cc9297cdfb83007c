using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Onggi.Client;
using Onggi.Events;

namespace Onggi;

/// <summary>Connects when the host starts and begins to listen; without Redis it lets the host start, unless told not to, and goes on trying.</summary>
internal sealed class OnggiStartup : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly OnggiKeyspace _keyspace;
    private readonly OnggiOptions _options;
    private readonly ILogger<OnggiStartup> _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private Task _retrying = Task.CompletedTask;

    public OnggiStartup(OnggiKeyspace keyspace, IOptions<OnggiOptions> options, ILogger<OnggiStartup> logger, TimeProvider time)
    {
        _keyspace = keyspace;
        _options = options.Value;
        _logger = logger;
        _time = time;
    }

    /// <exception cref="InvalidOperationException">The <c>JsonSerializerContext</c> lacks types that the catalog names; the message lists the lines to add.</exception>
    /// <exception cref="OnggiStartException">Redis cannot be reached and <see cref="OnggiOptions.RequireRedisAtStart"/> is set.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var keys = _keyspace.Keys;
        StartupLog.Starting(_logger, _options.Service, keys.System, keys.Environment, keys.Families.Count, Endpoint);
        _keyspace.Cache.VerifyTypes();
        _keyspace.Events.VerifyTypes();
        _keyspace.Tokens.VerifySetup();
        _keyspace.Events.Listen();
        _keyspace.Cache.Start();
        try
        {
            await ConnectAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        }
        catch (RedisException failure) when (_options.RequireRedisAtStart)
        {
            throw new OnggiStartException(Endpoint, _options.ConnectTimeout, failure);
        }
        catch (RedisException failure)
        {
            StartupLog.StartedWithoutRedis(_logger, Endpoint, failure.Message);
            _retrying = RetryAsync();
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _retrying.ConfigureAwait(Rt.Quietly);
        // Handlers may use services that end with the host, so they end first.
        await _keyspace.Events.DisposeAsync().ConfigureAwait(Rt.Capture);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(Rt.Capture);
        await _retrying.ConfigureAwait(Rt.Quietly);
        _stop.Dispose();
    }

    private string Endpoint => _keyspace.Redis.Options.ToString();

    private async Task ConnectAsync(CancellationToken cancellationToken)
    {
        await _keyspace.Redis.ConnectAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        await _keyspace.Events.WhenListeningAsync(cancellationToken).ConfigureAwait(Rt.Capture);
        StartupLog.Connected(_logger, Endpoint, _keyspace.Redis.Server?.ToString() ?? "");
    }

    private async Task RetryAsync()
    {
        for (var pause = FirstPause; !_stop.IsCancellationRequested; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(Rt.Quietly);
            try
            {
                await ConnectAsync(_stop.Token).ConfigureAwait(Rt.Capture);
                return;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                StartupLog.StillWithoutRedis(_logger, Endpoint, failure.Message, failure is RedisException ? null : failure);
            }
        }
    }
}

/// <summary>The host did not start because Redis could not be reached.</summary>
public sealed class OnggiStartException : Exception
{
    internal OnggiStartException(string endpoint, TimeSpan waited, RedisException inner)
        : base(
            (
                inner.IsTransient
                    ? $"Redis at {endpoint} could not be used within {waited.TotalSeconds:0.#} s: {inner.Message} Start Redis, or correct ConnectionString"
                    : $"Redis at {endpoint} refuses this service: {inner.Message} Correct ConnectionString"
            ) + "; to let this service start without Redis, set RequireRedisAtStart to false.",
            inner
        ) { }
}

/// <summary>What the start says, ids 7100 to 7199.</summary>
internal static partial class StartupLog
{
    [LoggerMessage(
        7100,
        LogLevel.Information,
        "{Service} joins the keyspace {System} in {Environment}: {Families} key families, Redis at {Endpoint}."
    )]
    public static partial void Starting(ILogger logger, string service, string system, string environment, int families, string endpoint);

    [LoggerMessage(7101, LogLevel.Information, "Connected to Redis at {Endpoint}: {Server}.")]
    public static partial void Connected(ILogger logger, string endpoint, string server);

    [LoggerMessage(
        7102,
        LogLevel.Error,
        "Started WITHOUT Redis at {Endpoint}: {Reason} Reads go to their loaders, writes and events fail. Trying again until it answers."
    )]
    public static partial void StartedWithoutRedis(ILogger logger, string endpoint, string reason);

    [LoggerMessage(7103, LogLevel.Error, "Still without Redis at {Endpoint}: {Reason}")]
    public static partial void StillWithoutRedis(ILogger logger, string endpoint, string reason, Exception? exception);
}
