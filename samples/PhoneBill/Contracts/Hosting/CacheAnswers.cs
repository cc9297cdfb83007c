using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Onggi.Caching;

namespace PhoneBill.Contracts;

/// <summary>Tells callers where an answer came from: <c>X-Cache-Tier: memory|redis|loader</c> and <c>Server-Timing</c>.</summary>
public static class CacheAnswers
{
    private const string TierHeader = "X-Cache-Tier";

    /// <summary>200 with the cached value, or 404 when it is known that there is none.</summary>
    public static Results<Ok<T>, ProblemHttpResult> Answer<T>(this HttpContext context, CacheResult<T> result, string otherwise)
        where T : class => context.Answer(result.Tier, result.Value, otherwise);

    /// <summary>The same for a value that was made of a cached one.</summary>
    public static Results<Ok<T>, ProblemHttpResult> Answer<T>(this HttpContext context, CacheTier tier, T? value, string otherwise)
        where T : class
    {
        context.Response.Headers[TierHeader] = tier.ToString().ToLowerInvariant();
        return value is not null ? TypedResults.Ok(value) : Inputs.NotFound(otherwise);
    }

    public static void UseServerTiming(this IApplicationBuilder app) =>
        app.Use(
            (context, next) =>
            {
                var time = TimeProvider.System;
                var began = time.GetTimestamp();
                context.Response.OnStarting(() =>
                {
                    var took = time.GetElapsedTime(began).TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture);
                    var tier = context.Response.Headers[TierHeader];
                    context.Response.Headers["Server-Timing"] =
                        tier.Count == 0 ? $"total;dur={took}" : $"cache;desc={tier}, total;dur={took}";
                    return Task.CompletedTask;
                });
                return next(context);
            }
        );
}
