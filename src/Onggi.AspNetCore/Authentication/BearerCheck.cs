using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Onggi.Sessions;
using Onggi.Tokens;

namespace Onggi.AspNetCore.Authentication;

/// <summary>A scheme as the host was told of it.</summary>
internal sealed record BearerScheme(string Name);

/// <summary>Looks at the start whether there is what the schemes need: a request is too late to find out.</summary>
internal sealed class BearerCheck(
    IEnumerable<BearerScheme> schemes,
    IOptionsMonitor<OnggiBearerOptions> options,
    OnggiTokens tokens,
    OnggiSessions sessions
) : IHostedService
{
    /// <exception cref="InvalidOperationException">There is not; the message says what to write.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (!tokens.IsConfigured)
            throw new InvalidOperationException(
                "AddOnggiBearer: tokens are off, since Tokens:Issuer is not set. Write the name that stands as iss in your tokens, the same in all services."
            );
        if (tokens.Keys is null)
            throw new InvalidOperationException(
                "AddOnggiBearer: there is no key to check tokens with. Give options.TokenKeys a ring, of a service that only checks TokenKeyRing.FromJwks."
            );
        foreach (var scheme in schemes)
        {
            if (options.Get(scheme.Name).Session != SessionCheck.Ignore && !sessions.IsConfigured)
                throw new InvalidOperationException(
                    $"AddOnggiBearer(\"{scheme.Name}\"): sessions are to be checked, but the catalog has no family of kind session that this service uses. Add one, or set Session to Ignore."
                );
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
