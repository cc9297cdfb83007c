using Microsoft.Extensions.Logging;
using Onggi.Client.Connections;
using Onggi.Client.Diagnostics;

namespace Onggi.Client.Routing;

/// <summary>Who we are at one server: what the options say, or what their callback says each time; and when a live connection must say it anew.</summary>
internal sealed class Login(RedisClientOptions options, ILogger logger, TimeProvider time)
{
    private static readonly TimeSpan LeastPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MostPause = TimeSpan.FromMinutes(1);

    private long _due = long.MaxValue;
    private DateTimeOffset _expires;
    private int _renewing;
    private volatile bool _asking;

    /// <summary>Whether the callback is being waited for.</summary>
    public bool IsAsking => _asking;

    /// <summary>The server of the attempt, or of the connection.</summary>
    public RedisAddress Server { get; set; }

    /// <summary>Whether a refusal can be answered with other credentials.</summary>
    public bool CanAskAgain => options.Credentials is not null;

    /// <summary>What to log in with; <c>null</c> for nothing.</summary>
    /// <exception cref="RedisConnectionException">The callback threw, gave nothing, or did not answer before <paramref name="cancellationToken"/>.</exception>
    public async ValueTask<RedisCredentials?> AskAsync(RedisCredentialReason reason, CancellationToken cancellationToken)
    {
        if (options.Credentials is not { } callback)
            return options is { User: null, Password: null } ? null : new RedisCredentials(options.User, options.Password ?? "");
        _asking = true;
        try
        {
            // A callback that heeds no token is left behind.
            var asked = callback(new RedisCredentialRequest(Server, reason), cancellationToken);
            var given = await asked.AsTask().WaitAsync(cancellationToken).ConfigureAwait(Rt.Capture);
            return given ?? throw Failed("gave none", null);
        }
        catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
        {
            throw Failed($"did not answer within {options.ConnectTimeout.TotalSeconds:0.#} s", error);
        }
        catch (Exception error) when (error is not RedisConnectionException)
        {
            throw Failed($"threw {error.GetType().Name}: {error.Message.TrimEnd('.')}", error);
        }
        finally
        {
            _asking = false;
        }
    }

    /// <summary>These were accepted: when they must be renewed counts from now.</summary>
    public void Accepted(RedisCredentials? credentials)
    {
        if (credentials?.ExpiresAt is not { } end)
        {
            Volatile.Write(ref _due, long.MaxValue);
            return;
        }

        _expires = end;
        DueIn((end - time.GetUtcNow()) * 0.75);
    }

    /// <summary>Whether the live connection must be authenticated anew; true once, then <see cref="RenewAsync"/> is to be called.</summary>
    public bool IsDue(long now) => now >= Volatile.Read(ref _due) && Interlocked.Exchange(ref _renewing, 1) == 0;

    /// <summary>Authenticates the live connection with fresh credentials. Never throws: what fails is logged and tried again; the connection stays as it was.</summary>
    public async Task RenewAsync(Func<RedisCredentials, CancellationToken, ValueTask> authenticate, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(options.ConnectTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        RedisCredentials? fresh = null;
        try
        {
            fresh = await AskAsync(RedisCredentialReason.Expiring, either.Token).ConfigureAwait(Rt.Capture);
            try
            {
                await authenticate(fresh!, either.Token).ConfigureAwait(Rt.Capture);
            }
            catch (RedisServerException refused) when (refused.Code == "WRONGPASS")
            {
                fresh = await AskAsync(RedisCredentialReason.Refused, either.Token).ConfigureAwait(Rt.Capture);
                await authenticate(fresh!, either.Token).ConfigureAwait(Rt.Capture);
            }

            Accepted(fresh);
            Log.Renewed(logger, Server, fresh!.User ?? "default");
        }
        catch (Exception error) when (!stop.IsCancellationRequested)
        {
            // The top of its own task. Redis keeps a connection as it was when an AUTH fails, so there is time to try again.
            Log.NotRenewed(logger, Server, Scrub(error.Message, fresh), _expires);
            var pause = (_expires - time.GetUtcNow()) * 0.25;
            DueIn(pause < MostPause ? pause : MostPause);
        }
        catch (Exception)
        {
            // The link was disposed.
        }
        finally
        {
            Volatile.Write(ref _renewing, 0);
        }
    }

    /// <summary>A server may repeat in its error what it was sent: old ones list the arguments of a command that they do not know, long ones only in part.</summary>
    public static string Scrub(string text, RedisCredentials? credentials)
    {
        if (credentials is not { Password.Length: > 0 })
            return text;
        var arguments = text.IndexOf(", with args beginning with", StringComparison.OrdinalIgnoreCase);
        var said = arguments < 0 ? text : text[..arguments];
        return said.Replace(credentials.Password, "(password)", StringComparison.Ordinal);
    }

    private void DueIn(TimeSpan pause)
    {
        pause = pause < LeastPause ? LeastPause : pause;
        Volatile.Write(ref _due, time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency));
    }

    private RedisConnectionException Failed(string how, Exception? error) =>
        new($"The Credentials callback for {Server} {how}. Have it answer with user and password in time.", Sent.No, error);
}
