using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Onggi.AspNetCore;
using Onggi.AspNetCore.WarmUp;
using Onggi.Caching;
using Onggi.Client;

namespace Microsoft.AspNetCore.Builder;

/// <summary>The warm-up endpoints.</summary>
public static class OnggiWarmUpEndpoints
{
    private const string Lines = "application/x-ndjson";

    extension(IEndpointRouteBuilder endpoints)
    {
        /// <summary>
        /// <c>POST {pattern}/{name}</c> runs a warm-up added by <c>AddOnggiWarmUp</c> and answers with its report when it has ended;
        /// <c>GET {pattern}</c> lists them with their state. Who asks for one that runs already joins it.
        /// </summary>
        /// <remarks>
        /// With <c>Accept: application/x-ndjson</c> the answer is a line of JSON for each step, <c>{"progress":…}</c>, and a last one,
        /// <c>{"report":…}</c> or <c>{"problem":…}</c>. Otherwise failures are problem details: 404 for an unknown name (it lists the
        /// known ones), 503 when Redis is away or took nothing, 500 when the warm-up itself failed.
        /// </remarks>
        /// <param name="pattern">Where they stand.</param>
        /// <returns>Both endpoints, to which authorization can be added: warming costs the database work.</returns>
        /// <exception cref="InvalidOperationException">Two warm-ups have the same name.</exception>
        public IEndpointConventionBuilder MapOnggiWarmUp(string pattern = "/api/cache/warmup")
        {
            // None may be added at all: then the list is empty, and the host need not know.
            var warmUps =
                endpoints.ServiceProvider.GetService<WarmUps>()
                ?? ActivatorUtilities.CreateInstance<WarmUps>(endpoints.ServiceProvider, TimeProvider.System);
            var redis = endpoints.ServiceProvider.GetService<RedisClient>();
            var group = endpoints.MapGroup(pattern).WithTags("Cache");
            group
                .MapGet("", context => ListAsync(context, warmUps))
                .WithMetadata(((Delegate)ListAsync).Method)
                .WithDisplayName("Onggi warm-ups")
                .WithSummary("The warm-ups of this service and their state.");
            group
                .MapPost("/{name}", context => RunAsync(context, (string)context.GetRouteValue("name")!, warmUps, redis))
                .WithMetadata(((Delegate)RunAsync).Method, new NameInRoute(((Delegate)RunAsync).Method.GetParameters()[1]))
                .WithDisplayName("Onggi warm-up")
                .WithSummary("Fills the cache from the source; answers with the report when it has ended.");
            return group;
        }
    }

    // API descriptions (OpenAPI) are made from the methods behind the routes, which are added as metadata for that.
    private static Task ListAsync(HttpContext context, [FromServices] WarmUps warmUps) =>
        context.Response.WriteAsJsonAsync(
            warmUps.List(),
            AspNetCoreJson.Default.WarmUpList,
            contentType: null,
            cancellationToken: context.RequestAborted
        );

    private static async Task RunAsync(HttpContext context, string name, [FromServices] WarmUps warmUps, [FromServices] RedisClient? redis)
    {
        if (!warmUps.Names.Contains(name))
        {
            var known = warmUps.Names.Any() ? $"Known are: {string.Join(", ", warmUps.Names)}." : "This service has none.";
            await Problems.WriteAsync(
                context,
                Problems.Make(StatusCodes.Status404NotFound, "No such warm-up", $"There is no warm-up named '{name}'. {known}")
            );
            return;
        }
        // Reading the whole source for a Redis that cannot take it would only make a bad day worse.
        if (redis is { IsConnected: false })
        {
            await Problems.WriteAsync(context, RedisAway(context, "There is no connection to Redis."));
            return;
        }
        var (run, joined) = warmUps.Start(name)!.Value;
        if (context.Request.Headers.Accept.ToString().Contains(Lines, StringComparison.OrdinalIgnoreCase))
            await StreamAsync(context, run, joined);
        else
            await AnswerAsync(context, run, joined);
    }

    private static async Task AnswerAsync(HttpContext context, WarmUpRun run, bool joined)
    {
        var (report, problem) = await OutcomeAsync(context, run);
        if (problem is not null)
        {
            await Problems.WriteAsync(context, problem);
            return;
        }
        await context.Response.WriteAsJsonAsync(
            ReportBody.Of(report!, joined),
            AspNetCoreJson.Default.ReportBody,
            contentType: null,
            cancellationToken: context.RequestAborted
        );
    }

    private static async Task StreamAsync(HttpContext context, WarmUpRun run, bool joined)
    {
        context.Response.ContentType = Lines;
        await foreach (var progress in run.WatchAsync(context.RequestAborted))
            await WriteLineAsync(context, new WarmUpLine(Progress: ProgressBody.Of(progress)));
        var (report, problem) = await OutcomeAsync(context, run);
        await WriteLineAsync(
            context,
            problem is null ? new WarmUpLine(Report: ReportBody.Of(report!, joined)) : new WarmUpLine(Problem: problem)
        );
    }

    private static async Task WriteLineAsync(HttpContext context, WarmUpLine line)
    {
        var output = context.Response.BodyWriter;
        JsonSerializer.Serialize(new Utf8JsonWriter(output), line, AspNetCoreJson.Default.WarmUpLine);
        output.GetSpan(1)[0] = (byte)'\n';
        output.Advance(1);
        await output.FlushAsync(context.RequestAborted);
    }

    /// <summary>Waits for the end; leaves, with an <see cref="OperationCanceledException"/>, when the caller does.</summary>
    private static async Task<(WarmReport? Report, ProblemDetails? Problem)> OutcomeAsync(HttpContext context, WarmUpRun run)
    {
        try
        {
            var report = await run.Completion.WaitAsync(context.RequestAborted);
            return report is { Stored: 0, Failed: > 0 }
                ? (null, RedisAway(context, $"None of {report.Failed} entries could be stored."))
                : (report, null);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            throw;
        }
        catch (OperationCanceledException)
        {
            return (null, Problems.Make(StatusCodes.Status503ServiceUnavailable, "The warm-up was stopped", "This service is stopping."));
        }
        catch (RedisException failure)
        {
            return (null, RedisAway(context, failure.Message));
        }
        catch (Exception)
        {
            // What it says can be about data, so it stands in the log only.
            return (
                null,
                Problems.Make(
                    StatusCodes.Status500InternalServerError,
                    "The warm-up failed",
                    "Reading or writing what it warms failed; the log of this service says why (event id 8103)."
                )
            );
        }
    }

    private static ProblemDetails RedisAway(HttpContext context, string reason)
    {
        if (!context.Response.HasStarted)
            context.Response.Headers.RetryAfter = "5";
        return Problems.Make(
            StatusCodes.Status503ServiceUnavailable,
            "Redis cannot be used",
            $"{reason} Readers are served from the source meanwhile; warm up again when Redis is back."
        );
    }

    /// <summary>Tells API descriptions of the <c>{name}</c> in the route.</summary>
    private sealed class NameInRoute(ParameterInfo parameter) : IParameterBindingMetadata
    {
        public string Name => "name";

        public bool HasTryParse => false;

        public bool HasBindAsync => false;

        public ParameterInfo ParameterInfo => parameter;

        public bool IsOptional => false;
    }
}
