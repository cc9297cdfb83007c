using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Onggi.Client;
using Onggi.Keys;
using Onggi.Limits;

namespace Onggi.AspNetCore.Limits;

/// <summary>What an endpoint asks for.</summary>
internal sealed record LimitRequirement(Func<string, LimitKey> Key, LimitSubject Subject, int Cost);

/// <summary>Holds the limits of endpoints.</summary>
internal sealed class LimitMiddleware(RequestDelegate next, OnggiLimits limits)
{
    // A policy does not change while the process runs, and every response tells of it.
    private readonly ConcurrentDictionary<LimitTerms, string> _policies = new();

    public async Task InvokeAsync(HttpContext context)
    {
        var requirements = context.GetEndpoint()?.Metadata.GetOrderedMetadata<LimitRequirement>() ?? [];
        if (requirements.Count == 0)
        {
            await next(context);
            return;
        }

        var places = new List<(LimitKey Key, LimitPlace Place)>(requirements.Count);
        try
        {
            foreach (var requirement in requirements)
            {
                if (requirement.Subject.Find(context) is not { Length: > 0 } subject)
                    continue;
                var key = requirement.Key(subject);
                var place = await limits.EnterAsync(key, requirement.Cost, context.RequestAborted);
                places.Add((key, place));
                if (place.Decision.Allowed)
                    continue;
                await RefundAsync(places);
                await DenyAsync(context, key, place.Decision);
                return;
            }

            Tell(context.Response, places);
            await next(context);
        }
        finally
        {
            foreach (var (_, place) in places)
                await place.DisposeAsync();
        }
    }

    // What the limits before have taken for a request that is not served.
    private async Task RefundAsync(List<(LimitKey Key, LimitPlace Place)> places)
    {
        foreach (var (key, place) in places.Where(static one => one.Place.Decision.Allowed))
        {
            try
            {
                await limits.RefundAsync(key, place.Decision, CancellationToken.None);
            }
            catch (RedisException)
            {
                // It comes back by itself.
            }
        }
    }

    private async Task DenyAsync(HttpContext context, LimitKey key, Decision decision)
    {
        var seconds = Seconds(decision.RetryAfter);
        context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        context.Response.Headers.CacheControl = "no-store";
        Tell(context.Response, key, decision);
        await Problems.WriteAsync(
            context,
            Problems.Make(
                StatusCodes.Status429TooManyRequests,
                "Too many requests.",
                $"The limit \"{key.Family}\" is reached. Try again in {seconds} s."
            )
        );
    }

    // Of several, the one that is nearest to its end.
    private void Tell(HttpResponse response, List<(LimitKey Key, LimitPlace Place)> places)
    {
        var told = places.Where(static one => one.Place.Decision.Rule is not null).OrderBy(static one => one.Place.Decision.Remaining);
        foreach (var (key, place) in told.Take(1))
            Tell(response, key, place.Decision);
    }

    private void Tell(HttpResponse response, LimitKey key, Decision decision)
    {
        if (decision.Rule is not { } rule || limits.PolicyOf(key.Family.Name) is not { } terms)
            return;
        var reset = decision.Allowed ? decision.RuleResetAfter : decision.RetryAfter;
        response.Headers["RateLimit-Policy"] = PolicyOf(terms);
        response.Headers["RateLimit"] = string.Create(
            CultureInfo.InvariantCulture,
            $"{Name(terms, rule)};r={decision.Remaining};t={Seconds(reset)}"
        );
    }

    internal string PolicyOf(LimitTerms terms) =>
        _policies.GetOrAdd(terms, static terms => string.Join(", ", terms.Rules.Select(one => Policy(terms, one))));

    private static string Policy(LimitTerms terms, LimitRule rule) =>
        rule.Period == TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $"{Name(terms, rule)};q={rule.Permits}")
            : string.Create(CultureInfo.InvariantCulture, $"{Name(terms, rule)};q={rule.Permits};w={Seconds(rule.Period)}");

    private static string Name(LimitTerms terms, LimitRule rule) =>
        terms.Rules.Length == 1
            ? $"\"{terms.Family}\""
            : string.Create(CultureInfo.InvariantCulture, $"\"{terms.Family}.{Array.IndexOf(terms.Rules, rule) + 1}\"");

    // Whole seconds, rounded up: who comes back then is let in.
    private static long Seconds(TimeSpan span) => Math.Max(1, (long)Math.Ceiling(span.TotalSeconds));
}
