using Onggi.AspNetCore;
using Onggi.Client;
using Onggi.Events;
using PhoneBill.Contracts;

namespace PhoneBill.Auth;

/// <summary>Signs people out whose account is gone. Users says so; the sessions and tokens are ours.</summary>
/// <remarks>Every replica does it, which is harmless. An event can be missed by all of them, while none runs for longer than it is kept: a refresh looks for the user, too.</remarks>
public sealed class UserRemovals(OnggiEvents events, OnggiSignIn signIn, TimeProvider time) : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private IAsyncDisposable? _subscription;

    public async Task StartAsync(CancellationToken cancellationToken) =>
        _subscription = await events.SubscribeAsync(
            EventTypes.UserDeleted,
            // A handler that throws is not called again: it is over when they are signed out.
            async (deleted, stop) =>
            {
                while (!await TrySignOutAsync(deleted.Data!.UserId, stop))
                    await Task.Delay(Pause, time, stop);
            },
            // What was published while nobody of us ran.
            new SubscribeOptions { Replay = TimeSpan.FromMinutes(2) },
            cancellationToken
        );

    public async Task StopAsync(CancellationToken cancellationToken) => await DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _subscription, null) is { } subscription)
            await subscription.DisposeAsync();
    }

    private async ValueTask<bool> TrySignOutAsync(string userId, CancellationToken stop)
    {
        try
        {
            await signIn.SignOutEverywhereAsync(userId, "account_deleted", stop);
            return true;
        }
        catch (RedisException)
        {
            return false;
        }
    }
}
